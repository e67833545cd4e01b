"""Faults in a world: instants, notes, draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rig.faults import FaultError, FaultSpec, install, install_all

DROP = {"probability_pct": 50.0, "direction": "to_host"}


def spec(kind: str = "drop", link: str = "obd", *windows: tuple[float, float]) -> FaultSpec:
    """A fault that halves what passes."""
    return FaultSpec(kind, link, windows or ((10.0, 20.0),), DROP, "lossy")


def test_each_strike_is_noted_at_its_start_and_its_end(world: Any) -> None:
    """With name, kind, link, number and parameters."""
    install(world, spec("drop", "obd", (10.0, 20.0), (30.0, 35.0)), 3)
    world.env.run(until=50.0)
    assert [(at_s, kind, name, phase) for at_s, kind, name, phase, _ in world.notes] == [
        (10.0, "fault", "lossy", "start"),
        (20.0, "fault", "lossy", "end"),
        (30.0, "fault", "lossy", "start"),
        (35.0, "fault", "lossy", "end"),
    ]
    detail = world.notes[2][4]
    assert detail == {"kind": "drop", "link": "obd", "index": 3, "number": 1, **DROP}


def test_one_faults_draws_change_no_others(make_world: Callable[..., Any]) -> None:
    """Each has the stream of its number: the second drops the same with the first or without."""

    def gps_of(faults: list[tuple[int, FaultSpec]]) -> list[tuple[float, bytes]]:
        world = make_world()
        for index, fault in faults:
            install(world, fault, index)
        for number in range(200):
            world.lines["gps"].write(b"g%d" % number)
            world.lines["obd"].write(b"o%d" % number)
            world.env.run(until=number + 1.0)
        return [row for row in world.at_host if row[1].startswith(b"g")]

    first, second = spec("drop", "obd", (0.5, 190.0)), spec("drop", "gps", (0.5, 190.0))
    alone = gps_of([(1, second)])
    assert gps_of([(0, first), (1, second)]) == alone
    assert 80 < len(alone) < 130
    assert gps_of([(2, second)]) != alone


def test_all_faults_of_a_scenario_are_numbered_in_order(world: Any) -> None:
    """The number is in the notes."""
    install_all(world, [spec(), spec("drop", "gps")])
    world.env.run(until=30.0)
    assert sorted(detail["index"] for *_, phase, detail in world.notes if phase == "end") == [0, 1]


def test_a_link_without_a_simulated_line_is_refused_at_once(world: Any) -> None:
    """A real adapter cannot be made to fail."""
    del world.lines["can"]
    with pytest.raises(FaultError, match=r"'can'.*a real link cannot be made to fail"):
        install(world, spec("drop", "can"), 0)


def test_an_unknown_kind_is_refused_at_once(world: Any) -> None:
    """It could come from code only."""
    with pytest.raises(FaultError, match=r"expected a kind of drop, .*found 'dorp'"):
        install(world, spec("dorp"), 0)
