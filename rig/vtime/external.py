"""Rule 4: time stands still while a database request is open.

A PostgreSQL server is a real process that knows no virtual time. Strictly: (a) one exchange at a time,
first come first served over all connections; (b) its reply is collected up to the boundary of the
protocol and handed over whole, and only when the loop has nothing else to do at that instant; (c) a
closing connection holds time until the server has closed it too. With less than this, runs of one
seed differ.
"""

from __future__ import annotations

import collections
import selectors
import time
from asyncio import selector_events
from typing import Any

from rig.vtime.kernel import Kernel, VirtualTimeError

_Base: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]

# Backend messages that end an exchange: ReadyForQuery, RowDescription and NoData (the reply to
# asyncpg's Parse + Describe + Flush), CopyInResponse.
BOUNDARY = b"ZTnG"
BIG_REPLY_BYTES = 1 << 20  # a streamed result is handed over in whole messages of about this much
SILENCE_LIMIT_S = 30.0  # wall clock

_real_monotonic = time.monotonic


def is_database(protocol: Any) -> bool:
    """Told by the protocol's class, not by port or path: it may be any address."""
    return any(cls.__module__.startswith("asyncpg.") for cls in type(protocol).__mro__)


class Exchange:
    """The one open exchange, and the connections that wait for their turn."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.transports: dict[int, DatabaseTransport] = {}
        self.owner: DatabaseTransport | None = None
        self.queue: collections.deque[DatabaseTransport] = collections.deque()
        self.connecting = 0
        self.exchanges = 0
        self.waited_wall_s = 0.0

    def holds(self, descriptor: int) -> bool:
        transport = self.transports.get(descriptor)
        return transport is not None and not transport.complete

    def begin(self, transport: DatabaseTransport) -> bool:
        """True when `transport` may write now; otherwise it is queued."""
        if self.owner is None:
            self.owner = transport
            self.kernel.external += 1
            self.exchanges += 1
        if self.owner is transport:
            return True
        if transport not in self.queue:
            self.queue.append(transport)
        return False

    def end(self, transport: DatabaseTransport) -> None:
        if self.owner is transport:
            self.owner = None
            self.kernel.external -= 1
            if self.queue:
                self.queue.popleft().send_held()
        elif transport in self.queue:
            self.queue.remove(transport)

    def collect(self, selector: Any) -> list[Any]:
        """Wait in real time until a reply is complete; virtual time stands still."""
        start_s = _real_monotonic()
        while True:
            ready = []
            for key, events in selector.poll_all(1.0):
                transport = self.transports.get(key.fd)
                if transport is None or events & selectors.EVENT_WRITE or transport.fill():
                    ready.append((key, events))
            waited_s = _real_monotonic() - start_s
            if ready:
                self.waited_wall_s += waited_s
                return ready
            if waited_s > SILENCE_LIMIT_S:
                raise VirtualTimeError(
                    f"expected a reply of the database within {SILENCE_LIMIT_S:.0f} s of real time; "
                    "it is silent (a lock wait between two connections of one run?)"
                )

    def unsolicited(self, selector: Any) -> list[Any]:
        """What a server says unasked (it closed an idle connection)."""
        ready = []
        for key, events in selector.poll_all(0):
            transport = self.transports.get(key.fd)
            if transport is not None and transport.fill():
                ready.append((key, events))
        return ready


class DatabaseTransport(_Base):  # type: ignore[misc]
    """A socket transport whose writes wait for their turn and whose replies come whole."""

    def __init__(self, loop: Any, sock: Any, *args: Any, exchange: Exchange, **more: Any) -> None:
        self._exchange = exchange
        self._held: list[bytes] = []
        self._reply = bytearray()
        self._parsed = 0
        self._last = 0
        self._eof_seen = False
        self.complete = False
        self._descriptor = sock.fileno()
        exchange.transports[self._descriptor] = self
        super().__init__(loop, sock, *args, **more)

    def write(self, data: Any) -> None:
        if self._exchange.begin(self):
            super().write(data)
        else:
            self._held.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def send_held(self) -> None:
        held, self._held = self._held, []
        for data in held:
            self.write(data)

    def fill(self) -> bool:
        """Read what is there; True when the reply stands at a boundary."""
        try:
            data = self._sock.recv(262144)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._eof_seen = True
            self.complete = True
            return True
        reply = self._reply
        reply += data
        position = self._parsed
        size = len(reply)
        while size - position >= 5:
            length = 1 + int.from_bytes(reply[position + 1 : position + 5], "big")
            if size - position < length:
                break
            self._last = reply[position]
            position += length
        self._parsed = position
        whole = position == size
        # An SSLRequest is answered by one bare byte: 'S' or 'N'.
        bare = size == 1 and reply in (b"N", b"S")
        self.complete = (whole and (self._last in BOUNDARY or size > BIG_REPLY_BYTES)) or bare
        return self.complete

    def _read_ready__data_received(self) -> None:
        if not self.complete:
            return
        self.complete = False
        data = bytes(self._reply)
        self._reply.clear()
        self._parsed = 0
        if data:
            self._protocol.data_received(data)
            if self._last in BOUNDARY or len(data) == 1:
                self._exchange.end(self)
        if self._eof_seen:
            self._exchange.end(self)
            self._read_ready__on_eof()

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        self._exchange.transports.pop(self._descriptor, None)
        self._exchange.end(self)
        super()._call_connection_lost(exc)
