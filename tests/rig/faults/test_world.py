"""Faults in the real world model: what this catalogue asks for, the devices can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import simpy

from rig.faults import FaultSpec, install_all
from sim.route import COURSES
from sim.vehicle import Cruise, Drive
from sim.world import GpsSetup, World, WorldSetup

EPOCH_NS = 1_777_622_400_000_000_000


def test_tunnel_and_reset_reach_their_devices() -> None:
    """No valid position in the tunnel, some before and after; the adapter boots anew."""
    env = simpy.Environment()
    drive = Drive([Cruise("cruise", 120.0, 50.0)])
    setup = WorldSetup(drive, next(iter(COURSES.values())), gps=GpsSetup(sentences=("RMC",)))
    world = World(env, setup, seed=1, epoch_ns=EPOCH_NS)
    notes: list[tuple[float, str, str]] = []

    def listen(at_s: float, kind: str, name: str, phase: str, detail: Mapping[str, Any]) -> None:
        notes.append((at_s, name, phase))

    world.listeners.append(listen)
    got: dict[str, list[tuple[float, bytes]]] = {"gps": [], "obd": []}
    for name, line in world.lines.items():
        rows = got[name]
        line.attach_host(lambda data, rows=rows: rows.append((env.now, data)))  # type: ignore[misc]
    install_all(
        world,
        [
            FaultSpec("tunnel", "gps", ((40.0, 70.0),), {}, "tunnel on gps"),
            FaultSpec("reset", "obd", ((50.0, 50.0),), {}, "reset on obd"),
        ],
    )
    env.run(until=120.0)
    valid_s = [at_s for at_s, data in got["gps"] if b"RMC" in data and b",A," in data]
    assert any(at_s < 40.0 for at_s in valid_s)
    assert any(at_s > 90.0 for at_s in valid_s)
    assert not any(45.0 < at_s < 70.0 for at_s in valid_s)
    banners = b"".join(data for at_s, data in got["obd"] if 50.0 <= at_s < 60.0)
    assert b"ELM327" in banners
    assert notes == [
        (40.0, "tunnel on gps", "start"),
        (50.0, "reset on obd", "start"),
        (50.0, "reset on obd", "end"),
        (70.0, "tunnel on gps", "end"),
    ]
