"""`telerig run --view`: pages beside the runs, so that they can be watched in the browser.

The rig knows no pages. It takes the command `view` from the entry points, as anybody could offer
it, and asks it to serve beside the runs.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rig.errors import RigError

if TYPE_CHECKING:
    from rich.console import Console

    from rig.runner.request import Request
    from rig.runner.runner import Runner

COMMANDS, VIEWER = "telerig.commands", "view"


class NoViewerError(RigError):
    """There is nothing that serves pages."""

    usage = True


class Pages(Protocol):
    """Pages that are served; what `beside` of the command `view` returns."""

    @property
    def url(self) -> str:
        """The address, with a slash at its end."""
        ...

    def close(self) -> None:
        """Serve no longer."""
        ...


Beside = Callable[[Path, int | None, Callable[[Path], bool]], Pages]
"""Serve the runs of a folder at a port (None: a usual one); the callable stops a run."""


class Viewing:
    """Pages beside a runner.

    Attributes:
        runner: whose runs may be stopped from a page.
    """

    def __init__(self, beside: Beside, runs: Path, port: int | None, console: Console) -> None:
        self.runner: Runner | None = None
        self._console = console
        self._pages = beside(runs, port, self._stop)

    def started(self, request: Request, folder: Path) -> None:
        """Say where a run can be watched."""
        from rig.terminal import say

        say(self._console, f"{request.title}: watch it at {self._pages.url}run/{folder.name}")

    def stay(self) -> None:
        """Keep the pages until Ctrl-C, if there is somebody who could press it."""
        from rig.terminal import say

        if sys.stdin.isatty() and self._console.is_terminal:
            say(self._console, f"the pages stay at {self._pages.url} until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()

    def close(self) -> None:
        """Serve no longer."""
        self._pages.close()

    def _stop(self, folder: Path) -> bool:
        return self.runner is not None and self.runner.stop(folder)


@contextlib.contextmanager
def watched(options: argparse.Namespace, console: Console) -> Iterator[Viewing | None]:
    """Serve pages around a block, if `options.view` says so; afterwards as long as wanted.

    Raises:
        NoViewerError: nothing that serves pages is installed.
    """
    if not getattr(options, "view", False):
        yield None
        return
    viewing = Viewing(_beside(), options.runs, options.port, console)
    try:
        yield viewing
        viewing.stay()
    finally:
        viewing.close()


def _beside() -> Beside:
    todo = "install the extra that brings it: pip install 'telerig[view]'"
    for point in entry_points(group=COMMANDS, name=VIEWER):
        try:
            beside: Beside | None = getattr(point.load(), "beside", None)
        except ImportError as error:
            raise NoViewerError(
                f"--view: expected the package {error.name!r}, found none; {todo}"
            ) from error
        if beside is not None:
            return beside
    raise NoViewerError(f"--view: expected a command `view` that serves pages, found none; {todo}")
