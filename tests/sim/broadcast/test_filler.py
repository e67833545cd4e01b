"""The filler keeps the bus at the wanted load."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simpy

from sim.broadcast import Filler
from sim.can.bit_length import INTERFRAME_BITS
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.vehicle import Drive, Idle
from tests.sim.broadcast.conftest import Listener

Listen = Callable[..., Listener]
IDLE = Drive([Idle("idle", 60)])


def _load_pct(bus: CanBus, time_s: float) -> float:
    bits = bus.busy_bits + INTERFRAME_BITS * bus.frame_count
    return 100.0 * bits / (bus.bitrate_bps * time_s)


@pytest.mark.parametrize("load_pct", [100.0, 80.0, 45.0])
@pytest.mark.parametrize("highest", [False, True])
def test_load(listen: Listen, load_pct: float, highest: bool) -> None:
    """Together with the car's own traffic the bus is as busy as asked for."""
    car = listen(IDLE)
    Filler(car.env, car.bus, load_pct, highest_priority=highest)
    car.run(1.5)
    assert _load_pct(car.bus, 1.5) == pytest.approx(load_pct, abs=0.5)


def test_low_priority_disturbs_nobody(listen: Listen) -> None:
    """On a bus filled with the lowest priority every message of the car comes through."""
    car = listen(IDLE)
    Filler(car.env, car.bus, 100.0)
    car.run(1.0)
    assert car.sender.missed_cycles == 0
    assert len(car.times_s(0x090)) == pytest.approx(100, abs=1)


def test_frames_are_numbered(listen: Listen) -> None:
    """Every frame carries its number: a gap is a lost frame."""
    car = listen(IDLE)
    filler = Filler(car.env, car.bus, 90.0)
    car.run(0.5)
    numbers = [
        int.from_bytes(frame.data[:4], "big")
        for _, frame in car.frames
        if frame.arbitration_id >= 0x7F0
    ]
    assert sorted(numbers) == list(range(len(numbers)))
    assert len(numbers) == filler.sent_frames


def test_less_than_there_is_anyway(listen: Listen) -> None:
    """Where the car's traffic is more than the wanted load, nothing is added."""
    car = listen(IDLE)
    filler = Filler(car.env, car.bus, 10.0)
    car.run(1.0)
    assert filler.sent_frames <= 2


@pytest.mark.parametrize("load_pct", [0.0, -5.0, 100.5, float("nan")])
def test_impossible_load(load_pct: float) -> None:
    """A load that no bus has is refused."""
    env = simpy.Environment()
    with pytest.raises(ValueError, match="expected above 0 and up to 100 %"):
        Filler(env, CanBus(env), load_pct)


def test_comes_back_after_a_jam() -> None:
    """What could not be sent while others held the bus is not made up for in a flood."""
    env = simpy.Environment()
    bus = CanBus(env)
    other = bus.attach("other", lambda frame, t_s: None)
    Filler(env, bus, 50.0)
    for _ in range(250):
        other.send(CanFrame(0x001, bytes(8)))
    env.run(until=1.0)
    bits = bus.busy_bits
    env.run(until=2.0)
    assert 100.0 * (bus.busy_bits - bits) / bus.bitrate_bps < 52.0


@pytest.mark.parametrize("load_pct", [100.0, 50.0])
def test_stop(load_pct: float) -> None:
    """A filler that was stopped sends no more, and may be stopped again."""
    env = simpy.Environment()
    bus = CanBus(env)
    bus.attach("other", lambda frame, t_s: None)
    filler = Filler(env, bus, load_pct)
    env.run(until=0.1)
    assert filler.sent_frames > 100
    filler.stop()
    env.run(until=0.101)
    count = bus.frame_count
    filler.stop()
    env.run(until=0.5)
    assert bus.frame_count == count
