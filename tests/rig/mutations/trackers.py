"""Mistakes that others have made: each function does what a report in a public tracker tells of.

More of them stand elsewhere, with the report in their docstring.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec

from server.journal import Journal
from server.keeping import Keeping
from server.links import nmea_sentence
from server.mesh.uplink import outbox
from server.obd.elm.adapter import Question
from server.obd.link import ObdLink
from server.pipeline import Pipeline
from server.readings import Reading
from server.store import hotlog
from server.store.appends import Append
from server.store.compactor import Compactor
from server.store.devicelog import DeviceLog

from .patching import around

SECOND_NS = 1_000_000_000
MOST_A_SECOND = 40
PACKETS_KEPT = 4
PURGE_S = 1.0


def navigational_status_for_validity() -> None:
    """A fix with the NMEA 4.1 status "not for navigation" counts as none (pynmea2#162)."""
    reader = nmea_sentence._READERS["RMC"]

    def rmc(parsed: Any, rank: int) -> Any:
        return dataclasses.replace(reader(parsed, rank), fix=parsed.is_valid)

    nmea_sentence._READERS["RMC"] = rmc  # type: ignore[index]


def same_instant_overwrites() -> None:
    """Of readings with one instant the store keeps the last one (thingsboard#8215)."""
    _overwrite(lambda reading: reading.time_ns)


def instants_in_seconds() -> None:
    """Instants are kept in whole seconds, and readings of one second collide (kuksa.val#88)."""
    _overwrite(lambda reading: (reading.signal, reading.time_ns // SECOND_NS))


def _overwrite(key: Callable[[Reading], Hashable]) -> None:
    @around(hotlog, "encode_body")
    def encode_body(original: Any, readings: Sequence[Reading]) -> bytes:
        body: bytes = original(list({key(reading): reading for reading in readings}.values()))
        return body


def silent_for_good() -> None:
    """A signal that gave no answer once is never asked again (python-OBD#203)."""
    silent: set[int] = set()

    @around(ObdLink, "_ask")
    def ask(original: Any, link: ObdLink, question: Question) -> float | None:
        if question.signal.id in silent:
            return None
        value: float | None = original(link, question)
        if value is None:
            silent.add(question.signal.id)
        return value


def offline_buffer_too_short() -> None:
    """What cannot be sent now is kept in a buffer of a few entries (OVMS PR#1519)."""
    outbox.MOST_BACK = PACKETS_KEPT  # type: ignore[attr-defined]


def maintenance_blocks_recording() -> None:
    """While the store is cleaned up nothing is recorded (home-assistant/core#126084)."""
    cleaning: list[bool] = []

    @around(Compactor, "_work")
    async def work(original: Any, *arguments: Any) -> Any:
        cleaning.append(True)
        try:
            return await original(*arguments)
        finally:
            await asyncio.sleep(PURGE_S)
            cleaning.pop()

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if not cleaning:
            original(pipeline, readings)


def vehicles_mixed() -> None:
    """What one vehicle sends is stored with another one's (teslamate#843)."""

    @around(DeviceLog, "append")
    async def append(original: Any, device_log: DeviceLog, rows: Append) -> Any:
        return await original(device_log, msgspec.structs.replace(rows, device="car-1"))


def nothing_kept_on_disconnect() -> None:
    """While the database is away nothing is written to the disk (tb-gateway#1507)."""

    @around(Keeping, "_put")
    async def put(original: Any, keeping: Keeping, batch: hotlog.Batch, journal: Journal) -> None:
        keeping.kept = batch.seq_last


def silent_loss_above_a_rate() -> None:
    """What comes faster than so many a second gets lost, and no count tells (tb-gateway#877)."""
    second: list[int] = [0, 0]

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        now_s = readings[0].received_ns // SECOND_NS
        if second[0] != now_s:
            second[:] = [now_s, 0]
        second[1] += len(readings)
        if second[1] <= MOST_A_SECOND:
            original(pipeline, readings)
