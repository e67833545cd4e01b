"""Clients of /ws."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket


class Talker:
    """A WebSocket client that keeps what it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []

    async def say(self, content: object) -> None:
        """Send a message: JSON, or a text as it is."""
        await self.socket.send(content if isinstance(content, str) else json.dumps(content))

    async def until(
        self, condition: Callable[[dict[str, Any]], object], timeout_s: float = 15
    ) -> dict[str, Any]:
        """Give the first message, of those not asked for yet, that fits."""
        async with asyncio.timeout(timeout_s):
            while True:
                self.messages.append(json.loads(await self.socket.recv()))
                if condition(self.messages[-1]):
                    return self.messages[-1]

    async def of(self, kind: str) -> dict[str, Any]:
        """Give the next message of a type."""
        return await self.until(lambda message: message["type"] == kind)


Talk = Callable[..., AbstractAsyncContextManager[Talker]]


@pytest.fixture
def talk() -> Talk:
    """Connect: `async with talk(url, "telerig.s2") as client`."""

    @contextlib.asynccontextmanager
    async def connected(url: str, *subprotocols: str, **options: Any) -> AsyncIterator[Talker]:
        async with connect_websocket(
            url.replace("http", "ws", 1), subprotocols=list(subprotocols) or None, **options
        ) as socket:
            yield Talker(socket)

    return connected
