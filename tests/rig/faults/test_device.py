"""Faults of devices and surroundings: cable, power, sky."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from rig.faults import FaultError, add_faults, fault
from sim.route import COURSES
from sim.vehicle import Cruise, Drive
from sim.world import GpsSetup, World, WorldSetup


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


def test_a_cable_that_is_pulled_twice_is_back_with_the_last_end(world: Any) -> None:
    """A cable is pulled or it is not."""
    told: list[tuple[str, float]] = []
    world.line.on_hang_up.append(lambda: told.append(("gone", world.env.now)))
    world.line.on_replug.append(lambda: told.append(("back", world.env.now)))
    world.strike("hang_up", 5.0, 15.0)
    world.strike("hang_up", 10.0, 20.0, index=1)
    world.strike("hang_up", 30.0, 31.0, index=2)
    world.env.run(until=40.0)
    assert told == [("gone", 5.0), ("back", 20.0), ("gone", 30.0), ("back", 31.0)]


def test_a_brown_out_on_the_wire() -> None:
    """An ELM327 says LV RESET and echoes again; a receiver sends its banner anew."""
    env = simpy.Environment()
    setup = WorldSetup(
        Drive([Cruise("cruise", 60.0, 50.0)]), COURSES["highway"], gps=GpsSetup(baud=38400)
    )
    world = World(env, setup, seed=1, epoch_ns=1_777_622_400_000_000_000)
    heard: dict[str, list[tuple[float, bytes]]] = {"obd": [], "gps": []}
    for name, line in world.lines.items():
        rows = heard[name]
        line.attach_host(lambda data, rows=rows: rows.append((env.now, data)))  # type: ignore[misc]

    def ask(at_s: float, command: bytes) -> None:
        env.timeout(at_s).callbacks.append(lambda _event: world.lines["obd"].feed(command))

    ask(5.0, b"ATE0\r")
    ask(6.0, b"ATI\r")
    ask(30.0, b"ATI\r")
    add_faults(world, fault("brown_out", "obd", at_s=20.0), fault("brown_out", "gps", at_s=20.0))
    env.run(until=60.0)
    replies = b"".join(data for at_s, data in heard["obd"] if 6.0 <= at_s < 20.0)
    assert replies == b"ELM327 v1.5\r\r>"
    replies = b"".join(data for at_s, data in heard["obd"] if 20.0 <= at_s < 30.0)
    assert replies == b"\r\rLV RESET\r\r>"
    replies = b"".join(data for at_s, data in heard["obd"] if at_s >= 30.0)
    assert replies == b"ATI\rELM327 v1.5\r\r>"
    banner = [at_s for at_s, data in heard["gps"] if b"TXT" in data]
    assert any(20.0 <= at_s < 20.1 for at_s in banner)
