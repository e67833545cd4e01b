"""Faults of devices and surroundings: cable, power, sky."""

from __future__ import annotations

from typing import Any

import pytest

from rig.faults import FaultError


def test_hang_up_pulls_the_cable_and_puts_it_back(world: Any) -> None:
    """Both ends are told, and nothing passes in between."""
    told: list[tuple[str, float]] = []
    world.line.on_hang_up.append(lambda: told.append(("gone", world.env.now)))
    world.line.on_replug.append(lambda: told.append(("back", world.env.now)))
    world.strike("hang_up", 5.0, 15.0)
    for at_s in (4.0, 6.0, 14.0, 16.0):
        world.send(at_s, b"x")
    world.env.run(until=20.0)
    assert told == [("gone", 5.0), ("back", 15.0)]
    assert [at_s for at_s, _ in world.at_host] == [4.0, 16.0]


def test_reset_cuts_the_adapters_power_once(world: Any) -> None:
    """At its instant."""
    world.strike("reset", 5.0, 5.0)
    world.env.run(until=4.9)
    assert world.adapter.calls == []
    world.env.run(until=20.0)
    assert world.adapter.calls == [("power_cycle",)]


@pytest.mark.parametrize("kind", ["tunnel", "canyon"])
def test_the_sky_goes_for_the_window(world: Any, kind: str) -> None:
    """The receiver is told from when to when."""
    world.strike(kind, 5.0, 50.0)
    world.env.run(until=20.0)
    assert world.receiver.calls == [(kind, 5.0, 50.0)]


@pytest.mark.parametrize(("kind", "part"), [("reset", "adapter"), ("tunnel", "receiver")])
def test_a_world_without_the_device_says_so(world: Any, kind: str, part: str) -> None:
    """No AttributeError."""
    setattr(world, part, None)
    world.strike(kind, 5.0, 6.0)
    with pytest.raises(FaultError, match=rf"expected a world with {part}\."):
        world.env.run(until=20.0)
