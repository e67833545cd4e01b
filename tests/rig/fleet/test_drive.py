"""A fleet against a real gateway: what was acknowledged is stored once, and a check sees if not."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from rig.errors import RigError
from rig.fleet.build import register_at, register_in
from rig.fleet.check import Checked
from rig.fleet.drive import FleetDrive
from rig.fleet.spec import WIRES, FleetSpec
from server.clock import SystemClock
from server.store.connection import connect
from server.store.migrate import migrate
from sim.fleet.packets import Model
from tests.server.running import QUICK, gateway_config, running

SECRET = "a secret of the tests, long enough"
CONFIG = f'{QUICK}[api]\nsecret = "{SECRET}"\n'
PATIENCE_S = 30.0


async def _until(done: Callable[[], bool]) -> None:
    """Look again and again: vehicles tell nobody else."""
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _each_has(drive: FleetDrive, laps: int) -> bool:
    return {(a.vehicle, a.lap) for a in drive.record} >= {
        (vehicle.number, lap) for vehicle in drive.vehicles for lap in range(laps)
    }


async def _damaged(drive: FleetDrive, url: str, *statements: str) -> tuple[Checked, Checked]:
    """Check what is stored, damage it, and check again."""
    before = await drive.check(url)
    connection = await connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
    return before, await drive.check(url)


@pytest.mark.parametrize("wire", WIRES)
async def test_everything_acknowledged_is_stored_and_a_damage_is_found(
    database_url: str, quick_spec: FleetSpec, quick_models: Sequence[Model], wire: str
) -> None:
    """Two boots of each vehicle, an outage between; then a row goes, and one is doubled."""
    async with running(gateway_config(database_url, CONFIG)) as gateway:
        url = gateway.url
        keys = await register_at(url, SECRET, quick_spec.devices)
        spec = replace(quick_spec, wire=wire)
        async with FleetDrive(spec, [url], keys, models=quick_models) as drive:
            await _until(lambda: len(drive.record) > 2 * quick_spec.vehicles)
            await _until(lambda: not all(vehicle.is_sending for vehicle in drive.vehicles))
            back = drive.driver.outage(0.5)
            struck = [v for v in drive.vehicles if v.wake_s(0.0) > 0 and not v.is_sending]
            assert struck
            await asyncio.sleep(0.6)
            back()
            await _until(lambda: _each_has(drive, 2))
            assert await drive.finish(PATIENCE_S)
            figures = drive.figures()
    good, bad = await _damaged(
        drive,
        database_url,
        "DELETE FROM hot WHERE (device, boot, seq_first) IN"
        " (SELECT device, boot, seq_first FROM hot ORDER BY device, boot, seq_first LIMIT 1)",
        "INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,"
        " written_ns, body, turn) SELECT device, boot, seq_first + 1, seq_last + 1, session_id,"
        " time_min_ns, time_max_ns, written_ns, body, turn FROM hot"
        " ORDER BY device DESC, boot, seq_first LIMIT 1",
    )
    assert good.is_good, good
    assert good.acknowledged == figures["readings_acknowledged"] == good.stored
    assert good.compared == quick_spec.vehicles
    each = quick_models[0].readings_each
    assert bad.missing == each
    assert bad.doubled >= each - 1
    assert bad.wrong >= 2 * each - 1
    assert bad.examples


async def test_vehicles_go_on_with_another_gateway(
    database_url: str, quick_spec: FleetSpec, quick_models: Sequence[Model]
) -> None:
    """One of two gateways never answers: each vehicle gets through by the other one."""
    connection = await connect(database_url)
    await migrate(connection, SystemClock())
    await connection.close()
    keys = await register_in(database_url, quick_spec.devices, seed=1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        absent = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with running(gateway_config(database_url, CONFIG)) as gateway:
            urls = [absent, gateway.url]
            async with FleetDrive(quick_spec, urls, keys, models=quick_models) as drive:
                await _until(lambda: _each_has(drive, 1))
                assert await drive.finish(PATIENCE_S)
                figures = drive.figures()
    assert figures["answers"]["0"] >= quick_spec.vehicles // 2
    assert (await drive.check(database_url)).is_good


@pytest.mark.parametrize("make", [
    lambda url: register_at(url, SECRET, ["fleet-0"]),
    lambda url: register_at("https://127.0.0.1", SECRET, ["fleet-0"]),
])  # fmt: skip
async def test_a_gateway_that_cannot_register_is_named(
    make: Callable[[str], Awaitable[object]],
) -> None:
    """Nobody listens, or it is no URL for a fleet: said in words, with the place."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(RigError, match="expected"):
            await make(url)


def test_phases_are_spread(quick_spec: FleetSpec) -> None:
    """Numbers are padded so that ids sort as vehicles do."""
    assert quick_spec.devices == sorted(quick_spec.devices)
    assert len(set(random.Random(1).sample(quick_spec.devices, 5))) == 5
