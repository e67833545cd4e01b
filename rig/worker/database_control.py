"""Strikes the databases of a run, in either clock; `rig.worker.steward` does it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from rig.errors import RigError
from rig.faults.database import FULL
from rig.faults.spec import FaultSpec
from rig.faults.strike import End

DATABASE = "database"


class StewardError(RigError):
    """A database of the run cannot be struck."""


class Steward:
    """The process beside; it ends with this one.

    Args:
        urls: of the databases.
        full: whether one may run full: then they are made ready for it.

    Raises:
        StewardError: a database does not answer, or refuses.
    """

    def __init__(self, urls: Sequence[str], *, full: bool) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rig.worker.steward"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.do("open", urls=list(urls), full=full)
        except BaseException:
            self.close()
            raise

    def do(self, what: str, **more: Any) -> Any:
        """Give an order, wait in real time until it is carried out, and return its answer.

        Raises:
            StewardError: it could not be.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        answer = json.loads(line) if line else {"error": "the process that strikes it has ended"}
        if "error" in answer:
            raise StewardError(
                f"expected to strike the run's database ({what}), found: {answer['error']}"
            )
        return answer["done"]

    def close(self) -> None:
        """Let it end; closing twice is harmless."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


class Door(Protocol):
    """What stands between the gateways and their databases."""

    def shut(self, cut: Callable[[], object]) -> None:
        """Refuse new connections, and call `cut`, which ends those that there are."""

    def open(self) -> None:
        """Let connections through again."""

    def slow(self, lag: Callable[[], float]) -> End:
        """Let each request, and each reply, come later by what `lag` gives in seconds."""

    def call(self, action: Callable[[], object]) -> None:
        """Call `action` when nobody is in the middle of anything."""


class DatabaseControl:
    """What faults of the database ask for.

    Args:
        door: of this run's clock.
        urls: of the databases.
        faults: those of the scenario.
    """

    def __init__(self, door: Door, urls: Iterable[str], faults: Iterable[FaultSpec]) -> None:
        kinds = {fault.kind for fault in faults if fault.link == DATABASE}
        self._door = door
        self._steward = Steward([url for url in urls if url], full=FULL in kinds)

    def shut_down(self) -> None:
        """End every connection and refuse new ones."""
        self._door.shut(lambda: self._steward.do("cut"))

    def start_up(self) -> None:
        """Let connections through again."""
        self._door.open()

    def slow(self, lag: Callable[[], float]) -> End:
        """Delay what goes to and fro."""
        return self._door.slow(lag)

    def fill(self) -> None:
        """Refuse what writes."""
        self._door.call(lambda: self._steward.do("fill"))

    def make_room(self) -> None:
        """Take what is written again."""
        self._door.call(lambda: self._steward.do("empty"))

    def is_blocked(self, backend: int, others: Sequence[int]) -> bool:
        """Tell whether a backend waits for a lock that one of the others holds."""
        return bool(self._steward.do("blocked", backend=backend, by=list(others)))

    def close(self) -> None:
        """End what runs beside."""
        self._steward.close()
