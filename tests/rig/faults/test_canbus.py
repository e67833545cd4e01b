"""Faults of the CAN bus."""

from __future__ import annotations

from typing import Any

import pytest

from rig.faults import FaultError


@pytest.mark.parametrize(
    ("kind", "parameters", "begun", "ended"),
    [
        (
            "can_error",
            {"probability_pct": 5.0, "error": "crc"},
            ("disturb", 0.05, "crc"),
            ("undo", "disturb"),
        ),
        ("can_bus_off", {"node": "door"}, ("choke", "door", "can"), ("undo", "choke")),
        ("can_mute", {}, ("mute", True), ("mute", False)),
        ("can_flood", {"load_pct": 80.0}, ("flood", 80.0), ("undo", "flood")),
        (
            "can_wrong_rate",
            {"rate_bps": 250e3},
            ("add_wrong_rate", 250_000),
            ("undo", "add_wrong_rate"),
        ),
    ],
)
def test_the_bus_is_changed_for_the_window(
    world: Any, kind: str, parameters: dict[str, Any], begun: Any, ended: Any
) -> None:
    """And as it was afterwards."""
    world.strike(kind, 5.0, 15.0, **parameters)
    world.env.run(until=14.0)
    assert world.can.calls == [begun]
    world.env.run(until=16.0)
    assert world.can.calls == [begun, ended]


def test_a_world_without_a_bus_of_its_own_says_so(world: Any) -> None:
    """No AttributeError."""
    world.can = None
    world.strike("can_flood", 5.0, 6.0)
    with pytest.raises(FaultError, match=r"expected a world with can\."):
        world.env.run(until=20.0)
