"""The page docs/live.md tells the truth: its example runs, its configuration is the default."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect as connect_websocket

from server.config import parse_config
from server.live.config import LiveConfig
from server.readings import Reading

PAGE = (Path(__file__).parents[3] / "docs" / "live.md").read_text(encoding="utf-8")
NS = 10**18


def block(language: str, having: str) -> str:
    """Give the code block of the page that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [text for text in blocks if having in text]
    return found


def test_the_configuration_is_the_default() -> None:
    """The page shows the bounds that count where nothing is configured."""
    assert parse_config(block("toml", "[live]"), "page", {}).live == LiveConfig()


async def test_the_example_listens(run_live: Callable[..., Any]) -> None:
    """The page's program gets a reading from a real gateway."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(block("python", "async def listen"), names)
    async with run_live() as gateway:
        hearing = asyncio.create_task(names["listen"](gateway.url.replace("http", "ws")))
        async with asyncio.timeout(10):
            while not gateway.hub.clients:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gateway.pipeline.offer([Reading(13, NS, 1.0, NS), Reading(12, NS, 812.5, NS)])
        assert (await asyncio.wait_for(hearing, 10))["value"] == 812.5


@pytest.mark.promise("F05", "F10")
async def test_a_hundred_clients(run_live: Callable[..., Any]) -> None:
    """120 clients get every message, and each costs far less than a megabyte."""
    count, messages = 120, 50
    async with run_live() as gateway:
        address = gateway.url.replace("http", "ws") + "/api/v1/live?form=points"
        before_kb = resident_kb()
        sockets = [
            await connect_websocket(address, compression=None, ping_interval=None)
            for _ in range(count)
        ]
        # Both ends of each connection are in this process.
        assert (resident_kb() - before_kb) / count < 1000

        async def hear(socket: Any) -> list[float]:
            values = []
            while len(values) < messages:
                message = json.loads(await socket.recv())
                if message["type"] == "reading":
                    values.append(message["value"])
            return values

        hearing = asyncio.gather(*(hear(socket) for socket in sockets))
        for number in range(messages):
            gateway.hub.readings(number + 1, [Reading(12, NS, float(number), NS)])
            await asyncio.sleep(0)
        expected = [float(number) for number in range(messages)]
        assert await asyncio.wait_for(hearing, 30) == [expected] * count
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            health = (await client.get("/api/v1/health")).json()
        assert health["websocket_connections"] == count
        await asyncio.gather(*(socket.close() for socket in sockets))


def resident_kb() -> int:
    """Resident memory of this process."""
    text = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", text)
    assert found is not None
    return int(found[1])
