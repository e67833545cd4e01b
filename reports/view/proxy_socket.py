"""WebSockets between a browser and the gateway behind the pages."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from reports.view import proxy

GONE = 1001
TRY_AGAIN = 1013
CLOSE_S = 1.0
MESSAGE_BYTES = 16 * 1024 * 1024
QUEUE_MESSAGES = 16
SET_BY_CLIENT = frozenset((b"host", b"origin", b"user-agent", b"accept-encoding"))


async def pass_socket(
    gateway: proxy.GatewayAddress,
    tls: ssl.SSLContext | None,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Open the socket at the gateway, then accept the browser's, then pass messages both ways."""
    await receive()  # websocket.connect
    address = gateway.origin.replace("http", "ws", 1) + proxy.target(gateway, scope).decode("ascii")
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in proxy.request_headers(gateway, scope)
        if name not in SET_BY_CLIENT
    ]
    from_page = any(name == b"origin" for name, _ in scope["headers"])
    try:
        far = await connect(
            address,
            origin=gateway.origin if from_page else None,  # type: ignore[arg-type]
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in scope.get("subprotocols", [])] or None,
            user_agent_header=None,
            ssl=tls,
            compression=None,
            max_size=MESSAGE_BYTES,
            max_queue=QUEUE_MESSAGES,
            open_timeout=proxy.CONNECT_S,
            close_timeout=CLOSE_S,
            ping_interval=None,  # both ends have heartbeats of their own
            proxy=None,
        )
    except InvalidStatus as error:
        await _deny(scope, send, error)
        return
    except (OSError, TimeoutError, InvalidHandshake) as error:
        await _away(gateway, scope, send, error)
        return
    try:
        await send({"type": "websocket.accept", "subprotocol": far.subprotocol})
        await _pass(far, receive, send)
    finally:
        await far.close()


async def _pass(far: ClientConnection, receive: Receive, send: Send) -> None:
    down = asyncio.create_task(_down(far, send))
    up = asyncio.create_task(_up(far, receive))
    try:
        await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (down, up):
            task.cancel()
        await asyncio.gather(down, up, return_exceptions=True)


async def _down(far: ClientConnection, send: Send) -> None:
    """From the gateway: one message at a time, so that a slow browser holds the gateway's queue and
    not ours."""
    try:
        while True:
            message = await far.recv()
            key = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", key: message})
    except ConnectionClosed as closed:
        frame = closed.rcvd
        code, reason = (frame.code, frame.reason) if frame is not None else (GONE, "gateway away")
        await send({"type": "websocket.close", "code": code, "reason": reason})


async def _up(far: ClientConnection, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        await far.send(message["bytes"] if text is None else text)


async def _deny(scope: Scope, send: Send, error: InvalidStatus) -> None:
    """Pass on that, and why, the gateway did not accept it."""
    answer = error.response
    headers = [(b"content-type", answer.headers.get("content-type", "text/plain").encode())]
    await _answer(scope, send, answer.status_code, headers, bytes(answer.body or b""))


async def _away(gateway: proxy.GatewayAddress, scope: Scope, send: Send, error: Exception) -> None:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": "Bad Gateway",
        "status": 502,
        "detail": f"expected the gateway, found that {gateway.origin} does not answer: {reason}",
        "instance": scope["path"],
    }
    headers = [(b"content-type", proxy.PROBLEM)]
    await _answer(scope, send, 502, headers, json.dumps(body).encode())


async def _answer(
    scope: Scope, send: Send, status: int, headers: proxy.Headers, body: bytes
) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": TRY_AGAIN, "reason": ""})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
