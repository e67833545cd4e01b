"""A worker's process, however it came to be: by a start of its own, or out of a nursery."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

PLAIN_VARIABLES = {"PYTHONUNBUFFERED": "1"}
"""Environment variables of a worker besides those it is given."""


class Process(Protocol):
    """A worker's process as its starter sees it."""

    @property
    def output(self) -> int:
        """Descriptor of what it says."""

    @property
    def was_never_born(self) -> bool:
        """True if it has ended and in truth never began: another way may be tried."""

    def give(self, job: bytes) -> None:
        """Write its input, all of it; raises BrokenPipeError where it has ended."""

    def kill(self) -> None:
        """End it and all that it started, now; from any thread, at any time."""

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return its exit code, negative for a signal; None if it goes on after `timeout_s`."""

    def close(self) -> None:
        """Close what leads to it; it has ended."""


class PlainProcess:
    """A process of its own interpreter, as leader of a process group.

    Args:
        mode: what `rig.worker` is to become.
        environment: all of its environment variables.
        folder: the working folder.
        stderr: takes its errors.
    """

    was_never_born = False

    def __init__(
        self, mode: str, environment: Mapping[str, str], folder: Path, stderr: IO[bytes]
    ) -> None:
        # A group of its own: Ctrl-C in a terminal reaches the starter alone, which ends the group.
        self._process = subprocess.Popen(
            worker_command(mode),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**environment, **PLAIN_VARIABLES},
            cwd=folder,
            process_group=0,
        )

    @property
    def output(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def give(self, job: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(job)
        self._process.stdin.close()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def worker_command(mode: str) -> list[str]:
    """Return the command that starts a worker whose life is tied to this process."""
    return [sys.executable, "-m", "rig.worker", mode, str(os.getpid())]
