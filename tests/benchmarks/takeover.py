"""Takeover: kill -9 of one of three gateways under load, and when all is seen again elsewhere.

Three `telerig serve` on one PostgreSQL, 48 devices that send five readings four times a second to
whoever answers, a client of the live stream at each gateway. One gateway, another each time, is
killed; its devices go to the next address. Measured is the time from the kill until each device
that it served is seen again at the others' clients: everything that was acknowledged before, and a
reading that was sent afterwards. Beside it, until its shards have owners again. Then all that was
acknowledged is compared with what the clients have seen, and with the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.figures import Goal, Row
from tests.instances.children import Children
from tests.instances.database import Database
from tests.instances.engines import Nats
from tests.instances.gateways import GatewayProcess, held, settled
from tests.instances.listener import Listener
from tests.instances.load import Device, Load
from tests.instances.stored import check_store

NAMES = ("gw-a", "gw-b", "gw-c")
DEVICES = tuple(f"van-{number:02}" for number in range(48))
KILLS, QUICK_KILLS = 20, 3
PATIENCE_S = 30.0
BEFORE_S, AFTER_S = 1.5, 0.5


@dataclass
class Tally:
    """What the kills have found.

    Attributes:
        seen_s: from each kill until its devices are seen again.
        owned_s: from each kill until all shards have a living owner.
        acknowledged: readings.
        faults: readings that were lost, doubled or out of order.
    """

    seen_s: list[float] = field(default_factory=list)
    owned_s: list[float] = field(default_factory=list)
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)


def measure(quick: bool) -> list[Row]:
    """Kill, with either bus."""
    rows: list[Row] = []
    for bus in ("notify", "nats"):
        tally = asyncio.run(kill_often(bus, QUICK_KILLS if quick else KILLS))
        rows += [
            Row(f"{bus}: kills", [len(tally.seen_s)], "kills"),
            Row(f"{bus}: seen again, p50", [statistics.median(tally.seen_s)], "s"),
            Row(f"{bus}: seen again, longest", [max(tally.seen_s)], "s", Goal(most=2)),
            Row(f"{bus}: shards owned again, p50", [statistics.median(tally.owned_s)], "s"),
            Row(f"{bus}: shards owned again, longest", [max(tally.owned_s)], "s"),
            Row(f"{bus}: readings acknowledged", [tally.acknowledged], "readings"),
            Row(f"{bus}: lost, doubled, out of order", [len(tally.faults)], "faults", Goal(most=0)),
        ]
    return rows


async def kill_often(bus: str, kills: int) -> Tally:
    """Do it so many times; give what was found."""
    tally = Tally()
    with (
        tempfile.TemporaryDirectory(prefix="takeover-") as folder,
        Children(Path(folder)) as children,
        Database(children) as database,
    ):
        database.start()
        place = bus
        if bus == "nats":
            nats = Nats(children)
            nats.start()
            place = nats.url
        gateways = [
            GatewayProcess(children, name, DEVICES, database.url, bus=place) for name in NAMES
        ]
        for gateway in gateways:
            gateway.start()
        for number in range(kills):
            await asyncio.gather(*(gateway.ready() for gateway in gateways))
            await settled(gateways, PATIENCE_S)
            await _round(gateways, gateways[number % len(gateways)], database.url, number, tally)
    return tally


async def _round(
    gateways: list[GatewayProcess], victim: GatewayProcess, url: str, number: int, tally: Tally
) -> None:
    boot = 100 + number
    others = [gateway for gateway in gateways if gateway is not victim]
    addresses = [(gateway.host, gateway.port) for gateway in gateways]
    async with contextlib.AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(Listener(f"{one.host}:{one.port}", one.name, boot))
            for one in others
        ]
        load = Load(DEVICES, addresses, period_s=0.25, boot=boot)
        await stack.enter_async_context(load)
        await asyncio.sleep(BEFORE_S)
        served = [
            device
            for device in load.devices.values()
            if _newest_at(device, (victim.host, victim.port)) == device.acknowledged > 0
        ]
        began_s = time.monotonic()
        victim.kill()
        owned = asyncio.create_task(_owned(others, began_s))
        tally.seen_s.append(await _seen(served, listeners, began_s))
        tally.owned_s.append(await owned)
        victim.start()
        await asyncio.sleep(AFTER_S)
        await load.end()
        for check in (*(one.has_all(load) for one in listeners), check_store(url, load)):
            try:
                await check
            except AssertionError as error:
                tally.faults.append(str(error))
        tally.acknowledged += load.acknowledged


def _newest_at(device: Device, address: tuple[str, int]) -> int:
    parts = device.took.get(address)
    return parts[-1][1] if parts else 0


async def _seen(served: list[Device], listeners: list[Listener], began_s: float) -> float:
    """Seconds from the kill until all devices of the dead are seen, and what they sent since."""
    sent = {device.name: device.sent for device in served}
    latest_s = began_s
    for listener in listeners:
        found = await listener.until(
            lambda newest=listener.newest: all(  # type: ignore[misc]
                newest.get(name, 0) > number for name, number in sent.items()
            ),
            PATIENCE_S,
        )
        if not found:
            return PATIENCE_S
        for name, number in sent.items():
            latest_s = max(
                latest_s, next(at_s for at_s, seq in listener.came_s[name] if seq > number)
            )
    return latest_s - began_s


async def _owned(gateways: list[GatewayProcess], began_s: float) -> float:
    while time.monotonic() - began_s < PATIENCE_S:
        if sum(await held(gateways)) == 64:
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began_s
