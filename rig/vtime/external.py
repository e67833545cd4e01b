"""Rule 4: time stands still while a database request is open.

A PostgreSQL server is a real process that knows no virtual time. Strictly: (a) one exchange at a
time, first come first served over all connections; (b) its reply is collected up to the message
that ends it and handed over whole, when the loop has nothing else to do at that instant; (c) a
closing connection holds time until the server has closed it too. With less than this, runs of one
seed differ. What an exchange waits for follows from what was asked:

    asked last                            the reply ends with
    Flush (after Parse and Describe)      RowDescription, NoData, ErrorResponse
    Query                                 ReadyForQuery, CopyInResponse
    Sync, CopyDone, CopyFail, start-up    ReadyForQuery; a request for a password
    CopyData                              nothing but room: all of it is written
    Terminate, CancelRequest              the end of the connection

There is no TLS in virtual time: a request for it is declined as by a server that has none.
Notifications reach a connection with its next reply; a lock wait between two connections of one run
ends in an error, because the one that holds the lock waits for time.
"""

from __future__ import annotations

import collections
import selectors
from asyncio import selector_events
from typing import Any

from rig.vtime.kernel import Kernel, VirtualTimeError, _real_monotonic

_Base: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]

FLUSH_MESSAGE = b"H\0\0\0\4"
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
NO_SSL = b"N"
AUTHENTICATION = ord("R")
AUTHENTICATION_ENDS = (0, 12)  # AuthenticationOk, AuthenticationSASLFinal: they ask nothing
BIG_REPLY_BYTES = 1 << 20  # a long result is handed over in whole messages of about this much
SILENCE_LIMIT_S = 30.0  # wall clock


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

    def connect(self, change: int) -> None:
        """One connection more (1) or less (-1) is being made."""
        self.connecting += change
        self.hold_time()

    def begin(self, transport: DatabaseTransport) -> bool:
        """True when `transport` may write now; otherwise it is queued."""
        if self.owner is None:
            self.owner = transport
            self.exchanges += 1
            self.hold_time()
        if self.owner is transport:
            return True
        if transport not in self.queue:
            self.queue.append(transport)
        return False

    def end(self, transport: DatabaseTransport) -> None:
        """The next one's turn, if it was this one's."""
        if self.owner is transport:
            self.owner = None
            self.hold_time()
            if self.queue:
                self.queue.popleft().take_turn()

    def forget(self, transport: DatabaseTransport) -> None:
        """The connection is no more, whether it had its turn or waited for it."""
        del self.transports[transport.descriptor]
        if transport in self.queue:
            self.queue.remove(transport)
        self.end(transport)

    def hold_time(self) -> None:
        """Tell the kernel how many there are for which time stands still."""
        self.kernel.external = self.connecting + (self.owner is not None)

    def collect(self, selector: Any) -> list[Any]:
        """Wait in real time until a reply is complete; virtual time stands still."""
        owner = self.owner
        if owner is not None:
            if owner.complete:  # it came while reading was paused, or with a big part before it
                return [(selector.get_key(owner.descriptor), selectors.EVENT_READ)]
            if owner.is_over():
                self.end(owner)
                return []
        start_s = _real_monotonic()
        while True:
            ready = []
            for key, events in selector.poll_all(1.0):
                transport = self.transports.get(key.fd)
                if (
                    transport is None
                    or events & selectors.EVENT_WRITE
                    or (transport.fill() and (transport is owner or transport.eof_seen))
                ):
                    ready.append((key, events))
            waited_s = _real_monotonic() - start_s
            if ready:
                self.waited_wall_s += waited_s
                return ready
            if waited_s > SILENCE_LIMIT_S:
                what = "a connection to be made" if self.connecting else "a reply of the database"
                raise VirtualTimeError(
                    f"expected {what} within {SILENCE_LIMIT_S:.0f} s of real time; "
                    "there is silence (a lock wait between two connections of one run?)"
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
        self._ends = b""  # types of the messages of which one ends the open reply
        self._answered = True  # no ReadyForQuery is outstanding
        self._open = False  # something was asked to which a reply must come
        self.eof_seen = False
        self.complete = False
        self.descriptor: int = sock.fileno()
        exchange.transports[self.descriptor] = self
        super().__init__(loop, sock, *args, **more)

    # -- asking ------------------------------------------------------------------------------------
    def write(self, data: Any) -> None:
        if self._conn_lost:
            super().write(data)
        elif data == SSL_REQUEST:
            self._loop.call_soon(self._protocol.data_received, NO_SSL)
        elif self._exchange.begin(self):
            self._ask(data)
        else:
            self._held.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def take_turn(self) -> None:
        """Go on where another connection was in the way."""
        self._exchange.begin(self)
        held, self._held = self._held, []
        for data in held:
            self.write(data)

    def _ask(self, data: Any) -> None:
        kind = data[0]
        if kind == ord("d"):
            self._open = False
            self._ends = b""
        elif kind in b"cf":
            self._open = not self._answered  # of a COPY that has failed the server says no more
            self._ends = b"Z"
            self._parsed = 0  # the reply may have begun
            self._parse()
        else:
            self._open = True
            self._answered = False
            if data[-5:] == FLUSH_MESSAGE:
                self._ends = b"TnE"
            elif kind == ord("Q"):
                self._ends = b"ZG"
            else:
                self._ends = b"Z"
        super().write(data)
        # Never over at once, although COPY data may be written by now: `collect` ends it when the
        # loop has nothing else to do. How fast a server reads must not say who is next.

    def is_over(self) -> bool:
        """True when nothing of the exchange is left: no reply to wait for or to hand over, and
        nothing to write."""
        return not (self._open or self.complete or self.get_write_buffer_size())

    # -- the reply ---------------------------------------------------------------------------------
    def fill(self) -> bool:
        """Read what is there; True when there is something to hand over."""
        try:
            data = self._sock.recv(262144)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if data:
            self._reply += data
            self._parse()
        else:
            self.eof_seen = True
            self.complete = True
        return self.complete

    def _parse(self) -> None:
        """Find the end of the reply, or of a big part of it; always at the same message."""
        reply, position, size, ends = self._reply, self._parsed, len(self._reply), self._ends
        while not self.complete and size - position >= 5:
            length = 1 + int.from_bytes(reply[position + 1 : position + 5], "big")
            if size - position < length:
                break
            kind = reply[position]
            if kind in ends or (kind == AUTHENTICATION and _asks(reply, position)):
                self.complete = True
                self._open = False
                self._answered = kind == ord("Z")
            position += length
            if position > BIG_REPLY_BYTES:
                self.complete = True
        self._parsed = position

    def _read_ready__data_received(self) -> None:
        if self._conn_lost or not self.complete:
            return
        self.complete = False
        size = len(self._reply) if self.eof_seen else self._parsed
        data = bytes(self._reply[:size])
        del self._reply[:size]
        self._parsed = 0
        if not self._open:
            self._ends = b""
        if data:
            try:
                self._protocol.data_received(data)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  as the base class does
                self._fatal_error(error, "Fatal error: protocol.data_received() call failed.")
                return
        if self.eof_seen:
            self._exchange.end(self)
            self._read_ready__on_eof()
        elif self._open:  # more of a big reply, or data_received() has asked again
            self._parse()
        else:
            self._exchange.end(self)

    def pause_reading(self) -> None:
        """COPY to a sink that takes its time: time goes on, and others may ask."""
        super().pause_reading()
        if self._exchange.owner is self:
            self._exchange.end(self)

    def resume_reading(self) -> None:
        super().resume_reading()
        if self._open or self.complete:  # the last part may have come before the pause
            self._exchange.begin(self)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        self._exchange.forget(self)
        super()._call_connection_lost(exc)


def _asks(reply: bytearray, position: int) -> bool:
    """Whether this message of the server's log-in waits for an answer."""
    code = int.from_bytes(reply[position + 5 : position + 9], "big")
    return code not in AUTHENTICATION_ENDS
