"""Requests in the log, at level debug: what was asked, and how it was answered."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.clock import Clock

log = structlog.get_logger("telerig.http")


class RequestLog:
    """Logs each request at its end, without its query and headers, which may hold secrets.

    Args:
        app: what answers.
        clock: for the time that it takes.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close" and not status:
                status = 403
            await send(message)

        began_s = self._clock.monotonic_s()
        try:
            await self._app(scope, receive, watched)
        finally:
            client = scope.get("client")
            log.debug(
                "request",
                method=scope.get("method", "WS"),
                path=scope["path"],
                status=status,
                peer=client[0] if client else "",
                ms=round((self._clock.monotonic_s() - began_s) * 1000, 1),
            )
