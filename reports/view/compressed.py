"""Scripts and styles go compressed to other machines: a phone in a car has a thin line. To this
machine they go as they are, which is faster."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reports.view.addresses import ASSETS, DASH
from reports.view.hosts import is_loopback

LEVEL = 6
KEPT_BYTES = 8 * 1024 * 1024
SMALLEST_BYTES = 1_000
KINDS = ("text/", "application/javascript", "application/json", "image/svg")


class Compressed:
    """Compresses an application's files, and keeps the result: they are few."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: OrderedDict[str, tuple[Message, bytes]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if not _pays(scope):
            await self._app(scope, receive, send)
            return
        found = self._kept.get(scope["path"])
        if found is None:
            found = await self._made(scope, receive)
        start, body = found
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def _made(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        start: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, collect)
        body = b"".join(parts)
        headers = MutableHeaders(scope=start)
        kind = headers.get("content-type", "")
        if start["status"] != 200 or len(body) < SMALLEST_BYTES or not kind.startswith(KINDS):
            return start, body
        body = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
        headers.add_vary_header("Accept-Encoding")
        if "immutable" in headers.get("cache-control", "") or "max-age" in headers.get(
            "cache-control", ""
        ):
            self._keep(scope["path"], start, body)
        return start, body

    def _keep(self, path: str, start: Message, body: bytes) -> None:
        self._kept[path] = (start, body)
        while sum(len(kept) for _, kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)


def _pays(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    if not scope["path"].startswith((ASSETS, *DASH)):
        return False
    if is_loopback((scope.get("client") or ("", 0))[0]):
        return False
    headers = Headers(scope=scope)
    return "gzip" in headers.get("accept-encoding", "") and "if-none-match" not in headers
