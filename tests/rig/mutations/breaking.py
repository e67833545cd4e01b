"""Links that break: never back, never stale, waiting for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from server.catalogue import by_name
from server.links.supervisor import Supervisor
from server.obd.elm.port import ReplyGuard
from server.pipeline import Pipeline
from server.readings import Reading

from .patching import around

LIBRARY_TIMEOUT_S = 10.0  # python-OBD's own wait for a byte; it waits twelve times
FIRST_GPS_SIGNAL = by_name("LAT").id  # OBD signals have smaller ids


def never_reconnects() -> None:
    """A link that went down stays down."""

    @around(Supervisor, "run")
    async def run(original: Any, supervisor: Any) -> None:
        await supervisor._run_once()
        await asyncio.Event().wait()


def last_readings_repeated() -> None:
    """What a link read last is delivered again by its next attempt."""
    last: list[Reading] = []

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if readings[0].signal < FIRST_GPS_SIGNAL:
            last[:] = readings
        original(pipeline, readings)

    @around(Supervisor, "_run_once")
    async def run_once(original: Any, supervisor: Supervisor) -> float:
        if last and supervisor.kind == "obd":
            supervisor.sink(list(last))
        up_s: float = await original(supervisor)
        return up_s


def watchdog_off() -> None:
    """python-OBD waits for a lost reply as long as it likes: 121 s."""

    bringing_back: list[float] = []  # not empty while the adapter is brought back to its prompt

    @around(ReplyGuard, "resynchronise")
    def resynchronise(original: Any, guard: ReplyGuard, due_s: float) -> bool:
        bringing_back.append(due_s)
        try:
            alive: bool = original(guard, due_s)
        finally:
            bringing_back.pop()
        return alive

    @around(ReplyGuard, "left_s")
    def left_s(original: Any, guard: ReplyGuard) -> float:
        return float(original(guard)) if bringing_back else LIBRARY_TIMEOUT_S

    @around(ReplyGuard, "took")
    def took(original: Any, guard: ReplyGuard, data: bytes) -> None:
        if data or bringing_back:
            original(guard, data)


def never_stale() -> None:
    """Nothing is ever marked as stale: old values look like new ones (OVMS#1203)."""

    @around(Supervisor, "_set_stale")
    def set_stale(original: Any, supervisor: Supervisor, stale: tuple[int, ...]) -> None:
        return


def stale_for_ever() -> None:
    """What was marked as stale once stays so."""

    @around(Supervisor, "_set_stale")
    def set_stale(original: Any, supervisor: Supervisor, stale: tuple[int, ...]) -> None:
        original(supervisor, tuple(sorted({*supervisor._stale, *stale})))
