"""Faults of the Meshtastic radios."""

from __future__ import annotations

from typing import Any

import pytest

from rig.faults import FaultError


def test_a_reboot_strikes_once_at_its_instant(world: Any) -> None:
    """The radio does the rest."""
    world.strike("radio_reboot", 5.0, 5.0)
    world.env.run(until=20.0)
    assert world.mesh.calls == [("reboot",)]


@pytest.mark.parametrize(
    ("kind", "parameters", "begun", "ended"),
    [
        ("radio_freeze", {}, ("freeze", True), ("freeze", False)),
        ("radio_fade", {"by_db": 40.0}, ("fade", 40.0), ("fade", -40.0)),
    ],
)
def test_the_radio_is_changed_for_the_window(
    world: Any, kind: str, parameters: dict[str, float], begun: Any, ended: Any
) -> None:
    """And back by the same amount, so that two faults may overlap."""
    world.strike(kind, 5.0, 15.0, **parameters)
    world.env.run(until=14.0)
    assert world.mesh.calls == [begun]
    world.env.run(until=16.0)
    assert world.mesh.calls == [begun, ended]


def test_a_world_without_radios_says_so(world: Any) -> None:
    """No AttributeError."""
    world.mesh = None
    world.strike("radio_reboot", 5.0, 5.0)
    with pytest.raises(FaultError, match=r"expected a world with mesh\."):
        world.env.run(until=20.0)
