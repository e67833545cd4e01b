"""The key `world: {wires: …}`: the wires of a record take the place of modelled devices.

wires: ../runs/20260501T080000-idle-1
wires: {record: captures/desk, links: [gps], answers: time}
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rig.record.errors import RecordError
from rig.scenario.document import Node
from rig.scenario.model import OBD, Scenario, WiresSpec

if TYPE_CHECKING:
    from rig.record.reader import RecordReader

WIRES_KEYS = ("record", "links", "answers")
ANSWERS = ("order", "time")
WHAT = "a record whose wires are played: the folder of a run or a capture"


def with_wires(world: Node | None, scenario: Scenario) -> Scenario:
    """Return `scenario` with the wires that its world plays, at the time of day of their record."""
    if world is None or world.is_null:
        return scenario
    node = world.as_table("'world'").get("wires")
    if node is None or node.is_null:
        return scenario
    from rig.wires.source import playable_links, start_of

    if node.is_mapping:
        table = node.as_table("'wires'", WIRES_KEYS)
        place, links, answers = (table.get(key) for key in WIRES_KEYS)
        place = table.require("record", "record: runs/RUN") if place is None else place
    else:
        place, links, answers = node, None, None
    record = _record(place)
    there = playable_links(record)
    spec = WiresSpec(
        record=record.folder,
        links=_links(place, links, there, scenario.needs),
        answers="order" if answers is None else answers.as_word(ANSWERS, "'order' or 'time'"),
    )
    _refuse_bus_diagnostics(node, scenario, spec)
    settled = replace(scenario, world=replace(scenario.world, wires=spec))
    if world.as_table("'world'").get("start") is not None:
        return settled
    epoch_ns = start_of(record.manifest, settled)
    return replace(settled, world=replace(settled.world, epoch_ns=epoch_ns))


def _record(node: Node) -> RecordReader:
    from rig.record.reader import RecordReader

    text = node.as_text(WHAT)
    try:
        return RecordReader(Path(os.path.normpath(node.path.parent / text)))
    except RecordError as error:
        raise node.error(WHAT, str(error)) from error


def _links(
    place: Node, links: Node | None, there: Collection[str], needs: Collection[str]
) -> tuple[str, ...]:
    """Return the links that are played: those that are asked for, or all that are needed."""
    if links is None:
        found = tuple(link for link in needs if link in there)
        if not found:
            raise place.error(
                f"a record with a wire of {', '.join(needs)}", ", ".join(there) or "no wire"
            )
        return found
    items = links.as_list("a list of links: [gps]")
    words = [item.as_word(there, "a link of the record that can be played") for item in items]
    for item, word in zip(items, words, strict=True):
        if word not in needs:
            hint = f"add it: needs: [{', '.join((*needs, word))}]"
            raise item.error(f"a link that the scenario needs: {', '.join(needs)}", hint=hint)
    if not words or len(set(words)) != len(words):
        raise links.error("at least one link, and each once")
    return tuple(words)


def _refuse_bus_diagnostics(node: Node, scenario: Scenario, spec: WiresSpec) -> None:
    if OBD in spec.links and scenario.world.obd.can is not None:
        raise node.error(
            "an OBD link with an adapter: its wire is what is played",
            "`over: can`",
            "leave out `over: can`, or play other links: wires: {record: …, links: [gps]}",
        )
