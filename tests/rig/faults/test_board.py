"""Faults of the ESP32 boards."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from rig.faults import FaultError, add_faults, fault
from sim.route import COURSES
from sim.vehicle import Cruise, Drive
from sim.world import Esp32Setup, World, WorldSetup


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


def test_a_full_flash_takes_no_more_and_can_be_read() -> None:
    """Writes and erases fail as MicroPython has it; afterwards all is as before."""
    env = simpy.Environment()
    tried: list[tuple[float, str]] = []

    class Writer:
        """Firmware that writes a byte each second, and erases where it stands."""

        def __init__(self, hal: Any) -> None:
            self.hal = hal

        def start(self) -> None:
            self.hal.flash_write(0, b"kept")

        def poll(self) -> int:
            assert self.hal.flash_read(0, 4) == b"kept"
            try:
                self.hal.flash_write(8192, b"x")
                self.hal.flash_erase(4096)
                tried.append((env.now, "done"))
            except OSError as error:
                tried.append((env.now, str(error)))
            return 1000

    setup = WorldSetup(
        Drive([Cruise("cruise", 60.0, 50.0)]),
        COURSES["highway"],
        obd=None,
        gps=None,
        esp32=Esp32Setup(firmware=Writer),
    )
    world = World(env, setup, seed=1, epoch_ns=1_777_622_400_000_000_000)
    assert world.fleet is not None
    (board,) = world.fleet
    board.gnss.line.to_host.receiver = None
    board.power_on()
    add_faults(
        world,
        fault("flash_full", "esp32", at_s=10.0, for_s=10.0),
        fault("flash_full", "esp32", at_s=15.0, for_s=10.0),
    )
    env.run(until=40.0)
    failed = [at_s for at_s, what in tried if "the flash takes no more" in what]
    assert len(failed) == 15
    assert all(10.0 <= at_s < 25.0 for at_s in failed)
    assert board.crashes == 0
