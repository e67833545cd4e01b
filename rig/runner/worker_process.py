"""One worker process as seen from its starter: start it, hear what it says, end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from rig.worker.job import Job, Message, decode_message, encode
from rig.worker.watchdog import WATCHDOG_WORD

STDERR_FILE = "worker.stderr.log"
GRACE_S = 30.0  # beyond a run's own limit: its watchdog writes its dump first
END_WAIT_S = 10.0
READ_BYTES = 65536


class WorkerProcess:
    """A worker with a process group of its own; `rig.worker` is its other side.

    What it says that is no message, its errors and tracebacks go to `worker.stderr.log` in the
    run's folder. Use it as a context manager: at the end it and all that it started are gone.

    Args:
        mode: "virtual" or "paced".
        job: what it is to run.
        environment: all of its environment variables.
        working_folder: relative paths of the scenario start here.
    """

    def __init__(
        self, mode: str, job: Job, environment: Mapping[str, str], working_folder: Path
    ) -> None:
        self._mode = mode
        self._job = job
        self._environment = environment
        self._working_folder = working_folder
        self._process: subprocess.Popen[bytes] | None = None
        self._was_silent = False
        self.stderr_path = job.folder / STDERR_FILE

    def __enter__(self) -> WorkerProcess:
        # A group of its own: Ctrl-C in a terminal reaches the starter alone, which ends the group.
        with self.stderr_path.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rig.worker", self._mode, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**self._environment, "PYTHONUNBUFFERED": "1"},
                cwd=self._working_folder,
                process_group=0,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        process = self._running()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(OSError):
            if self.stderr_path.stat().st_size == 0:
                self.stderr_path.unlink()

    def kill(self) -> None:
        """End the worker and all that it started, now; from any thread, at any time."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def messages(self) -> Iterator[Message]:
        """Send the job and give what the worker says, until it has nothing more to say.

        It has a watchdog of its own; one that is silent for far longer (stopped, or stuck in the
        kernel) is killed.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it ended at once: see what it left behind
            process.stdin.write(encode(self._job))
            process.stdin.close()
        silence_ms = (self._job.wall_limit_s + GRACE_S) * 1000
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        rest = b""
        while poll.poll(silence_ms):
            data = os.read(process.stdout.fileno(), READ_BYTES)
            if not data:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_WAIT_S)
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    yield decode_message(line)
                except msgspec.DecodeError:  # a library that prints
                    self._keep(line)
        self._was_silent = True
        self.kill()

    def obituary(self) -> str:
        """Say in one line why it ended before its run did; only once it has ended."""
        if self._was_silent:
            return (
                f"the worker said nothing for {self._job.wall_limit_s + GRACE_S:.0f} s of wall "
                "time and was killed"
            )
        code = self._running().wait()
        lines = self._stderr_lines()
        dump = next((line for line in lines if line.startswith(WATCHDOG_WORD)), None)
        if dump is not None:
            return (
                f"no progress for {self._job.wall_limit_s:g} s of wall time; the stacks of all "
                f"threads are in {self.stderr_path}"
            )
        if code < 0:
            cause = f"was ended by {signal.Signals(-code).name}"
            if code == -signal.SIGKILL:
                cause += " (from outside, or by the kernel for want of memory)"
        else:
            cause = f"ended with code {code}"
        if lines:
            cause += f" (its last words: {lines[-1].strip()}; see {self.stderr_path})"
        elif _is_full(self.stderr_path.parent):
            cause += ": no space is left on the device of its folder"
        return f"before the end of its run the worker {cause}"

    def hint(self) -> str:
        """Say where its traceback is, if there is one."""
        return f"; see {self.stderr_path}" if self._stderr_lines() else ""

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "use it as a context manager"
        return self._process

    def _keep(self, line: bytes) -> None:
        with contextlib.suppress(OSError), self.stderr_path.open("ab") as file:
            file.write(line + b"\n")

    def _stderr_lines(self) -> list[str]:
        try:
            text = self.stderr_path.read_text(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()]


def _is_full(folder: Path) -> bool:
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False
