"""Whether a scenario can run on a bench, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rig.bench.model import DRIVE, MODEL, REAL, Bench
from rig.scenario.model import MESH, OBD
from sim.mesh_setup import BASE_LINE
from sim.world import ESP32

if TYPE_CHECKING:
    from rig.faults.spec import FaultSpec
    from rig.scenario.model import Scenario

POWER_FAULTS = ("hang_up", "reset", "board_reset", "radio_reboot")
"""What a power switch does to a real device: it is gone for a while, and begins anew."""
HERE_FAULTS = ("gateway", "database", "network")
"""What a fault can strike only where the rig has started it."""


def lack(bench: Bench, scenario: Scenario) -> str | None:
    """Say in a sentence why a scenario cannot run on a bench; None where it can."""
    return next(_lacks(bench, scenario), None)


def places_of(scenario: Scenario) -> tuple[str, ...]:
    """Return the places of a bench that a scenario uses: its links, and the base's radio."""
    return (*scenario.needs, *((BASE_LINE,) if MESH in scenario.needs else ()))


def _lacks(bench: Bench, scenario: Scenario) -> Iterator[str]:
    missing = [feature for feature in scenario.features if feature not in bench.features]
    if missing:
        yield f"bench {bench.name!r} lacks {' and '.join(map(repr, missing))}"
    yield from _unreachable(bench, scenario)
    yield from _kinds(bench, scenario)
    for fault in scenario.faults:
        yield from _impossible(bench, fault)


def _unreachable(bench: Bench, scenario: Scenario) -> Iterator[str]:
    """A gateway on another box cannot open a PTY of this one, and knows none of our boards."""
    if bench.gateway.is_here:
        return
    for name in places_of(scenario):
        if bench.at(name).kind == MODEL:
            yield (
                f"bench {bench.name!r} has the gateway at {bench.gateway.at}, which cannot reach "
                f"the simulated {name!r} here"
            )


def _kinds(bench: Bench, scenario: Scenario) -> Iterator[str]:
    """What stands at a link must be of the sort that the scenario's gateway opens."""
    obd = bench.at(OBD)
    over_can = scenario.world.obd.can is not None
    if OBD in scenario.needs and obd.kind != MODEL and over_can != (obd.can is not None):
        wanted = "a CAN interface" if over_can else "an ELM327"
        yield f"bench {bench.name!r} has {obd.where} at 'obd', where the scenario has {wanted}"
    for name in places_of(scenario) if bench.gateway.is_here else ():
        place = bench.at(name)
        if place.kind == DRIVE and place.can is None:
            yield (
                f"bench {bench.name!r} drives {place.where} for {name!r}, and has no gateway at "
                "its other end: add `gateway: {at: URL}`"
            )
    if ESP32 in scenario.needs and bench.at(ESP32).kind != MODEL:
        spec = scenario.world.esp32
        if spec.transport != "serial" or spec.count != 1:
            yield (
                f"bench {bench.name!r} has one board on a cable at 'esp32', where the scenario "
                f"has {spec.count} over {spec.transport}"
            )


def _impossible(bench: Bench, fault: FaultSpec) -> Iterator[str]:
    if fault.link in HERE_FAULTS:
        if not bench.gateway.is_here:
            yield f"{fault.name}: the gateway is at {bench.gateway.at}, out of the rig's reach"
        return
    place = bench.at(fault.link)
    if place.kind != REAL or (place.power is not None and fault.kind in POWER_FAULTS):
        return
    switch = ""
    if fault.kind in POWER_FAULTS:
        switch = f"; a power switch could: `power: {{off: […], on: […]}}` at {fault.link!r}"
    yield f"{fault.name}: a real link cannot be made to fail{switch}"
