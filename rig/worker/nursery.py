"""The nursery: a process that has imported all that virtual runs need, and forks a worker for each.

Started as `python -m rig.worker nursery STARTER_PID`; its standard input is a socket. Each message
on it is one byte with four descriptors: a worker's standard input, output and error output, and a
socket on which the starter hears the worker's process number and then its exit status. A worker's
input is an `Order` in one line, then what any worker finds there: a `Job`.

Such a worker is as good as one that was started anew: the clock was replaced here before anything
else was imported, no thread was ever started, and nothing has run. Only imports are shared, and
with them the seed of `hash()`.

A worker that has ended stays a zombie until its starter closes the socket, so that nobody else can
get the number by which the starter kills. When the socket closes, the worker's process group is
ended. When the nursery ends, the kernel ends its workers; see `rig.worker.__main__`.
"""

from __future__ import annotations

import rig.vtime

rig.vtime.install()  # before anything that could bind a clock, a lock or a thread

import contextlib  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Iterable  # noqa: E402

# One thread is all there may be when it forks; a worker has its own environment again.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

from importlib.metadata import entry_points  # noqa: E402

from rig.versions import versions  # noqa: E402
from rig.worker import virtual  # noqa: E402
from rig.worker.__main__ import end_with_starter  # noqa: E402
from rig.worker.channel import work  # noqa: E402
from rig.worker.order import decode_order, folder_of, replace_environment  # noqa: E402
from server.errors import LinkLost  # noqa: E402
from server.obd.elm.adapter import library  # noqa: E402
from sim.route import COURSES  # noqa: E402

DESCRIPTORS = 4  # with each message
MANY = 2  # runs, from which on it pays to prepare for more
STATUS_BYTES = 8  # a process number, or an exit status

# What every run imports in its course.
MODULES = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "rig.worker.loop_gateway",
    "server.logs",
    "server.pages",
    "server.serve",
    "uvicorn.lifespan.off",
)
# What one kind of run imports. Not meshtastic, whose import starts a thread.
MORE_MODULES = (
    "cryptography.hazmat.primitives.ciphers.aead",
    "pubsub.pub",
    "requests",
    "rig.record.can_log",
    "serial.urlhandler",
    "server.can.link",
    "server.can.python_can",
    "server.can.slcan",
    "server.can.socketcand",
    "server.links.gps",
    "server.obd.can.backend",
    "server.obd.elm.protocol_obdport",
    "server.obd.link",
    "server.wire.codec.encoder",
)


class Child:
    """A worker, and the socket on which its starter waits."""

    def __init__(self, pid: int, starter: socket.socket) -> None:
        self.pid = pid
        self.starter = starter
        self.life = os.pidfd_open(pid)
        self._tell(pid)

    def tell_status(self) -> None:
        """Tell how it ended; it stays a zombie."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert found is not None
        code = found.si_status
        self._tell(code if found.si_code == os.CLD_EXITED else -code)

    def bury(self) -> None:
        """End it and all that it started, if that goes on."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.close()

    def close(self) -> None:
        """Know no more of it."""
        self.starter.close()
        os.close(self.life)

    def _tell(self, number: int) -> None:
        with contextlib.suppress(OSError):  # the starter has turned away: its end comes next
            self.starter.send(number.to_bytes(STATUS_BYTES, "big", signed=True))


class Nursery:
    """Forks workers as `door` asks for them, and looks after them."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._asked = 0
        self._poll = select.poll()
        self._poll.register(door, select.POLLIN)
        self._lives: dict[int, Child] = {}
        self._starters: dict[int, Child] = {}

    def serve(self) -> bool:
        """Return True in each worker, and False in the nursery when it is needed no more."""
        is_open = True
        while is_open or self._starters:
            for descriptor, _event in self._poll.poll():
                if descriptor == self._door.fileno():
                    found = self._receive()
                    if found is None:
                        self._poll.unregister(self._door)
                        is_open = False
                    elif found and self._fork(found):
                        return True
                elif descriptor in self._lives:
                    self._poll.unregister(descriptor)
                    self._lives.pop(descriptor).tell_status()
                elif descriptor in self._starters:
                    self._bury(self._starters.pop(descriptor))
        return False

    def _receive(self) -> list[int] | None:
        """Return the descriptors for a worker; none if the starter had too few; None at the end."""
        data, found, _flags, _address = socket.recv_fds(self._door, 1, DESCRIPTORS)
        if data and len(found) == DESCRIPTORS:
            return found
        for descriptor in found:
            os.close(descriptor)
        return [] if data else None

    def _fork(self, descriptors: list[int]) -> bool:
        """Return True in the worker."""
        self._asked += 1
        if self._asked == MANY:
            prepare_more()
        *streams, starter = descriptors
        with socket.socket(fileno=starter) as connection:
            pid = _fork()
            if pid > 0:
                with contextlib.suppress(OSError):  # the worker did it, or has ended
                    os.setpgid(pid, pid)
                child = Child(pid, connection.dup())
                self._lives[child.life] = self._starters[child.starter.fileno()] = child
                for place in (child.life, child.starter.fileno()):
                    self._poll.register(place, select.POLLIN)
        if pid == 0:
            self._forget_all()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        return pid == 0

    def _bury(self, child: Child) -> None:
        self._poll.unregister(child.starter)
        if self._lives.pop(child.life, None):
            self._poll.unregister(child.life)
        child.bury()

    def _forget_all(self) -> None:
        """In a worker: nothing of the nursery may stay open because of it."""
        for child in self._starters.values():
            child.close()
        # The door itself is standard input, which gets another meaning now.
        self._door.detach()


def _fork() -> int:
    """Return 0 in the worker, and -1 where there can be none: who hears no number helps itself."""
    if len(os.listdir("/proc/self/task")) > 1:
        return -1  # an import has started a thread: whatever lock it holds would stay held
    try:
        return os.fork()
    except OSError:  # no more processes
        return -1


def be_worker(nursery: int) -> int:
    """In a worker: run what its standard input says, and return the exit code."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    end_with_starter(nursery, signal.SIGKILL)
    order = decode_order(sys.stdin.buffer.readline())
    replace_environment(order)
    os.chdir(folder_of(order))
    with contextlib.suppress(OSError):  # they were taken from it meanwhile
        os.sched_setaffinity(0, order.cores)
        # A thread that wakes another one goes on until it waits itself. If the other one took the
        # core at once, it would only meet the interpreter's lock: three switches for one.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    tempfile.tempdir = None  # it may be another one in this environment
    return work(virtual.run)


def prepare() -> None:
    """Import what every run needs."""
    _import(MODULES)
    for point in entry_points(group="telerig.mounts"):
        with contextlib.suppress(Exception):
            point.load()
    gc.collect()
    gc.freeze()  # what is here stays: no worker needs to look for garbage in it


def prepare_more() -> None:
    """Do what pays where there are many runs."""
    _import(MORE_MODULES)
    with contextlib.suppress(LinkLost):  # it is not installed
        library()
    for name in COURSES:
        COURSES[name]  # draws it
    with contextlib.suppress(OSError):
        versions()  # of what was imported, whatever becomes of the files
    gc.collect()
    gc.freeze()


def _import(names: Iterable[str]) -> None:
    for name in names:
        # An extra is not there, or something is wrong: the run that needs it will say so.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def main() -> None:
    """Prepare, then fork until the starter closes its end."""
    prepare()
    nursery = os.getpid()
    if not Nursery(socket.socket(fileno=0)).serve():
        return
    code = 1
    try:
        code = be_worker(nursery)
    except BaseException:  # noqa: BLE001  process boundary
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # parked library threads cannot be joined


if __name__ == "__main__":
    main()
