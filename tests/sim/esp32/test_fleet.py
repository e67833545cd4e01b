"""Many boards in one world: each in a car of its own, all under one sky."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from sim.esp32 import Askers, Fleet
from sim.esp32.hal import BoardHal
from sim.route import COURSES
from sim.vehicle import Cruise, Drive, Idle
from sim.world import Esp32Setup, ObdSetup, World, WorldSetup


class Poller:
    """Asks for engine speed once a second."""

    def __init__(self, hal: BoardHal) -> None:
        self.hal = hal

    def start(self) -> None:
        self.hal.log(20, "up")

    def poll(self) -> int:
        while self.hal.can_receive():
            pass
        if self.hal.ticks_ms() >= getattr(self, "next", 1000):
            self.next = self.hal.ticks_ms() + 1000
            self.hal.can_send(0x7DF, b"\x02\x01\x0c\x00\x00\x00\x00\x00")
        return 100


def make_world(count: int, *, obd: bool = False, own_segment: bool = False, seed: int = 1) -> Any:
    drive = Drive([Idle("lead-in", 5.0), Cruise("cruise", 60.0, 90.0)])
    samples: list[tuple[Any, ...]] = []
    setup = WorldSetup(
        drive=drive,
        course=COURSES["highway"],
        obd=ObdSetup() if obd else None,
        gps=None,
        esp32=Esp32Setup(count=count, own_segment=own_segment, firmware=Poller),
    )
    world = World(
        simpy.Environment(),
        setup,
        seed=seed,
        epoch_ns=1_777_622_400_000_000_000,
        on_sample=lambda *sample: samples.append(("obd", *sample)),
        on_board_sample=lambda *sample: samples.append(sample),
    )
    assert world.fleet is not None
    return world, samples


def test_each_board_has_a_car_of_its_own() -> None:
    """Other ECUs, another VIN with a right check digit, another place, other physics."""
    world, samples = make_world(3)
    for board in world.fleet:
        board.power_on()
    world.env.run(until=30.0)
    assert list(world.lines) == ["esp32", "esp32-2", "esp32-3"]
    by_board = {name: [s for s in samples if s[0] == name] for name in world.lines}
    assert all(len(found) > 25 for found in by_board.values())
    assert len({tuple(s[4] for s in found[:25]) for found in by_board.values()}) == 3


def test_the_first_board_sits_in_the_worlds_own_car() -> None:
    """On its bus."""
    world, _ = make_world(1)
    assert "esp32" in [node.name for node in world.bus.nodes]


def test_a_board_on_its_own_segment_asks_the_worlds_own_car() -> None:
    """Its bus is another one, its samples are its own; what it reads is what the car does."""
    world, samples = make_world(2, obd=True, own_segment=True)
    for board in world.fleet:
        board.power_on()
    world.lines["obd"].attach_host(lambda _data: None)
    for time_s in (2.0, 8.0):
        event = world.env.timeout(time_s)
        event.callbacks.append(lambda _e: world.lines["obd"].feed(b"010C\r"))
    world.env.run(until=12.0)
    names = {node.name for node in world.bus.nodes}
    assert {"ecm", "tcm", "elm327"} <= names
    assert "esp32" not in names
    assert {s[0] for s in samples} == {"obd", "esp32", "esp32-2"}
    assert len([s for s in samples if s[0] == "obd"]) == 2
    for _name, time_s, _ecu, _pid, _data, state in (s for s in samples if s[0] == "esp32"):
        assert state == world.vehicle.at(time_s)


def test_a_value_belongs_to_whoever_asked_for_it() -> None:
    """Adapter and board on one bus."""
    world, samples = make_world(1, obd=True)
    world.fleet.boards[0].power_on()
    world.lines["obd"].attach_host(lambda _data: None)
    for time_s in (2.0, 8.0):
        event = world.env.timeout(time_s)
        event.callbacks.append(lambda _e: world.lines["obd"].feed(b"010D\r"))
    world.env.run(until=12.0)
    assert {s[3] for s in samples if s[0] == "esp32"} == {0x0C}
    assert {s[3] for s in samples if s[0] == "obd"} == {0x0D}


def test_of_two_outages_the_later_end_counts() -> None:
    """They may overlap."""
    world, _ = make_world(2)
    fleet: Fleet = world.fleet
    fleet.wifi_out(True)
    fleet.wifi_out(True)
    fleet.wifi_out(False)
    assert fleet.air.heard() == []
    fleet.wifi_out(False)
    assert len(fleet.air.heard()) == 1


@pytest.mark.parametrize("reason", ["watchdog", "power-on"])
def test_a_reset_strikes_every_board(reason: str) -> None:
    """At one instant."""
    world, _ = make_world(2)
    for board in world.fleet:
        board.power_on()
    world.env.run(until=3.0)
    world.fleet.reset(reason)
    world.env.run(until=3.1)
    assert [board.reset_reason for board in world.fleet] == [reason] * 2
    assert [board.running for board in world.fleet] == [False] * 2


def test_a_request_that_was_never_answered_is_forgotten() -> None:
    """The next one for the same value is another's."""
    world, _ = make_world(1)
    askers = Askers(world.bus)
    first = world.bus.attach("first", lambda *_: None)
    second = world.bus.attach("second", lambda *_: None)
    from sim.can.frame import CanFrame

    first.send(CanFrame(0x7DF, b"\x02\x01\xa6"))
    world.env.run(until=5.0)
    second.send(CanFrame(0x7DF, b"\x02\x01\xa6"))
    world.env.run(until=5.1)
    assert askers.who(0xA6, world.env.now) == "second"
    assert askers.who(0xA6, world.env.now) == ""
