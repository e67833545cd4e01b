"""One worker process as seen from its starter: start it, hear what it says, end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from rig.runner.nursery import Nurseries
from rig.runner.process import PlainProcess, Process
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
        nurseries: where it may come from; None starts it alone.
        cores: on which it runs if it comes from there.
    """

    def __init__(
        self,
        mode: str,
        job: Job,
        environment: Mapping[str, str],
        working_folder: Path,
        nurseries: Nurseries | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        self._mode = mode
        self._job = job
        self._environment = environment
        self._working_folder = working_folder
        self._nurseries = nurseries
        self._cores = cores
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._was_killed = False
        self._was_silent = False
        self.stderr_path = job.folder / STDERR_FILE

    def __enter__(self) -> WorkerProcess:
        self._start(self._nurseries)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        process = self._running()
        process.wait()
        process.close()
        with contextlib.suppress(OSError):
            if self.stderr_path.stat().st_size == 0:
                self.stderr_path.unlink()

    def kill(self) -> None:
        """End the worker and all that it started, now; from any thread, at any time."""
        with self._lock:
            self._was_killed = True
            if self._process is not None:
                self._process.kill()

    def _start(self, nurseries: Nurseries | None) -> None:
        process: Process | None = None
        with self.stderr_path.open("ab") as stderr:
            if nurseries is not None:
                process = nurseries.process(
                    self._environment, self._working_folder, self._cores, stderr
                )
            if process is None:
                process = PlainProcess(self._mode, self._environment, self._working_folder, stderr)
        self._process = process

    def _start_alone(self) -> None:
        """Start it again where its nursery did not bear it."""
        with self._lock:
            if self._was_killed:
                return
            self._running().close()
            self._start(None)

    def messages(self) -> Iterator[Message]:
        """Send the job and give what the worker says, until it has nothing more to say.

        It has a watchdog of its own; one that is silent for far longer (stopped, or stuck in the
        kernel) is killed.
        """
        yield from self._listen()
        if self._running().was_never_born:
            self._start_alone()
            yield from self._listen()

    def _listen(self) -> Iterator[Message]:
        process = self._running()
        with contextlib.suppress(BrokenPipeError):  # it ended at once: see what it left behind
            process.give(encode(self._job))
        silence_ms = (self._job.wall_limit_s + GRACE_S) * 1000
        poll = select.poll()
        poll.register(process.output, select.POLLIN)
        rest = b""
        while poll.poll(silence_ms):
            data = os.read(process.output, READ_BYTES)
            if not data:
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
        assert code is not None
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

    def _running(self) -> Process:
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
