"""The starter's side of a nursery (`rig.worker.nursery`): starts it when needed, asks for workers.

Where it cannot be had (no such system calls, coverage is measured in child processes, it does not
come up) there is none, and workers are started one by one as ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rig.runner.process import PLAIN_VARIABLES, worker_command
from rig.worker.order import order_line

COVERAGE_PREFIX = "COVERAGE_PROCESS"
# What acts when an interpreter starts, or on what it imports, cannot be changed in a worker.
START_PREFIXES = ("PYTHON", "LD_", "LC_", "MALLOC_", "GLIBC_", COVERAGE_PREFIX)
START_NAMES = ("LANG", "TZ")
STATUS_BYTES = 8
MOST_STILLBORN = 2  # nurseries one after another that ended without a worker


class NurseryProcess:
    """A worker out of a nursery.

    Args:
        connection: on which the nursery tells its number and how it ended.
        stdin: descriptor of its input.
        output: descriptor of what it says.
        order: what the nursery's side reads before the job.
    """

    def __init__(
        self, nurseries: Nurseries, connection: socket.socket, stdin: int, output: int, order: bytes
    ) -> None:
        self._nurseries = nurseries
        self._connection = connection
        self._stdin = stdin
        self._output = output
        self._order = order
        self._lock = threading.Lock()
        self._pid = 0
        self._code: int | None = None
        self._ended_by_us = False

    @property
    def output(self) -> int:
        return self._output

    @property
    def was_never_born(self) -> bool:
        with self._lock:
            return self._code is not None and not self._pid and not self._ended_by_us

    def give(self, job: bytes) -> None:
        with open(self._stdin, "wb") as pipe:
            self._stdin = -1
            pipe.write(self._order + job)

    def kill(self) -> None:
        with self._lock:
            self._ended_by_us = True
            self._hear()
            if self._code is not None or self._connection.fileno() < 0:
                return
            if self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGKILL)
            else:  # not born yet: the nursery ends it as soon as it is
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout_s: float | None = None) -> int | None:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        while True:
            with self._lock:
                self._hear()
                if self._code is not None:
                    return self._code
            if not poll.poll(None if timeout_s is None else timeout_s * 1000):
                return None

    def close(self) -> None:
        with self._lock:
            self._connection.close()
        for descriptor in (self._stdin, self._output):
            if descriptor >= 0:
                os.close(descriptor)
        self._stdin = self._output = -1

    def _hear(self) -> None:
        """Take what the nursery has said; without its word a worker has died with it."""
        while self._code is None and self._connection.fileno() >= 0:
            try:
                data = self._connection.recv(STATUS_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            number = int.from_bytes(data, "big", signed=True)
            if data and not self._pid:
                self._pid = number
                self._nurseries.bore()
            else:
                self._code = number if data else -signal.SIGKILL


class _Nursery:
    """One nursery process."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    worker_command("nursery"),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    # What is wrong is wrong with any worker: one that is started alone tells it.
                    stderr=subprocess.DEVNULL,
                    env={**environment, **PLAIN_VARIABLES},
                    cwd=folder,
                    process_group=0,
                )
        except OSError:
            self.door.close()
            raise

    def ask(self, descriptors: Sequence[int]) -> bool:
        """Hand over the ends of a new worker; False if the nursery has ended."""
        try:
            socket.send_fds(self.door, [b"w"], descriptors)
        except OSError:
            return False
        return True

    def retire(self) -> None:
        """Let it end when its last worker has."""
        self.door.close()

    def has_ended(self) -> bool:
        """True if the process is no more."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End it, and thereby all its workers."""
        self.door.close()
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Nurseries:
    """The nursery of a runner; there is at most one to which workers still come.

    Workers share what acted when their interpreter started: for another working folder, from which
    modules are imported, or other variables such as PYTHONPATH there is another nursery.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: object = None
        self._current: _Nursery | None = None
        self._retired: list[_Nursery] = []
        self._stillborn = 0
        self._closed = False

    def process(
        self,
        environment: Mapping[str, str],
        folder: Path,
        cores: Sequence[int],
        stderr: IO[bytes],
    ) -> NurseryProcess | None:
        """Return a new worker; None where it has to be started alone.

        Args:
            environment: all of its environment variables.
            folder: the working folder.
            cores: on which it may run.
            stderr: takes its errors.
        """
        if any(name.startswith(COVERAGE_PREFIX) for name in environment):
            return None
        order = order_line({**environment, **PLAIN_VARIABLES}, folder, list(cores))
        with contextlib.ExitStack() as ends:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ends.enter_context(theirs)
            stdin, give = os.pipe()
            ends.callback(os.close, stdin)
            output, say = os.pipe()
            ends.callback(os.close, say)
            process = NurseryProcess(self, ours, give, output, order)
            if self._ask((stdin, say, stderr.fileno(), theirs.fileno()), environment, folder):
                return process
            process.close()
            return None

    def bore(self) -> None:
        """A worker was born: the nursery works."""
        self._stillborn = 0

    def close(self) -> None:
        """End every nursery; there is none from now on."""
        with self._lock:
            self._closed = True
            for nursery in (*self._retired, self._current):
                if nursery is not None:
                    nursery.end()
            self._retired, self._current = [], None

    def _ask(
        self, descriptors: Sequence[int], environment: Mapping[str, str], folder: Path
    ) -> bool:
        with self._lock:
            for _attempt in range(2):  # the one that is there may have ended
                nursery = self._nursery(environment, folder)
                if nursery is None:
                    return False
                if nursery.ask(descriptors):
                    return True
            return False

    def _nursery(self, environment: Mapping[str, str], folder: Path) -> _Nursery | None:
        key = (_start_variables(environment), folder)
        if self._current is not None and self._current.has_ended():
            self._current.end()
            self._current = None
        if self._current is not None and key != self._key:
            self._current.retire()
            self._retired = [each for each in self._retired if not each.has_ended()]
            self._retired.append(self._current)
            self._current = None
        if self._current is None:
            if self._closed or self._stillborn >= MOST_STILLBORN or not hasattr(os, "pidfd_open"):
                return None
            try:
                self._current = _Nursery(environment, folder)
            except OSError:
                return None
            self._key = key
            self._stillborn += 1
        return self._current


def _start_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What the interpreter reads at its start."""
    return {
        name: value
        for name, value in environment.items()
        if name in START_NAMES or name.startswith(START_PREFIXES)
    }
