"""Requests: each has an id, is counted, and is logged where that is wanted.

The id is what the client sent as `X-Request-ID`, else one of the gateway's own; it is in the answer
and in every line that the request writes to the log. Lines of requests come at level debug, with
`[log] requests = true` at info; answers 5xx other than 503 always, as warnings. Queries and headers
are left out: they may hold secrets.
"""

from __future__ import annotations

import asyncio
import re

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from server.answers import Refusal, problem_response
from server.clock import Clock
from server.devices.key import without_secrets
from server.logs import RequestMark
from server.operation.http_counts import OTHER, HttpCounts

log = structlog.get_logger("telerig.http")

HEADER = b"x-request-id"
_STOPPING = Refusal(503, "gateway", "one that runs", "one that stops", headers={"retry-after": "2"})
_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,100}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"})


class RequestLog:
    """The outermost layer of the API.

    Args:
        app: what answers.
        clock: for the time that it takes.
        counts: where answers are counted.
        prefix: of the ids that are made here.
        is_loud: requests are told at level info.
    """

    def __init__(
        self,
        app: ASGIApp,
        clock: Clock,
        counts: HttpCounts,
        prefix: str,
        *,
        is_loud: bool = False,
    ) -> None:
        self._app = app
        self._clock = clock
        self._counts = counts
        self._prefix = prefix
        self._is_loud = is_loud
        self._number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, count it, and log it."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = self._id(scope)
        header = (HEADER, request_id)
        status = 0
        counts = self._counts

        async def watched(message: Message) -> None:
            nonlocal status
            if not status:
                what = message["type"]
                if what in ("http.response.start", "websocket.http.response.start"):
                    status = message["status"]
                    message["headers"] = [*message.get("headers", ()), header]
                elif what == "websocket.accept":
                    status = 101
                    counts.sockets += 1
                    message["headers"] = [*message.get("headers", ()), header]
                elif what == "websocket.close":
                    status = 403
            await send(message)

        began_s = self._clock.monotonic_s()
        counts.active += 1
        scope["request_id"] = text = request_id.decode("ascii")
        # Of this request alone: each has a task, and so a context, of its own.
        mark = RequestMark(text)
        bind_contextvars(request_id=mark)
        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            # By uvicorn: the gateway stops, and this request would have taken longer than it waits.
            if kind != "http":
                raise
            if not status:
                await problem_response(_STOPPING, scope["path"])(scope, receive, watched)
        except BaseException:
            status = status or 500
            raise
        finally:
            counts.active -= 1
            took_s = self._clock.monotonic_s() - began_s
            method = scope.get("method", "WS")
            self._end(scope, method, status, took_s, text)
            mark.end()

    def _id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == HEADER and _ID.fullmatch(value):
                return bytes(value)
        self._number += 1
        return f"{self._prefix}-{self._number:x}".encode()

    def _end(self, scope: Scope, method: str, status: int, took_s: float, text: str) -> None:
        route = scope.get("route")
        path = getattr(route, "path", OTHER)
        # A WebSocket's time is that of its life, and says nothing about answers.
        counted_s = 0.0 if method == "WS" else took_s
        self._counts.add(method if method in _METHODS else OTHER, path, status, counted_s)
        # 503 is told by whatever is away, once: each request of a thousand devices is a flood.
        is_fault = status >= 500 and status != 503
        level = log.warning if is_fault else log.info if self._is_loud else log.debug
        client = scope.get("client")
        level(
            "request",
            method=method,
            path=without_secrets(scope["path"]),  # of what no dialect has served
            status=status,
            peer=client[0] if client else "",
            ms=round(took_s * 1000, 1),
            request_id=text,
        )
