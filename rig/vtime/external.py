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

What is wrong on the way to a database (`Way`) takes virtual time: before a request leaves, and
after its reply has come. Meanwhile no exchange is open.

There is no TLS in virtual time: a request for it is declined as by a server that has none.
Notifications reach a connection with its next reply. A lock wait between two connections of one run
ends in an error, because the one that holds the lock waits for time; unless somebody can tell
(`Exchange.is_blocked`): then the request waits aside, and time goes on.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import os
import select
import selectors
import socket
from asyncio import selector_events
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rig.vtime.kernel import Kernel, VirtualTimeError, _real_monotonic
from rig.vtime.program import Program, current

_Base: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]

FLUSH_MESSAGE = b"H\0\0\0\4"
SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
NO_SSL = b"N"
AUTHENTICATION = ord("R")
BACKEND_KEY = ord("K")
AUTHENTICATION_ENDS = (0, 12)  # AuthenticationOk, AuthenticationSASLFinal: they ask nothing
BIG_REPLY_BYTES = 1 << 20  # a long result is handed over in whole messages of about this much
SILENCE_LIMIT_S = 30.0  # wall clock
FIRST_LOOK_S = 0.05  # wall clock; an answer takes less, unless it waits for a lock
TO_SERVER, TO_PROGRAM = 0, 1


def is_database(protocol: Any) -> bool:
    """Told by the protocol's class, not by port or path: it may be any address."""
    return any(cls.__module__.startswith("asyncpg.") for cls in type(protocol).__mro__)


def is_for_database(protocol_factory: Any) -> bool:
    """Tell whether a connection that is to be made leads to a database."""
    return str(getattr(protocol_factory, "__module__", "")).startswith("asyncpg.")


class Way:
    """The way to every database of this process, and what is wrong with it.

    Attributes:
        is_down: new connections are refused.
        lags: each gives seconds by which a request, or a reply, comes later.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.lags: list[Callable[[], float]] = []

    @property
    def lag_s(self) -> float:
        """How much later the next request, or reply, comes; drawn anew each time."""
        return sum(lag() for lag in self.lags)

    async def enter(self) -> None:
        """Begin a connection.

        Raises:
            ConnectionRefusedError: nobody listens.
        """
        if self.lags:
            await asyncio.sleep(self.lag_s)
        if self.is_down:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


class Exchange:
    """The one open exchange, and the connections that wait for their turn.

    Attributes:
        way: to the databases.
        is_blocked: tells whether a backend waits for a lock of one of the others; needed where the
            way takes time, because then who holds a lock may wait for time. None: nobody knows.
        cut_off: connections whose end their programs are to be told now.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.way = Way()
        self.is_blocked: Callable[[int, Sequence[int]], bool] | None = None
        self._blocked: list[DatabaseTransport] = []
        self._has_moved = False
        self.cut_off: list[DatabaseTransport] = []
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
            self._has_moved = True
            self.hold_time()
            if self.queue:
                self.queue.popleft().take_turn()

    def cut(self) -> None:
        """Cut every connection, whose server's end has been told to close; at rest only.

        What the server said last is read, and each program hears of it at this instant.
        """
        self.cut_off = list(self.transports.values())
        _drain(self.cut_off)

    def take_cut_off(self, selector: Any) -> list[Any]:
        """Return the events that tell of what was cut."""
        cut_off, self.cut_off = self.cut_off, []
        watched = selector.get_map()
        return [
            (watched[transport.descriptor], selectors.EVENT_READ)
            for transport in cut_off
            if transport.descriptor in watched
            and watched[transport.descriptor].events & selectors.EVENT_READ
        ]

    def kill(self, program: Program) -> None:
        """End a dead program's connections, and wait until their servers' ends are gone, too.

        A request that has left is carried out: a server looks for its client when it answers.
        """
        its_own = [t for t in self.transports.values() if t.program is program]
        _drain(its_own)
        for transport in its_own:
            self.forget(transport)

    def is_answering(self, transport: DatabaseTransport) -> bool:
        """Tell whether a connection is there, and none that waits for a lock: that would not end
        before whoever has it."""
        return transport.descriptor in self.transports and transport not in self._blocked

    def forget(self, transport: DatabaseTransport) -> None:
        """The connection is no more, whether it had its turn or waited for it."""
        if self.transports.pop(transport.descriptor, None) is None:
            return
        for waiting in (self.queue, self._blocked):
            if transport in waiting:
                waiting.remove(transport)
        self._has_moved = True
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
        look_s = FIRST_LOOK_S if self.is_blocked is not None and owner is not None else 1.0
        while True:
            ready = []
            for key, events in selector.poll_all(look_s):
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
            if owner is not None and self._is_waiting(owner):
                self._blocked.append(owner)
                self.end(owner)
                return []
            look_s = min(2 * look_s, 1.0)
            if waited_s > SILENCE_LIMIT_S:
                what = "a connection to be made" if self.connecting else "a reply of the database"
                raise VirtualTimeError(
                    f"expected {what} within {SILENCE_LIMIT_S:.0f} s of real time; "
                    "there is silence (a lock wait between two connections of one run?)"
                )

    def _is_waiting(self, transport: DatabaseTransport) -> bool:
        """Tell whether the server lets a request wait for another connection of this process."""
        others = [other.backend for other in self.transports.values() if other is not transport]
        return self.is_blocked is not None and self.is_blocked(transport.backend, others)

    def let_in(self) -> bool:
        """Give its turn to a request that waited for another connection, and does no more.

        That one has moved since: nothing else can have ended the wait. What the server says of it
        is the same in every run, however long it then takes to answer.
        """
        if not self._has_moved or not self._blocked or self.owner is not None:
            return False
        self._has_moved = False
        for transport in self._blocked:
            if transport.complete or not self._is_waiting(transport):
                self._blocked.remove(transport)
                self.owner = transport
                self.hold_time()
                return True
        return False

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
        self._leaving: collections.deque[bytes] = collections.deque()
        self._arriving: collections.deque[tuple[bytes, bool]] = collections.deque()
        self._parked = 0  # replies that came while reading was paused
        self._due_s = [0.0, 0.0]  # when the newest request comes through, and the newest reply
        self._is_cut = False
        self.program = current.get()
        self.backend = 0  # the server's process
        self.descriptor: int = sock.fileno()
        exchange.transports[self.descriptor] = self
        super().__init__(loop, sock, *args, **more)

    # -- asking ------------------------------------------------------------------------------------
    def write(self, data: Any) -> None:
        if self._conn_lost:
            super().write(data)
        elif data == SSL_REQUEST:
            self._loop.call_soon(self._protocol.data_received, NO_SSL)
        elif self._exchange.way.lags or self._leaving:
            self._leaving.append(data if isinstance(data, bytes) else bytes(data))
            self._later(TO_SERVER, self._leave)
        elif self._exchange.begin(self):
            self._ask(data)
        else:
            self._held.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def _later(self, way: int, action: Callable[[], None]) -> None:
        """Call `action` after the lag, behind all that goes the same way."""
        due_s = max(self._loop.time() + self._exchange.way.lag_s, self._due_s[way])
        self._due_s[way] = due_s
        self._loop.call_at(due_s, action)

    def _leave(self) -> None:
        """A request has come through to the server."""
        self._come_through(self._leaving.popleft())

    def _come_through(self, data: bytes) -> None:
        if self._conn_lost or self._is_cut:
            return
        if self._exchange.begin(self):
            self._ask(data)
        else:
            self._held.append(data)

    def take_turn(self) -> None:
        """Go on where another connection was in the way."""
        self._exchange.begin(self)
        held, self._held = self._held, []
        for data in held:
            self._come_through(data)

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

    def say_no_more(self) -> None:
        """Close the way to the server; what was on its way from there is lost."""
        with contextlib.suppress(OSError):  # it is gone already
            self._sock.shutdown(socket.SHUT_WR)
        self._arriving.clear()
        self._is_cut = True

    def drain(self) -> None:
        """Read up to the end, waiting for it in real time."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        end_s = _real_monotonic() + SILENCE_LIMIT_S
        while not self.eof_seen:
            if _real_monotonic() > end_s:
                raise VirtualTimeError(
                    f"expected the database to end a connection within {SILENCE_LIMIT_S:.0f} s of "
                    "real time; it does not"
                )
            poll.poll(1000)
            self.fill()

    def _parse(self) -> None:
        """Find the end of the reply, or of a big part of it; always at the same message."""
        reply, position, size, ends = self._reply, self._parsed, len(self._reply), self._ends
        while not self.complete and size - position >= 5:
            length = 1 + int.from_bytes(reply[position + 1 : position + 5], "big")
            if size - position < length:
                break
            kind = reply[position]
            if kind == BACKEND_KEY:
                self.backend = int.from_bytes(reply[position + 5 : position + 9], "big")
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
        if (self._exchange.way.lags or self._arriving) and not self._is_cut:
            self._arriving.append((data, self.eof_seen))
            self._later(TO_PROGRAM, self._arrive)
            self._settle(self.eof_seen)
        else:
            self._hand_over(data, self.eof_seen)

    def _hand_over(self, data: bytes, is_end: bool) -> None:
        if data:
            try:
                self._protocol.data_received(data)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  as the base class does
                self._fatal_error(error, "Fatal error: protocol.data_received() call failed.")
                return
        self._settle(is_end)
        if is_end:
            self._read_ready__on_eof()

    def _settle(self, is_end: bool) -> None:
        """Let others ask, if this reply was read to its end."""
        if not is_end and self._open:  # more of a big reply, or data_received() has asked again
            self._parse()
        else:
            self._exchange.end(self)

    def _arrive(self) -> None:
        """A reply has come through to the program, which may have no room for it just now."""
        if self._paused:
            self._parked += 1
        elif self._arriving and not self._conn_lost:
            data, is_end = self._arriving.popleft()
            if data:
                self._protocol.data_received(data)
            if is_end:
                self._read_ready__on_eof()

    def pause_reading(self) -> None:
        """COPY to a sink that takes its time: time goes on, and others may ask."""
        super().pause_reading()
        if self._exchange.owner is self:
            self._exchange.end(self)

    def resume_reading(self) -> None:
        super().resume_reading()
        parked, self._parked = self._parked, 0
        for _ in range(parked):
            self._loop.call_soon(self._arrive)
        if self._open or self.complete:  # the last part may have come before the pause
            self._exchange.begin(self)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        # Aborted, its session would hold locks for some instants more, or fewer.
        if self._exchange.is_answering(self):
            _drain([self])
        self._exchange.forget(self)
        super()._call_connection_lost(exc)


def _drain(transports: Iterable[DatabaseTransport]) -> None:
    """End connections, all before the first is waited for: one may hold what another waits for."""
    those = list(transports)
    for transport in those:
        transport.say_no_more()
    for transport in those:
        transport.drain()


def _asks(reply: bytearray, position: int) -> bool:
    """Whether this message of the server's log-in waits for an answer."""
    code = int.from_bytes(reply[position + 5 : position + 9], "big")
    return code not in AUTHENTICATION_ENDS
