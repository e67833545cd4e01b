"""A fleet as asked for: models, vehicles, and their devices at the gateway."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from firmware_stubs.plan import PlanError
from rig.errors import RigError
from rig.fleet.driver import Target
from rig.fleet.spec import COLUMNS, FleetError, FleetSpec
from rig.http_exchange import exchange
from server.devices.key import SECRET_BYTES, Key
from server.store.connection import connect
from sim.car import fleet_vin
from sim.esp32 import HttpRequest
from sim.fleet.columns import ColumnVehicle
from sim.fleet.packets import Model, make_models
from sim.fleet.plan import fleet_plan
from sim.fleet.vehicle import Listener, Vehicle
from sim.vehicle import FOCUS_ST, Drive

REGISTRATIONS_AT_ONCE = 8
_SERIALS = 1_000_000  # of a VIN


def models_of(
    spec: FleetSpec,
    seed: int,
    *,
    drives: Sequence[Drive] | None = None,
    trained: bytes | None = None,
) -> list[Model]:
    """Make the models of a fleet; takes some 0.2 s for each minute of each model.

    Raises:
        FleetError: such packets cannot be made.
    """
    try:
        plan = fleet_plan(spec.signals, spec.rate_hz)
        rows = round(spec.lap_s * 1000.0) // plan.period_ms
        each = spec.rows_each
        return make_models(
            min(spec.models, spec.vehicles), plan, rows, each, seed, drives=drives, trained=trained
        )
    except (PlanError, ValueError) as error:
        raise FleetError(f"fleet: {error}") from error


def vehicles_of(
    spec: FleetSpec,
    models: Sequence[Model],
    keys: Mapping[str, str],
    listener: Listener,
    *,
    seed: int,
    start_s: float,
    epoch_ms: int,
) -> list[Vehicle]:
    """Make the vehicles; their first rows are spread over one batch from `start_s` on.

    Args:
        keys: of the devices.
        listener: told what becomes of packets.
        seed: of phases, boots and jitter.
        start_s: on the driver's clock.
        epoch_ms: UTC of that clock's zero.
    """
    rng = random.Random(f"{seed}/fleet")
    kind = ColumnVehicle if spec.wire == COLUMNS else Vehicle
    return [
        kind(
            number,
            device,
            keys[device],
            models[number % len(models)],
            # In whole milliseconds: a time base has no finer ones.
            start_s=start_s + round(spec.batch_s * rng.random(), 3),
            epoch_ms=epoch_ms,
            rng=rng,
            listener=listener,
            vin=_vin(number),
        )
        for number, device in enumerate(spec.devices)
    ]


def _vin(number: int) -> str:
    return fleet_vin(FOCUS_ST.vin, 1 + number % _SERIALS)


# -- devices ---------------------------------------------------------------------------------------
async def register_at(url: str, secret: str, devices: Sequence[str]) -> dict[str, str]:
    """Register devices through a gateway's API, those that are there get another key; return keys.

    Raises:
        RigError: the gateway refuses.
    """
    Target.of(url)
    waiting = list(reversed(devices))
    keys: dict[str, str] = {}

    async def work() -> None:
        while waiting:
            device = waiting.pop()
            keys[device] = await _register_one(url.rstrip("/"), secret, device)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(REGISTRATIONS_AT_ONCE, len(devices))):
                group.create_task(work())
    except* RigError as errors:
        raise errors.exceptions[0] from None
    return {device: keys[device] for device in devices}


async def _register_one(url: str, secret: str, device: str) -> str:
    headers = (("X-API-Key", secret), ("Content-Type", "application/json"))
    body: dict[str, Any] = {"id": device, "name": f"vehicle {device}"}
    path = f"{url}/api/v1/devices"
    answer = await exchange(HttpRequest("POST", path, headers, json.dumps(body).encode()))
    if answer.status == 409:
        path, body = f"{path}/{device}/keys", {"overlap_s": 0}
        answer = await exchange(HttpRequest("POST", path, headers, json.dumps(body).encode()))
    if answer.status not in (200, 201):
        raise RigError(
            f"expected the gateway at {url} to register the device {device!r}, found "
            f"{answer.status or 'no answer'}: {answer.body[:300].decode('utf-8', 'replace')}"
        )
    return str(json.loads(answer.body)["key"])


async def register_in(database_url: str, devices: Sequence[str], seed: int) -> dict[str, str]:
    """Write devices and keys into a database; gateways see them when they next read it.

    A device is registered with its vehicle: then a thousand hellos at once change nothing in the
    registry. Keys follow from the seed, so that a run can be repeated on a database that has them.
    """
    rng = random.Random(f"{seed}/keys")
    keys = {device: Key.make(device, rng.randbytes(SECRET_BYTES)) for device in devices}
    connection = await connect(database_url)
    try:
        await _write(connection, keys)
    finally:
        await connection.close()
    return {device: str(key) for device, key in keys.items()}


async def _write(connection: asyncpg.Connection, keys: Mapping[str, Key]) -> None:
    names = list(keys)
    async with connection.transaction():
        now_ns = await connection.fetchval("SELECT (extract(epoch FROM now()) * 1e9)::bigint")
        await connection.execute(
            "INSERT INTO devices (id, name, vin, registered_ns)"
            " SELECT id, id, vin, $3 FROM unnest($1::text[], $2::text[]) AS t(id, vin)"
            " ON CONFLICT DO NOTHING",
            names,
            [_vin(number) for number in range(len(names))],
            now_ns,
        )
        await connection.execute("DELETE FROM device_keys WHERE device = ANY($1::text[])", names)
        await connection.execute(
            "INSERT INTO device_keys (device, sha256, made_ns)"
            " SELECT device, sha256, $3 FROM unnest($1::text[], $2::bytea[]) AS t(device, sha256)",
            names,
            [key.sha256 for key in keys.values()],
            now_ns,
        )


def trained_profile(path: Path | None) -> bytes | None:
    """Read a trained profile.

    Raises:
        FleetError: it cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise FleetError(f"{path}: expected a profile of the codec, found {error}") from error
