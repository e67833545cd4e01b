"""Faults drawn for campaigns: what is drawn can be read, and lies within the catalogue."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from rig.faults import FAULT_KINDS
from rig.faults.draw import draw_fault, drawable_kinds, lasting_s, written
from rig.scenario import expand_scenario
from rig.scenario.faults import wires_of

LINKS = ["obd", "gps", "esp32", "mesh", "can"]
HEAD = """rig: 1
needs: [obd, gps, esp32, mesh, can]
world: {{{world}}}
gateway: {{mesh: {{plan: {{RPM: 1 Hz}}}}}}
phases: [{{idle: 60 s}}]
limits: {{readings.lost: {{equals: 0}}}}
"""


@pytest.mark.parametrize(
    "world",
    [
        "can: {door: slcan}",
        "can: {door: socketcand}, obd: {over: can, door: socketcand}, mesh: {transport: tcp}",
        "esp32: {transport: serial}",
    ],
)
def test_what_is_drawn_is_a_scenario(tmp_path: Path, world: str) -> None:
    """Each kind that these links can suffer, many times; nothing is refused."""
    pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")
    pytest.importorskip("cantools", reason="the package cantools is not installed")
    path = tmp_path / "drawn.scenario.yaml"
    path.write_text(HEAD.format(world=world), encoding="utf-8")
    (bare,) = expand_scenario(path)
    kinds = drawable_kinds(LINKS, wires_of(bare))
    rng = random.Random(1)
    drawn = [draw_fault(rng, kind, on, rng.uniform(0.0, 40.0), 10.0) for kind, on in kinds * 3]
    text = HEAD.format(world=world) + yaml.safe_dump({"faults": drawn})
    path.write_text(text, encoding="utf-8")
    (scenario,) = expand_scenario(path)
    assert [(f.kind, f.link) for f in scenario.faults] == kinds * 3
    for fault in scenario.faults:
        kind = FAULT_KINDS[fault.kind]
        assert not kind.lasts or 0.05 <= fault.for_s <= 10.0 + 1e-9
        for parameter in kind.parameters:
            if parameter.drawn is not None:
                low, high = parameter.drawn
                value = fault.number(parameter.field)
                assert low - 0.001 * abs(low) <= value <= high + 0.001 * abs(high)


def test_the_same_seed_draws_the_same() -> None:
    """A campaign can go on where it was."""
    first, second = (draw_fault(random.Random(7), "delay", "obd", 1.0, 9.0) for _ in range(2))
    assert first == second
    assert first != draw_fault(random.Random(8), "delay", "obd", 1.0, 9.0)


def test_a_board_on_wifi_gets_no_fault_of_its_console() -> None:
    """It would show nothing; on a cable it does."""
    wifi = drawable_kinds(["esp32"])
    assert ("drop", "esp32") not in wifi
    assert {("board_reset", "esp32"), ("net_partition", "esp32")} <= set(wifi)
    cable = drawable_kinds(["esp32"], {"esp32": ("serial",)})
    assert ("drop", "esp32") in cable
    assert ("net_partition", "esp32") not in cable


def test_an_adapter_that_is_not_there_is_not_reset() -> None:
    """OBD over CAN has a door and no ELM327."""
    over_can = {"obd": ("serial", "bus")}
    assert ("reset", "obd") in drawable_kinds(["obd"])
    assert not {("reset", "obd"), ("brown_out", "obd")} & {*drawable_kinds(["obd"], over_can)}


def test_what_never_can_be_drawn_is_left_out() -> None:
    """A leap second comes at midnight only."""
    assert ("leap_second", "gps") not in drawable_kinds(LINKS)


@pytest.mark.parametrize("word", sorted(FAULT_KINDS))
def test_every_number_has_a_range_within_its_bounds(word: str) -> None:
    """Or a default that is taken."""
    for parameter in FAULT_KINDS[word].parameters:
        if parameter.dimension is None:
            continue
        assert parameter.drawn is not None or parameter.default is not None
        if parameter.drawn is not None:
            low, high = parameter.drawn
            assert parameter.minimum <= low < high <= (parameter.maximum or high)
            assert parameter.dimension.parse(written(parameter, low)) == pytest.approx(low)


def test_a_fault_lasts_no_longer_than_there_is_time() -> None:
    """Nor than its kind may; and never nothing at all."""
    assert lasting_s(FAULT_KINDS["drop"], 5.0) == (0.5, 5.0)
    assert lasting_s(FAULT_KINDS["drop"], 1e9) == FAULT_KINDS["drop"].drawn_s
    assert lasting_s(FAULT_KINDS["drop"], 0.0) == (0.05, 0.05)
