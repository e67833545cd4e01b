"""Starts programs and ends them surely: with the block, or with whoever started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PR_SET_PDEATHSIG = 1
STOP_WAIT_S = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


class Children:
    """Processes of one test; each writes its output to a file of its name in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, command: Sequence[str | Path], **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a program; `name.log` has what it says, of all its lives."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("TELERIG_")}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=kept | environment,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._started.append(process)
        return process

    def log(self, name: str) -> str:
        """Give what a program has said."""
        path = self.folder / f"{name}.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def close(self) -> None:
        """Kill what still runs, the newest first."""
        for process in reversed(self._started):
            kill(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Ask a process to end, kill it where it does not; give its exit code."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        return process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        kill(process)
        return process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, a stopped one too."""
    if process.poll() is None:
        process.kill()
    process.wait(STOP_WAIT_S)


def free_port(host: str = "127.0.0.1") -> int:
    """Give a port that is free now."""
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def _end_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
