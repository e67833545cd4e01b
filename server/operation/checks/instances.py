"""Several gateways: their bus, and this machine's clock against the database's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from server.clock import SystemClock
from server.errors import ServerError
from server.instances.bus.base import Bus
from server.instances.instances import CLOCK_WARN_S, bus_of
from server.operation.checks.finding import FAIL, OK, WARN, Finding
from server.operation.explain import explain
from server.store.connection import DATABASE_ERRORS, connect

if TYPE_CHECKING:
    from server.config import GatewayConfig

_ABOUT = """
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s,
           to_regclass('instances') IS NOT NULL AS is_set_up
"""
_LIVING = """
    SELECT name, device, bus FROM instances
    WHERE abs(extract(epoch FROM clock_timestamp() - seen)) < lease_s ORDER BY name
"""


def instances(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether this gateway can work with others."""
    if config.instances is None:
        return
    yield from asyncio.run(_look(config))


async def _look(config: GatewayConfig) -> list[Finding]:
    assert config.instances is not None
    bus = bus_of(config.instances, config.database.url or "", SystemClock())
    return [*await _database(config), await _bus(bus)]


async def _database(config: GatewayConfig) -> list[Finding]:
    try:
        connection = await connect(config.database.url or "")
    except ServerError:
        return []  # the check of the database says it
    try:
        sent_s = time.time()
        row = await connection.fetchrow(_ABOUT)
        ahead_s = row["now_s"] - (sent_s + time.time()) / 2
        living = await connection.fetch(_LIVING) if row["is_set_up"] else []
    except DATABASE_ERRORS as error:
        return [Finding("instances", FAIL, str(error), explain(error))]
    finally:
        with contextlib.suppress(*DATABASE_ERRORS):
            await connection.close()
    return [_clock(ahead_s), *_others(config, [tuple(one) for one in living])]


def _clock(ahead_s: float) -> Finding:
    how = "ahead" if ahead_s > 0 else "behind"
    if abs(ahead_s) <= CLOCK_WARN_S:
        found = f"the database's clock is {abs(ahead_s) * 1000:.0f} ms {how}"
        return Finding("instances: clock", OK, found)
    return Finding(
        "instances: clock",
        WARN,
        f"the database's clock is {abs(ahead_s):.1f} s {how}: who owns what does not depend on it, "
        "but instants of readings differ from gateway to gateway",
        "synchronise all machines (chrony, systemd-timesyncd)",
    )


def _others(config: GatewayConfig, living: list[tuple[str, str, str]]) -> Iterator[Finding]:
    assert config.instances is not None
    name = config.instances.name
    kind = "notify" if config.instances.bus == "notify" else "nats"
    names = ", ".join(one for one, _, _ in living) or "none"
    yield Finding("instances", OK, f"this one is {name}; living now: {names}")
    for other, device, bus in living:
        if other != name and device == config.device:
            advice = "give each gateway a [gateway] device of its own"
            found = f"{other} has the same device, {device}"
            yield Finding("instances: device", FAIL, found, advice)
        if other != name and bus != kind:
            found = f"{other} tells by {bus}, this one by {kind}: live streams are slow"
            yield Finding("instances: bus", WARN, found, "give all gateways one [instances] bus")


async def _bus(bus: Bus) -> Finding:
    try:
        await bus.start()
    except ServerError as error:
        return Finding("instances: bus", FAIL, str(error), "pip install 'telerig[nats]'")
    try:
        if bus.failing:
            found = f"{bus.kind} at {bus.place}: {bus.failing}"
            advice = "start it, or correct [instances] bus; without it live streams are slow"
            return Finding("instances: bus", FAIL, found, advice)
        place = f" at {bus.place}" if bus.kind == "nats" else ""
        return Finding("instances: bus", OK, f"{bus.kind}{place} answers")
    finally:
        await bus.close()
