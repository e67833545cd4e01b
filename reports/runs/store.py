"""The runs that are looked at: each is opened once, and again when it has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from reports.runs.listing import RunList
from reports.runs.run import Run

KEPT_RUNS = 6


class Runs:
    """The runs of a folder, the latest ones open.

    Attributes:
        list: of all of them.
    """

    def __init__(self, root: Path) -> None:
        self.list = RunList(root)
        self._open: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Open every run anew."""
        with self._lock:
            self._open.clear()

    def get(self, name: str) -> Run:
        """Return a run as it is now.

        Raises:
            RunError: there is none of that name.
        """
        folder = self.list.folder_of(name)
        with self._lock:
            run = self._open.pop(name, None)
            if run is None or not run.is_current:
                run = Run(folder)
            self._open[name] = run
            while len(self._open) > KEPT_RUNS:
                self._open.popitem(last=False)
            return run
