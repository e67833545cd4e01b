"""A car that does not exist, for `telerig test`: sixteen signals, ten times a second each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from server.catalogue import Signal, by_name
from server.config_section import Section, Where
from server.links.base import Link
from server.readings import Reading

RATE_HZ = 10.0
SIGNALS: tuple[Signal, ...] = tuple(
    by_name(name)
    for name in (
        "RPM",
        "SPEED",
        "THROTTLE_POS",
        "ENGINE_LOAD",
        "COOLANT_TEMP",
        "INTAKE_TEMP",
        "INTAKE_PRESSURE",
        "BAROMETRIC_PRESSURE",
        "MAF",
        "TIMING_ADVANCE",
        "FUEL_LEVEL",
        "CONTROL_MODULE_VOLTAGE",
        "AMBIANT_AIR_TEMP",
        "SHORT_FUEL_TRIM_1",
        "LONG_FUEL_TRIM_1",
        "BOOST",
    )
)


class SyntheticLink(Link):
    """Makes values that wander within each signal's range; nothing of a car is modelled."""

    kind: ClassVar[str] = "synthetic"

    @classmethod
    def parse(cls, name: str, table: Mapping[str, Any], where: Where) -> float:
        """Take `rate_hz`, of each signal."""
        section = Section(table, where)
        rate_hz: float = section.number("rate_hz", RATE_HZ, minimum=0.1, maximum=1000.0)
        section.done()
        return rate_hz

    async def run(self) -> None:
        """Give a value of each signal, again and again."""
        period_s = 1.0 / self.options
        self.stale_s = {signal.id: max(2.0, 3 * period_s) for signal in SIGNALS}
        began_s = self.clock.monotonic_s()
        number = 0
        while True:
            now_ns = self.clock.now_ns()
            phase = number * period_s / 5.0
            self.sink(
                [
                    Reading(signal.id, now_ns, _value(signal, phase + place), now_ns)
                    for place, signal in enumerate(SIGNALS)
                ]
            )
            self.count("rounds")
            number += 1
            # On a grid: what is late once is not late for ever.
            due_s = began_s + number * period_s
            await asyncio.sleep(max(0.0, due_s - self.clock.monotonic_s()))


def _value(signal: Signal, phase: float) -> float:
    part = 0.3 + 0.2 * math.sin(phase)
    raw = signal.minimum + (signal.maximum - signal.minimum) * part
    return float(round(raw / signal.resolution) * signal.resolution)
