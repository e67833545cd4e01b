"""A gateway with an hour's drive of a device, and somebody who may look."""

from __future__ import annotations

import math
from array import array
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest_asyncio

from server.catalogue import by_name
from server.gateway import Gateway
from server.history.wanted import Column
from server.ingest.batch import Batch, Checker
from server.store.body import Column as Sent
from server.store.body import little_endian
from server.store.embedded import EmbeddedPostgres
from tests.server.running import QUICK, gateway_config, running

START_NS = 1_767_323_045_000_000_000  # 2026-01-02T03:04:05Z
SECOND_NS = 1_000_000_000


def column(
    name: str, times_s: list[float], values: list[float], states: bytes | None = None
) -> Column:
    """A column of a session that begins at START_NS."""
    times_ns = array("q", [START_NS + round(time_s * 1e9) for time_s in times_s])
    return Column(
        "esp-1", 1, by_name(name).id, times_ns, array("d", values), states or bytes(len(values))
    )


async def drive(gateway: Gateway, seconds: int = 60, device: str = "esp-1") -> int:
    """Store RPM and SPEED at 10 Hz and a position each second, of boot 7; give how many."""
    found = await gateway.registry.find(device)
    if found is None:
        found, _ = await gateway.registry.register(device)
    seq = 1
    for begin in range(0, seconds, 600):
        size = min(600, seconds - begin)
        first_ns = START_NS + begin * SECOND_NS
        checker = Checker(gateway.clock.now_ns())
        place = 0
        for name, rate, value in (
            ("RPM", 10, lambda t: round(2000 + 800 * math.sin(t / 10)) * 0.25),
            ("SPEED", 10, lambda t: float(round(60 + 40 * math.sin(t / 30)))),
            ("LAT", 1, lambda t: 49.0 + t * 1e-4),
            ("LON", 1, lambda t: 12.0 + t * 2e-4),
            ("ALT", 1, lambda t: 340.5),
            ("GPS_SPEED", 1, lambda t: 36.0),
        ):
            signal = by_name(name)
            values = array("d", [value(begin + i / rate) for i in range(size * rate)])
            sent = Sent(place, signal.id, first_ns, [SECOND_NS // rate], little_endian(values))
            checker.column(sent, signal, name)
            place += len(values)
        batch = Batch(7, seq, place, "WF0DXXGAKDDK12345", checker.good, checker.problems, 1)
        answer = await gateway.ingest.store(found, batch)
        assert answer.accepted == place
        seq += place
    return seq - 1


def whole() -> Any:
    """A fixture that a whole module shares: to start a gateway costs as much as ten downloads."""
    return pytest_asyncio.fixture(scope="module", loop_scope="module")


@whole()
async def served(postgres: EmbeddedPostgres) -> AsyncIterator[Gateway]:
    """A gateway whose viewer is whoever is on this machine, with a minute's drive."""
    url = postgres.create_database("test_export")
    async with running(gateway_config(url, QUICK + "[compat]\ns0 = true\n")) as gateway:
        await drive(gateway)
        yield gateway
    postgres.drop_database("test_export")


@whole()
async def viewer(served: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client."""
    async with httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
        yield client


@whole()
async def session(served: Gateway) -> int:
    """The session of the drive."""
    async with served.pool.acquire() as connection:
        return int(
            await connection.fetchval("SELECT id FROM sessions WHERE device = 'esp-1' AND boot = 7")
        )
