"""Asks a gateway's application without a network: hundreds of requests in a second."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.types import ASGIApp, Message


class Answer(msgspec.Struct):
    """What came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Asker:
    """Sends requests from a peer.

    Args:
        app: that answers.
        host: header Host.
        peer: address of who asks.
    """

    def __init__(self, app: ASGIApp, host: str = "gateway.test", peer: str = "203.0.113.9") -> None:
        self._app = app
        self._host = host
        self._peer = peer

    async def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        scheme: str = "http",
    ) -> Answer:
        """Ask; method "WS" opens a WebSocket, whose answer is 101 where it is accepted."""
        path, _, query = target.partition("?")
        given = {"host": self._host} | {k.lower(): v for k, v in (headers or {}).items()}
        is_socket = method == "WS"
        scope: dict[str, Any] = {
            "type": "websocket" if is_socket else "http",
            "http_version": "1.1",
            "scheme": scheme.replace("http", "ws") if is_socket else scheme,
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in given.items()],
            "client": (self._peer, 50_000),
            "server": ("127.0.0.1", 8000),
            "extensions": {"websocket.http.response": {}},
        }
        if is_socket:
            scope["subprotocols"] = []
            coming: list[Message] = [
                {"type": "websocket.connect"},
                {"type": "websocket.disconnect", "code": 1000},
            ]
        else:
            scope["method"] = method
            coming = [{"type": "http.request", "body": body}]
        going: list[Message] = []

        async def receive() -> Message:
            if not coming:
                await asyncio.Event().wait()  # the peer stays, and says no more
            return coming.pop(0)

        async def send(message: Message) -> None:
            going.append(message)

        await self._app(scope, receive, send)
        return _answer(going)


def _answer(going: list[Message]) -> Answer:
    first = going[0]
    if first["type"] == "websocket.accept":
        return Answer(101, {}, b"")
    if first["type"] == "websocket.close":
        return Answer(403, {}, b"")  # what the server makes of it
    headers = {name.decode().lower(): value.decode() for name, value in first["headers"]}
    body = b"".join(message.get("body", b"") for message in going[1:])
    return Answer(first["status"], headers, body)
