"""TCP devices of the world in virtual time, for clients that block in threads.

`socket.create_connection()`, and `connect()` of a socket that is there already. A registered
(host, port) gives one end of a pair of sockets; the other end is the world's. Bytes
for the client are written at the instant of their arrival, and threads that wait for them in
`select` (or in a blocking `recv`) wake at that instant. What the client writes is taken over as
soon as its thread has run. Any other address is refused in threads: a peer in real time would
answer at any virtual instant, another one in each run.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import socket
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rig.vtime.kernel import Kernel, Wait
from sim.network import KeepAlive
from sim.serial_line import SerialLine

BUFFER_BYTES = 16384
BACKLOG_LIMIT_BYTES = 65536  # for a client that does not read; more breaks the connection
READ_BYTES = 65536
LOCAL_HOST = "127.0.0.1"
FIRST_LOCAL_PORT = 49152  # the first ephemeral one (RFC 6335)
# python-can tries again and again for ten seconds without a pause, and reads the end of a stream
# over and over: what costs the CPU in reality must cost time here, or time would stand still.
REFUSED_AFTER_S = 0.01
END_AGAIN_S = 0.001

_KEEP_ALIVE = {
    socket.TCP_KEEPIDLE: "idle_s",
    socket.TCP_KEEPINTVL: "interval_s",
    socket.TCP_KEEPCNT: "probes",
}

_real_connection = socket.create_connection
_real_connect = socket.socket.connect
_doors: dict[tuple[str, int], Connect] = {}
_by_inode: dict[int, Connection] = {}
_local_ports: list[Iterator[int]] = [itertools.count(FIRST_LOCAL_PORT)]


Connect = Callable[[], "SerialLine | None"]
"""Opens a connection to a device; None where it refuses."""


def register(host: str, port: int, connect: Connect) -> None:
    """Let clients in virtual time reach a device of the world at `host`:`port`."""
    _doors[host, port] = connect


def clear() -> None:
    """Forget every address."""
    _doors.clear()
    _local_ports[0] = itertools.count(FIRST_LOCAL_PORT)


def connection_at(
    kernel: Kernel, address: Any, timeout_s: float | None, client: socket.socket | None = None
) -> VirtualSocket:
    """Connect to the device of the world at `address`.

    Args:
        kernel: of virtual time.
        address: (host, port).
        timeout_s: of the client's socket.
        client: a socket that is to become the client's end; None makes one.

    Raises:
        ConnectionRefusedError: there is none, or it refuses.
    """
    host, port = str(address[0]), int(address[1])
    connect = _doors.get((host, port))
    if connect is None:
        known = ", ".join(f"{host}:{port}" for host, port in _doors) or "none"
        raise ConnectionRefusedError(
            errno.ECONNREFUSED,
            f"expected a device of the world ({known}), found {host}:{port}, which no thread can "
            "reach in virtual time; use --mode paced",
        )
    pipe = connect()
    if pipe is None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"{host}:{port} refuses the connection")
    return Connection(kernel, pipe, (host, port), timeout_s, client).client


def waiting(inode: int) -> Connection | None:
    """Return the connection whose client's end is the socket `inode`."""
    return _by_inode.get(inode)


class Connection:
    """One connection between a thread and a device of the world.

    Attributes:
        client: the client's end.
    """

    def __init__(
        self,
        kernel: Kernel,
        pipe: SerialLine,
        address: tuple[str, int],
        timeout_s: float | None,
        client: socket.socket | None = None,
    ) -> None:
        self._kernel = kernel
        self._pipe = pipe
        self._waits: list[Wait] = []
        self._backlog = bytearray()
        self._open = True
        theirs, self._ours = socket.socketpair()
        for end in (theirs, self._ours):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self.client = VirtualSocket.over(theirs, client)
        pipe.keep_alive = KeepAlive()
        self.client.connected(kernel, address, timeout_s, pipe.keep_alive)
        program = kernel.program()
        if program is not None:
            program.sockets.add(self.client)
        self._inode = os.fstat(self.client.fileno()).st_ino
        _by_inode[self._inode] = self
        if not pipe.stalled:
            kernel.watch_port(self._ours.fileno(), self._pump)
        pipe.attach_host(self._deliver)
        pipe.on_hang_up.append(self._closed)
        pipe.on_stall.append(self._stall)
        pipe.on_resume.append(self._resume)

    def wait(self, wait: Wait) -> None:
        """Let `wait` fire at the next arrival, and when the device makes room."""
        self._waits = [other for other in self._waits if not other.fired]
        self._waits.append(wait)
        if self._backlog:
            self._deliver(b"")  # a client that waits has read what there was

    def _wake(self) -> None:
        waits, self._waits = self._waits, []
        woken = False
        for wait in waits:
            woken = wait.fire() or woken
        if not woken:
            self._kernel.dirty = True  # perhaps the event loop itself watches this descriptor

    def _deliver(self, data: bytes) -> None:
        if not self._open:
            return
        self._backlog += data
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._backlog:
                del self._backlog[: self._ours.send(self._backlog)]
        if len(self._backlog) > BACKLOG_LIMIT_BYTES:
            self._close()
            self._pipe.hang_up()
        self._wake()
        self._pipe.unread(len(self._backlog))

    def _pump(self) -> None:
        data = b""
        is_over = False
        try:
            while piece := self._ours.recv(READ_BYTES):
                data += piece
            is_over = True
        except BlockingIOError:
            pass
        except OSError:
            is_over = True
        if data:
            self._pipe.feed(data)
            self._wake()  # there is room again
        if is_over and self._open:
            self._close()
            self._pipe.hang_up()

    def _stall(self) -> None:
        """The device takes no more: what the client writes stays in the sockets' buffers."""
        if self._open:
            self._kernel.unwatch_port(self._ours.fileno())

    def _resume(self) -> None:
        if self._open:
            self._kernel.watch_port(self._ours.fileno(), self._pump)
            self._pump()

    def _closed(self) -> None:
        """The device hung up."""
        self._close()
        self._wake()

    def _close(self) -> None:
        if self._open:
            self._open = False
            del _by_inode[self._inode]
            self._kernel.unwatch_port(self._ours.fileno())
            self._ours.close()


@dataclass(slots=True)
class _Peer:
    """What a client's end knows of its connection."""

    kernel: Kernel
    address: tuple[str, int]
    local_port: int
    timeout_s: float | None
    keep_alive: KeepAlive
    has_ended: bool = False


_peers: weakref.WeakKeyDictionary[VirtualSocket, _Peer] = weakref.WeakKeyDictionary()


class VirtualSocket(socket.socket):
    """The client's end: blocks in virtual time, and takes the options of a TCP socket.

    It has no attributes of its own, so that a socket that a program has made can become one.
    """

    __slots__ = ()

    @classmethod
    def over(cls, plain: socket.socket, client: socket.socket | None) -> VirtualSocket:
        """Return `plain` as a client's end: as `client`, whose descriptor it takes, if given."""
        if client is None:
            return cls(plain.family, plain.type, plain.proto, plain.detach())
        os.dup2(plain.fileno(), client.fileno(), inheritable=False)
        plain.close()
        client.__class__ = cls
        assert isinstance(client, cls)
        return client

    def connected(
        self,
        kernel: Kernel,
        address: tuple[str, int],
        timeout_s: float | None,
        keep_alive: KeepAlive,
    ) -> None:
        """Begin to block in virtual time."""
        super().setblocking(False)
        port = next(_local_ports[0])
        _peers[self] = _Peer(kernel, address, port, timeout_s, keep_alive)

    def settimeout(self, value: float | None, /) -> None:
        _peers[self].timeout_s = value

    def gettimeout(self) -> float | None:
        return _peers[self].timeout_s

    @property
    def timeout(self) -> float | None:
        return _peers[self].timeout_s

    def setblocking(self, flag: bool, /) -> None:
        _peers[self].timeout_s = None if flag else 0.0

    def getblocking(self) -> bool:
        return _peers[self].timeout_s != 0.0

    def getpeername(self) -> tuple[str, int]:
        return _peers[self].address

    def getsockname(self) -> tuple[str, int]:
        return LOCAL_HOST, _peers[self].local_port

    def setsockopt(self, level: int, *rest: Any) -> None:
        keep_alive = _peers[self].keep_alive
        if level == socket.IPPROTO_TCP:
            field = _KEEP_ALIVE.get(rest[0])
            if field is not None:
                setattr(keep_alive, field, rest[1])
            return
        if level == socket.SOL_SOCKET and rest[0] == socket.SO_KEEPALIVE:
            keep_alive.is_on = bool(rest[1])
        super().setsockopt(level, *rest)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        recv = super().recv
        data: bytes = self._when_ready(lambda: recv(size, flags), writing=False)
        if not data and size:
            self._end_was_read()
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        recv_into = super().recv_into
        count: int = self._when_ready(lambda: recv_into(buffer, size, flags), writing=False)
        if not count:
            self._end_was_read()
        return count

    def send(self, data: Any, flags: int = 0, /) -> int:
        send = super().send
        count: int = self._when_ready(lambda: send(data, flags), writing=True)
        return count

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        rest = memoryview(data).cast("B")
        while len(rest):
            rest = rest[self.send(rest, flags) :]

    def _end_was_read(self) -> None:
        peer = _peers[self]
        if peer.has_ended:
            peer.kernel.sleep(END_AGAIN_S)
        peer.has_ended = True

    def _when_ready(self, attempt: Callable[[], Any], *, writing: bool) -> Any:
        timeout_s = _peers[self].timeout_s
        while True:
            try:
                return attempt()
            except BlockingIOError:
                if timeout_s == 0.0:
                    raise
            reading = [] if writing else [self]
            ready = select.select(reading, [self] if writing else [], [], timeout_s)
            if not (ready[0] or ready[1]):
                raise TimeoutError("timed out")


def patch(active_kernel: Callable[[], Kernel | None]) -> None:
    """Replace `socket.create_connection`, and `connect` in threads."""

    unset: Any = vars(socket)["_GLOBAL_DEFAULT_TIMEOUT"]

    def create_connection(
        address: Any,
        timeout: Any = unset,
        *args: Any,
        **more: Any,
    ) -> socket.socket:
        kernel = active_kernel()
        if kernel is None or kernel.part() is None:
            return _real_connection(address, timeout, *args, **more)
        timeout_s = socket.getdefaulttimeout() if timeout is unset else timeout
        return connection_at(kernel, address, timeout_s)

    def connect(self: socket.socket, address: Any, /) -> None:
        kernel = active_kernel()
        if kernel is None or kernel.part() in (None, kernel.host):
            _real_connect(self, address)
            return
        try:
            if self.family != socket.AF_INET or self.type != socket.SOCK_STREAM:
                raise ConnectionRefusedError(
                    errno.ECONNREFUSED,
                    f"expected connect() to a TCP device of the world, found one to {address!r}; "
                    "in virtual time no thread can reach a peer in real time",
                )
            connection_at(kernel, address, self.gettimeout(), self)
        except ConnectionRefusedError:
            kernel.sleep(REFUSED_AFTER_S)
            raise

    module: Any = socket
    module.create_connection = create_connection
    module.socket.connect = connect
