"""What others see: live frames missing, late, doubled; errors; a stop that fails."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from server.catalogue import by_name
from server.errors import StoreError
from server.links.supervisor import Supervisor
from server.live import Hub
from server.readings import Reading
from server.store.hotlog import HotLog

from .patching import around

PUBLISH_LATE_S = 1.0
MILE_KM = 1.609344
RPM, SPEED, MAF = by_name("RPM"), by_name("SPEED"), by_name("MAF")


def every_second_frame() -> None:
    """The live stream leaves out every second frame of readings."""
    _leave_out_frames(each=2)


def one_frame_in_fifty_missing() -> None:
    """The live stream leaves out one frame of readings in fifty."""
    _leave_out_frames(each=50)


def nothing_published() -> None:
    """The live stream shows no reading."""

    @around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        return


def frame_published_twice() -> None:
    """The live stream shows one frame in fifty two times."""
    numbers = itertools.count(1)

    @around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        original(hub, seq_first, rows)
        if next(numbers) % 50 == 0:
            original(hub, seq_first, rows)


def published_otherwise() -> None:
    """The live stream shows SPEED in miles per hour; the store is right."""

    @around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        original(
            hub,
            seq_first,
            [
                msgspec.structs.replace(r, value=r.value / MILE_KM) if r.signal == SPEED.id else r
                for r in rows
            ],
        )


def _leave_out_frames(each: int) -> None:
    numbers = itertools.count(1)

    @around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        if next(numbers) % each:
            original(hub, seq_first, rows)


def frames_late() -> None:
    """The live stream shows readings a second late."""

    @around(Hub, "readings")
    def readings(original: Any, hub: Hub, seq_first: int, rows: Sequence[Reading]) -> None:
        asyncio.get_running_loop().call_later(PUBLISH_LATE_S, original, hub, seq_first, rows)


def error_logged() -> None:
    """Something logs one error."""

    @around(Supervisor, "on_vehicle")
    def on_vehicle(original: Any, supervisor: Supervisor, vin: str) -> None:
        structlog.get_logger("telerig.mutation").error("made up", vin=vin)
        original(supervisor, vin)


def stop_fails() -> None:
    """The gateway ends with an error."""

    @around(HotLog, "close")
    async def close(original: Any, hotlog: HotLog) -> None:
        await original(hotlog)
        raise StoreError("made up")
