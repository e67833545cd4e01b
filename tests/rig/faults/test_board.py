"""Faults of the ESP32 boards."""

from __future__ import annotations

from typing import Any

import pytest

from rig.faults import FaultError


@pytest.mark.parametrize(
    ("kind", "parameters", "begun", "ended"),
    [
        ("wifi_outage", {}, ("wifi_out", True), ("wifi_out", False)),
        ("wifi_loss", {"probability_pct": 30.0}, ("wifi_loss", 0.3), ("wifi_loss", -0.3)),
        ("wifi_fade", {"by_db": 25.0}, ("wifi_fade", 25.0), ("wifi_fade", -25.0)),
    ],
)
def test_the_air_changes_for_the_window(
    world: Any, kind: str, parameters: dict[str, float], begun: Any, ended: Any
) -> None:
    """And back by the same amount, so that two faults may overlap."""
    world.strike(kind, 5.0, 15.0, **parameters)
    world.env.run(until=14.0)
    assert world.fleet.calls == [begun]
    world.env.run(until=16.0)
    assert world.fleet.calls == [begun, ended]


@pytest.mark.parametrize("reason", ["watchdog", "brown-out", "power-on"])
def test_a_reset_strikes_once_at_its_instant(world: Any, reason: str) -> None:
    """With the reason that the file gives."""
    world.strike("board_reset", 5.0, 5.0, reason=reason)
    world.env.run(until=20.0)
    assert world.fleet.calls == [("reset", reason)]


def test_a_world_without_boards_says_so(world: Any) -> None:
    """No AttributeError."""
    world.fleet = None
    world.strike("wifi_outage", 5.0, 6.0)
    with pytest.raises(FaultError, match=r"expected a world with fleet\."):
        world.env.run(until=20.0)
