"""What the manifest of a run says of its wires, and of those that it played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rig.record.manifest import WireInfo
from rig.record.reader import RecordReader
from rig.scenario.model import Scenario
from rig.wires.source import BUS, GPS, start_of
from rig.wires.world import PlayedWires
from sim.world import World


def wires_of(world: World) -> dict[str, WireInfo]:
    """Return what each line of a world is."""
    return {
        name: WireInfo(baud=line.baud, paced=line.paced, frame_us=round(line.frame_s * 1e6))
        for name, line in world.lines.items()
    }


def truth_of(scenario: Scenario) -> bool:
    """Return whether anything of the world is a model, so that there is a truth about it."""
    return set(scenario.world.played) != set(scenario.needs)


def wires_manifest(scenario: Scenario, epoch_ns: int, bench: Mapping[str, Any]) -> dict[str, Any]:
    """Return `bench`, what a bench has to say, with the played links as real ones.

    Frames on the bus are told by the bus itself: what was on it is known.
    """
    spec = scenario.world.wires
    if spec is None:
        return dict(bench)
    real = [link for link in spec.links if link != BUS]
    found = {**bench, "real_links": [*bench.get("real_links", ()), *real]}
    record = RecordReader(spec.record).manifest
    ahead_ns = epoch_ns - start_of(record, scenario)
    if GPS in real and ahead_ns:  # in wall time a receiver tells the day of its recording
        on_desk = dict(found.get("bench", {}))
        links = {**on_desk.get("links", {}), GPS: {"clock_offset_ns": ahead_ns}}
        found["bench"] = {**on_desk, "links": links}
    return found


def played_manifest(scenario: Scenario, wires: PlayedWires) -> dict[str, Any]:
    """Return what was played, and what the players counted."""
    spec = scenario.world.wires
    assert spec is not None
    record = RecordReader(spec.record).manifest
    return {
        "record": str(spec.record),
        "scenario": record.scenario,
        "trace_sha256": record.trace_sha256,
        "epoch_ns": start_of(record, scenario),
        "links": list(spec.links),
        "answers": spec.answers,
        "counters": wires.counters(),
        "unknown": wires.unknown(),
    }
