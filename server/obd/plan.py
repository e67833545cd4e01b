"""What an OBD link asks for: `plan` in its configuration.

plan = [
    {signal = "RPM", rate_hz = 5},
    {signal = "SPEED", rate_hz = "max", weight = 2},
    {signal = "BOOST", rate_hz = 2},
]
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from server.catalogue import Signal, by_name
from server.config_section import Section, describe
from server.errors import CatalogueError

MAX_RATE = "max"
BOOST = by_name("BOOST")
MANIFOLD = by_name("INTAKE_PRESSURE")
BAROMETER = by_name("BAROMETRIC_PRESSURE")
_BAROMETER_RATE_HZ = 0.2


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One signal to ask for.

    Attributes:
        signal: what to ask.
        rate_hz: times a second; None: whenever nothing else is due.
        weight: share among those with rate None.
    """

    signal: Signal
    rate_hz: float | None
    weight: float = 1.0


DEFAULT_PLAN = tuple(
    PlanEntry(by_name(name), rate_hz)
    for name, rate_hz in (
        ("RPM", 5.0),
        ("SPEED", 5.0),
        ("THROTTLE_POS", 2.0),
        ("ENGINE_LOAD", 2.0),
        ("INTAKE_PRESSURE", 2.0),
        ("COOLANT_TEMP", 0.2),
        ("INTAKE_TEMP", 0.2),
        ("BAROMETRIC_PRESSURE", 0.2),
        ("FUEL_LEVEL", 0.1),
    )
)


def read_plan(section: Section) -> tuple[PlanEntry, ...]:
    """Read `plan`; without one, a plan for a petrol car at 17 questions a second."""
    tables = section.tables("plan")
    if not tables:
        return DEFAULT_PLAN
    plan: dict[str, PlanEntry] = {}
    for item in tables:
        entry = _entry(item)
        if entry.signal.name in plan:
            raise item.where.error("signal", "each signal once", entry.signal.name)
        plan[entry.signal.name] = entry
    boost = plan.pop(BOOST.name, None)
    if boost is not None:
        _plan_boost(plan, boost)
    return tuple(plan.values())


def _entry(item: Section) -> PlanEntry:
    name = item.text("signal")
    try:
        signal = by_name(name)
    except CatalogueError as error:
        raise item.where.error("signal", "a signal of the catalogue", str(error)) from error
    if not signal.source.startswith("obd:01") and signal is not BOOST:
        raise item.where.error(
            "signal", "an OBD signal or BOOST", f"{name} (source {signal.source})"
        )
    weight = item.number("weight", 1.0, minimum=0.01, maximum=100.0)
    rate = item.table.get("rate_hz")
    if rate == MAX_RATE:
        item.has("rate_hz")
        rate_hz = None
    elif isinstance(rate, str):
        raise item.where.error("rate_hz", f'a number of Hz or "{MAX_RATE}"', describe(rate))
    else:
        rate_hz = item.number("rate_hz", minimum=0.001, maximum=1000.0)
    item.done()
    return PlanEntry(signal, rate_hz, weight)


def _plan_boost(plan: dict[str, PlanEntry], boost: PlanEntry) -> None:
    """Make BOOST come at its rate: it is computed at each INTAKE_PRESSURE."""
    manifold = plan.get(MANIFOLD.name)
    if manifold is None:
        plan[MANIFOLD.name] = dataclasses.replace(boost, signal=MANIFOLD)
    elif manifold.rate_hz is not None and (
        boost.rate_hz is None or boost.rate_hz > manifold.rate_hz
    ):
        plan[MANIFOLD.name] = dataclasses.replace(manifold, rate_hz=boost.rate_hz)
    plan.setdefault(BAROMETER.name, PlanEntry(BAROMETER, _BAROMETER_RATE_HZ))
