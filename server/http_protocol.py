"""HTTP connections within bounds: heads are waited for so long, connections are so many.

uvicorn waits for ever for the rest of a request's head, and takes as many connections as come:
who opens enough of them and says nothing uses up the files of the process, and nobody else gets
in. Bodies have their own time limit (`server.requests`).

A connection that rests, all of its requests answered, is kept for its client's next request; where
a new one needs the room, the one that has rested for longest is closed. So what rests keeps nobody
out, however long it may.
"""

from __future__ import annotations

import asyncio
import resource

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.answers import PROBLEM, Refusal, problem_body
from server.clock import Clock

log = structlog.get_logger("telerig.http")

HEAD_TIMEOUT_S = 10.0
HEAD_BYTES = 131_072
REFUSED_TIMEOUT_S = 1.0
"""A connection beyond the limit may ask so late and still hear why it is refused."""
REFUSED_AT_ONCE = 50
"""So many wait to hear that; what comes on top is cut off without a word."""
FILES_RESERVE = 100
"""Files of the process that are no HTTP connections: database, links, logs, and those refused."""
WARN_S = 60.0
RETRY_S = 1


class Limits:
    """How many connections may be open, and the log's word about it.

    Args:
        connections: as configured; less where the process may not have so many files.
        clock: for the warnings.

    Attributes:
        connections: that may be open.
        refused: connections that were one too many, since the start.
    """

    def __init__(self, connections: int, clock: Clock) -> None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = connections if files == resource.RLIM_INFINITY else files - FILES_RESERVE
        self.connections = max(1, min(connections, allowed))
        self.refused = 0
        self._resting: dict[BoundedProtocol, None] = {}  # who has rested for longest comes first
        is_cut = self.connections < connections
        self._set_by = f"the file limit of {files} (ulimit -n)" if is_cut else "[http] connections"
        self._clock = clock
        self._warn_s: float | None = None

    def rests(self, connection: BoundedProtocol) -> None:
        """Take note that a connection has nothing to do."""
        self._resting[connection] = None

    def works(self, connection: BoundedProtocol) -> None:
        """Take note that it has, or is gone."""
        self._resting.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that has rested for longest; tell whether there was one."""
        for connection in self._resting:
            connection.give_way()
            return True
        return False

    def refuse(self) -> None:
        """Count a connection that is one too many; warn once a minute."""
        self.refused += 1
        now_s = self._clock.monotonic_s()
        if self._warn_s is None or now_s >= self._warn_s:
            self._warn_s = now_s + WARN_S
            log.warning(
                "too many connections",
                limit=self.connections,
                set_by=self._set_by,
                refused=self.refused,
            )


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection, closed where a head is late or the connection one too many.

    A subclass names the `limits`.
    """

    limits: Limits
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_refused = False
    _is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or only to say that there are too many."""
        super().connection_made(transport)
        surplus = len(self.connections) - self.limits.connections
        if surplus > 0 and not self.limits.make_room():
            self.limits.refuse()
            self._is_refused = True
            if surplus > REFUSED_AT_ONCE:
                transport.abort()
                return
        self._wait_for_head(REFUSED_TIMEOUT_S if self._is_refused else HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.limits.works(self)
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; where they are not all of a head, the rest has to come in time."""
        if self._is_refused:
            # Not before something was read: a close with unread bytes would undo the answer.
            self._refuse()
            return
        self.limits.works(self)
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_upgraded or (self.cycle is not None and not self.cycle.response_complete):
            self._head_is_here()
        elif self._head_timer is None and not self.transport.is_closing():
            self._wait_for_head(HEAD_TIMEOUT_S)
        if self._head_timer is None:
            self._head_bytes = 0
        elif self._head_bytes > HEAD_BYTES:
            self._end(431, f"a request head of at most {HEAD_BYTES} bytes", "more", "head")

    def on_response_complete(self) -> None:
        """Answer the next request, or rest until it comes."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.limits.rests(self)

    def give_way(self) -> None:
        """Close a connection that rests: its place is needed."""
        self.limits.works(self)
        self.connections.discard(self)  # now: its end is told in a later turn of the loop
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._is_upgraded = True
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or has too long a URL, with a problem."""
        self._end(400, "a request of HTTP/1.1, its URL within 64 KiB", "something else", "head")

    def _wait_for_head(self, timeout_s: float) -> None:
        self._head_timer = self.loop.call_later(timeout_s, self._head_is_late)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_refused:
            self._refuse()
        else:
            expected = f"a whole request head within {HEAD_TIMEOUT_S:g} s"
            self._end(408, expected, "not all of it", "head")

    def _refuse(self) -> None:
        expected = f"at most {self.limits.connections} open connections"
        self._end(503, expected, "more", "connection", b"retry-after: %d\r\n" % RETRY_S)

    def _end(
        self, status: int, expected: str, found: str, where: str, headers: bytes = b""
    ) -> None:
        if self.transport.is_closing():
            return
        body = problem_body(Refusal(status, where, expected, found), "")
        head = b"content-type: %s\r\ncontent-length: %d\r\n" % (PROBLEM.encode(), len(body))
        parts = [STATUS_LINE[status], head, headers, b"connection: close\r\n\r\n", body]
        self.transport.write(b"".join(parts))
        self.transport.close()


def bounded_by(limits: Limits) -> type[BoundedProtocol]:
    """Give the protocol class of a server, which makes its connections with uvicorn's arguments."""

    class Bounded(BoundedProtocol):
        pass

    Bounded.limits = limits
    return Bounded
