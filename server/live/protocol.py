"""uvicorn's WebSocket connection, which takes many frames in one write, and bears bad clients.

Beside what uvicorn does:

* whole frames, made in advance, go straight to the transport (`write`), and whoever writes them is
  told when the connection can take more (`on_writable`);
* the kernel keeps little that is not sent, so that a slow client's newest messages are new;
* who sends more frames than a person and a program together would is cut off;
* pongs to a client that does not read do not pile up;
* a connection that cannot be closed politely, because the other end does not read, is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from asyncio.transports import BaseTransport
from collections.abc import Callable
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

log = structlog.get_logger("telerig.live")

OUTLET = "telerig.outlet"
"""Where a handler finds the connection: in scope["extensions"]."""
FRAMES_PER_S = 50.0
FRAMES_BURST = 200.0
SLICE_BYTES = 1024
"""Taken at a time: so much of a flood is looked at before it is seen to be one."""
UNSENT_BYTES = 131_072
HIGH_BYTES = 65_536
LOW_BYTES = 16_384
LAST_WORDS_S = 2.0
TELL_S = 10.0
CLOSE_POLICY = 1008
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class LiveProtocol(WebSocketsSansIOProtocol):
    """A WebSocket connection (an `Outlet`)."""

    cut_off: ClassVar[int] = 0
    told_s: ClassVar[float] = -math.inf
    on_writable: Callable[[], None] | None = None
    _pong: bytes | None = None
    _budget = FRAMES_BURST
    _budget_s = 0.0

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the connection."""
        super().connection_made(transport)
        self.close_timeout = LAST_WORDS_S
        self.transport.set_write_buffer_limits(HIGH_BYTES, LOW_BYTES)
        sock = transport.get_extra_info("socket")
        if sock is not None and _TCP_NOTSENT_LOWAT is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self.on_writable = None

    # What is written.

    @property
    def is_writable(self) -> bool:
        """Whether it takes bytes without piling them up."""
        return self.writable.is_set() and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether messages may still be sent."""
        return (
            self.handshake_complete
            and not self.close_sent
            and not self.disconnected
            and not self.transport.is_closing()
        )

    def write(self, data: bytes) -> None:
        """Send whole frames; nothing after the end of the connection."""
        if self.is_open:
            self.transport.write(data)

    def resume_writing(self) -> None:
        """Go on with what had to wait."""
        super().resume_writing()
        if self._pong is not None and self.is_open:
            self.transport.write(self._pong)
        self._pong = None
        if self.on_writable is not None:
            self.on_writable()

    # What is read.

    def handle_connect(self, event: Request) -> None:
        """Let the handler find this connection."""
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][OUTLET] = self

    def data_received(self, data: bytes) -> None:
        """Take bytes; none after the end, which may come between two frames of them."""
        for begin in range(0, len(data), SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[begin : begin + SLICE_BYTES])

    def handle_events(self) -> None:
        """Take frames, as long as they are not too many."""
        count = len(self.conn.events)
        super().handle_events()
        now_s = self.loop.time()
        if self._budget_s:
            self._budget += (now_s - self._budget_s) * FRAMES_PER_S
        self._budget = min(FRAMES_BURST, self._budget) - count
        self._budget_s = now_s
        if self._budget < 0 and self.is_open:
            self._tell_cut(now_s)
            self.end(CLOSE_POLICY, "too many frames")

    def _tell_cut(self, now_s: float) -> None:
        """Log it now and then, however many come."""
        LiveProtocol.cut_off += 1
        if now_s >= LiveProtocol.told_s + TELL_S or now_s < LiveProtocol.told_s:
            LiveProtocol.told_s = now_s
            peer = self.client[0] if self.client is not None else ""
            log.warning("client sends too many frames", peer=peer, cut_off=LiveProtocol.cut_off)

    def end(self, code: int, reason: str) -> None:
        """Close the connection at once, whatever still waits to be read by the other end."""
        if not self.is_open:
            return
        self._fail(code, reason)

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close()

    def handle_ping(self) -> None:
        """Answer; to a client that does not read only the newest answer is kept."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            waiting = self.conn.data_to_send()
            self._pong = waiting[-1] if waiting else self._pong

    # The end.

    async def send(self, message: Any) -> None:
        """Take a message of the application; an end does not wait for a slow client."""
        if message["type"] == "websocket.close" and self.is_open:
            if not self.writable.is_set():
                self._fail(message.get("code", 1000), message.get("reason") or "")
                return
            self.loop.call_later(self.close_timeout + LAST_WORDS_S, self._cut)
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # Refused with an answer: uvicorn would log that there was none.
            self.handshake_complete = True

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Leave nothing where the application has ended."""
        super().on_task_complete(task)
        if self.transport.is_closing():
            self._cut_later()

    def keepalive_timeout(self) -> None:
        """End a connection whose other end is silent."""
        super().keepalive_timeout()
        self._cut_later()

    def shutdown(self) -> None:
        """End the connection, because the server ends."""
        super().shutdown()
        self._cut_later()

    def _close(self) -> None:
        self.transport.close()
        self._cut_later()

    def _cut_later(self) -> None:
        """Cut the connection where what is left to be written is not read."""
        if not self.disconnected:
            self.loop.call_later(LAST_WORDS_S, self._cut)

    def _cut(self) -> None:
        if not self.disconnected:
            self.transport.abort()
