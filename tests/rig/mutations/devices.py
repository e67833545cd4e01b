"""Devices and radios: their packets, rows, keys."""

from __future__ import annotations

import itertools
import time
from typing import Any

import msgspec

from server.devices.registry import Registry
from server.ingest import rows, uplink
from server.ingest.link_services import GatewayServices
from server.ingest.uplink_state import TimeBase
from server.live import Hub
from server.mesh.uplink.outbox import Outbox
from server.store.appends import Append
from server.store.devicelog import DeviceLog

from .patching import around

KEY_FORGOTTEN_S = 60.0


def device_packets_not_stored() -> None:
    """Every third commit of a device is acknowledged without its readings."""
    numbers = itertools.count(1)

    @around(DeviceLog, "append")
    async def append(original: Any, device_log: DeviceLog, rows: Append) -> Any:
        if next(numbers) % 3 == 0:
            rows = msgspec.structs.replace(rows, pieces=())
        return await original(device_log, rows)


def device_rows_late() -> None:
    """The rows of a device begin one row later than the device says."""

    @around(TimeBase, "time_ns")
    def time_ns(original: Any, base: TimeBase, row: int, period_ms: int) -> int:
        late_ns: int = original(base, row + 1, period_ms)
        return late_ns


def device_values_off() -> None:
    """Every value of a device is one step too high."""

    @around(rows, "piece_of")
    def piece_of(original: Any, decoded: Any, *more: Any) -> Any:
        decoded.rows[:] = [[v and v + 1 for v in row] for row in decoded.rows]
        return original(decoded, *more)

    uplink.piece_of = rows.piece_of  # type: ignore[attr-defined]


def device_never_acknowledged() -> None:
    """A device hears of no commit: it keeps everything, and sends it again and again."""

    @around(uplink.Uplinks, "_answer")
    def answer(original: Any, uplinks: Any, message: Any, work: Any) -> None:
        original(uplinks, message, work)
        work.answer.ack = 0
        del work.answer.acked[:]


def device_readings_not_published() -> None:
    """The live stream leaves devices out."""

    @around(Hub, "device_readings")
    def device_readings(original: Any, hub: Hub, *more: Any) -> None:
        return None


def device_key_refused() -> None:
    """The gateway forgets a key a minute after it was used first."""
    used: dict[str, float] = {}

    @around(Registry, "identify")
    async def identify(original: Any, registry: Registry, key: str) -> Any:
        now_s = time.monotonic()
        if now_s - used.setdefault(key, now_s) > KEY_FORGOTTEN_S:
            return None
        return await original(registry, key)


def mesh_link_gives_up() -> None:
    """What was not sent when the radio went away never is (meshtastic/python#832)."""

    @around(GatewayServices, "kept")
    def kept(original: Any, services: GatewayServices, name: str, make: Any) -> Any:
        return make()


def mesh_sends_nothing_again() -> None:
    """A packet that the base station lacks stays lost."""
    Outbox.lost = lambda outbox: None  # type: ignore[method-assign]
