"""A gateway on a real database with registered devices, and clients that send to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest

from server.gateway import Gateway
from server.store.connection import connect
from tests.server.running import gateway_config, running
from tests.server.stored import StoredReading, fetch_readings

NOW_NS = time.time_ns() // 1_000_000 * 1_000_000


class Sender:
    """A device: its key, and a client that sends with it."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        self.http = httpx2.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=20)

    async def post(self, path: str, content: Any, **headers: str) -> httpx2.Response:
        """Send JSON, or bytes as protobuf."""
        if not isinstance(content, bytes):
            content = msgspec.json.encode(content)
            headers = {"content-type": "application/json"} | headers
        else:
            headers = {"content-type": "application/x-protobuf"} | headers
        return await self.http.post(f"/api/v1{path}", content=content, headers=headers)


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """A gateway that runs."""
    async with running(gateway_config(database_url)) as running_gateway:
        yield running_gateway


@pytest.fixture
async def sender(gateway: Gateway) -> AsyncIterator[Sender]:
    """The device "esp-1"."""
    _, minted = await gateway.registry.register("esp-1")
    device = Sender(gateway.url, minted.key)
    yield device
    await device.http.aclose()


async def rows(url: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """What the database holds."""
    connection = await connect(url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(query, *arguments)
        return found
    finally:
        await connection.close()


async def stored(url: str, device: str = "esp-1") -> list[StoredReading]:
    """The readings of a device, by boot and number."""
    return sorted(await fetch_readings(url, device), key=lambda r: (r.boot, r.seq))


def values(readings: Iterable[StoredReading]) -> list[float]:
    """Their values."""
    return [reading.value for reading in readings]
