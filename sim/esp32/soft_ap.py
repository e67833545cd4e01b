"""The board as an access point with a small HTTP server: how it is provisioned."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_BODY_BYTES = 4096
MAX_WAITING = 4

Reply = Callable[[int, Sequence[tuple[str, str]], bytes], None]
"""Called once as reply(status, headers, body)."""


@dataclass(frozen=True, slots=True)
class _Request:
    cookie: bytes
    path: str
    body: bytes


class SoftAp:
    """Requests in, replies out.

    Args:
        on_request: called when there is something to take.

    Attributes:
        ssid: the open network's name; empty while there is none.
        on_change: called when the network opens or closes.
    """

    def __init__(self, on_request: Callable[[], None]) -> None:
        self.ssid = ""
        self.on_change: Callable[[], None] | None = None
        self._on_request = on_request
        self._waiting: deque[tuple[int, _Request]] = deque()
        self._replies: dict[int, Reply] = {}
        self._count = 0

    # -- from outside ------------------------------------------------------------------------------
    def request(self, cookie: bytes, path: str, body: bytes, reply: Reply) -> None:
        """Send a POST to the board; what it cannot take is answered at once."""
        if not self.ssid:
            reply(503, [], b"the access point is closed")
        elif len(body) > MAX_BODY_BYTES:
            reply(413, [], b"the body is too long")
        elif len(self._waiting) >= MAX_WAITING:
            reply(503, [], b"busy")
        else:
            self._count += 1
            self._replies[self._count] = reply
            self._waiting.append((self._count, _Request(cookie, path, body)))
            self._on_request()

    # -- the firmware's side -----------------------------------------------------------------------
    def start(self, ssid: str) -> None:
        """Open the network."""
        self._set(ssid)

    def stop(self) -> None:
        """Close the network; what waits gets no answer from the firmware any more."""
        self._set("")
        self._waiting.clear()
        replies, self._replies = self._replies, {}
        for reply in replies.values():
            reply(503, [], b"the access point is closed")

    def receive(self) -> tuple[int, bytes, str, bytes] | None:
        """Take the oldest request as (connection, cookie, path, body)."""
        if not self._waiting:
            return None
        connection, request = self._waiting.popleft()
        return connection, request.cookie, request.path, request.body

    def reply(
        self, connection: int, status: int, headers: Sequence[tuple[str, str]], body: bytes
    ) -> None:
        """Answer; a connection that is gone is no mistake."""
        reply = self._replies.pop(connection, None)
        if reply is not None:
            reply(status, headers, body)

    def _set(self, ssid: str) -> None:
        if ssid != self.ssid:
            self.ssid = ssid
            if self.on_change is not None:
                self.on_change()
