"""The control units send on time, fall asleep, wake up, react, and can be stopped."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise

import pytest

from sim.broadcast import Filler, load_database
from sim.can.confinement import ErrorState
from sim.vehicle import Cruise, Drive, Idle, KeyOff
from tests.sim.broadcast.conftest import Listener

Listen = Callable[..., Listener]
IDLE = Drive([Idle("idle", 600)])
LIGHTS, PEDALS, SPEED = 0x280, 0x080, 0x090


def test_cycle_times(listen: Listen) -> None:
    """Each message comes at its cycle time, with little jitter, at a phase of its own."""
    car = listen(IDLE)
    car.run(12.0)
    firsts = set()
    for message in load_database().messages:
        times_s = car.times_s(message.frame_id)
        assert message.cycle_time
        cycle_s = message.cycle_time / 1000.0
        assert len(times_s) == pytest.approx(12.0 / cycle_s, abs=1.01), message.name
        gaps_s = [b - a for a, b in pairwise(times_s)]
        # Other frames may be in the way for some frame times.
        assert all(abs(gap - cycle_s) < 0.003 for gap in gaps_s), message.name
        assert statistics.fmean(gaps_s) == pytest.approx(cycle_s, rel=1e-3, abs=3e-4)
        firsts.add(round(times_s[0], 6))
    assert len(firsts) == len(load_database().messages)
    assert (car.sender.missed_cycles, car.sender.refused_frames, car.sender.lost_frames) == (0,) * 3


def test_bus_load(listen: Listen) -> None:
    """The traffic takes between a quarter and a third of a bus with 500 kbit/s."""
    car = listen(IDLE)
    car.run(5.0)
    assert 25.0 < car.bus.load_pct < 35.0


def test_same_seed_same_frames(listen: Listen) -> None:
    """Two cars with one seed send the same frames at the same instants, with another one not."""
    cars = [listen(IDLE, seed=seed) for seed in (5, 5, 6)]
    for car in cars:
        car.run(1.5)
    assert cars[0].frames == cars[1].frames
    assert cars[0].frames != cars[2].frames


def test_muting_a_unit_moves_no_other(listen: Listen) -> None:
    """A unit that falls silent changes nothing about when the others want to send."""
    sampled: list[list[tuple[float, str]]] = []
    for muted in (False, True):
        car = listen(IDLE, seed=5)
        times: list[tuple[float, str]] = []
        car.sender.on_sample = lambda t_s, name, values, times=times: times.append((t_s, name))
        if muted:
            car.sender.mute("HVAC")
        car.run(1.5)
        sampled.append(times)
    assert [entry for entry in sampled[0] if entry[1] != "Climate"] == sampled[1]
    assert any(name == "Climate" for _, name in sampled[0])


def test_sleeps_and_wakes(listen: Listen) -> None:
    """With the engine off the bus falls silent after a while, and wakes up with the starter."""
    car = listen(Drive([Idle("run", 3), KeyOff("off", 20), Idle("again", 10)]))
    car.run(32.0)
    times_s = car.times_s(SPEED)
    longest = max((b - a, a) for a, b in pairwise(times_s))
    silent_s, last_s = longest
    assert 12.0 < last_s < 16.0
    assert 23.0 < last_s + silent_s < 23.5
    assert not [t_s for t_s, _ in car.frames if last_s + 0.1 < t_s < last_s + silent_s - 0.1]
    status = load_database().get_message_by_name("IgnitionSwitch")
    said = [str(status.decode(data)["IgnitionStatus"]) for data in car.data(0x200)]  # type: ignore[index]
    changes = [said[0], *(b for a, b in pairwise(said) if a != b)]
    assert changes == ["Run", "Off", "Start", "Run"]


def test_parked_car_is_silent(listen: Listen) -> None:
    """A car that was parked before the run began sends nothing."""
    car = listen(Drive([KeyOff("off", 20)]))
    car.run(15.0)
    assert car.frames == []


def test_brake_lights_react(listen: Listen) -> None:
    """The lights' message comes out of its turn when the pedals' message tells of the brake."""
    car = listen(Drive([Cruise("drive", 12, 50), Idle("stop", 12)]))
    car.run(20.0)
    pedals = load_database().get_message_by_name("Pedals")
    pressed_s = next(
        t_s
        for t_s, frame in car.frames
        if frame.arbitration_id == PEDALS and pedals.decode(frame.data)["BrakeSwitch"] == "On"  # type: ignore[index]
    )
    lights = [(t_s, f.data[1] >> 7) for t_s, f in car.frames if f.arbitration_id == LIGHTS]
    lit_s = next(t_s for t_s, lit in lights if t_s > pressed_s - 0.02 and lit)
    assert lit_s - pressed_s < 0.008
    assert min(b - a for (a, _), (b, _) in pairwise(lights)) < 0.095  # not a turn of its cycle


def test_hooks(listen: Listen) -> None:
    """A sample is told of when the frame is given to the node, its end when it has passed."""
    car = listen(IDLE, sampled_signals={"EngineSpeed"})
    told: list[tuple[float, str, float | None]] = []
    car.sender.on_sample = lambda t_s, name, values: told.append((t_s, name, None))
    car.sender.on_sent = lambda t_s, name, sampled_s: told.append((t_s, name, sampled_s))
    values: list[object] = []
    sample = car.sender.on_sample

    def on_sample(t_s: float, name: str, found: object) -> None:
        sample(t_s, name, {})
        values.append(found)

    car.sender.on_sample = on_sample
    car.run(1.0)
    assert [t for t, _, _ in told] == sorted(t for t, _, _ in told)
    ends = [(t_s, sampled_s) for t_s, name, sampled_s in told if name == "EngineSpeedStatus"]
    for (sample_s, none), (end_s, sampled_s) in zip(ends[::2], ends[1::2], strict=False):
        assert none is None
        assert sampled_s == sample_s
        assert 0.0002 < end_s - sample_s < 0.003
    assert any(found for found in values)
    assert all(set(found) <= {"EngineSpeed"} for found in values)  # type: ignore[call-overload]


def test_jammed_bus(listen: Listen) -> None:
    """Behind frames of the highest priority messages miss their cycles; they do not pile up."""
    car = listen(IDLE)
    Filler(car.env, car.bus, 100.0, highest_priority=True, until_s=2.0)
    car.run(2.0)
    assert car.sender.missed_cycles > 1500
    assert all(node.pending_frames <= 12 for node in car.sender.nodes.values())
    sent = len(car.frames)
    car.run(3.0)
    assert len([f for _, f in car.frames[sent:] if f.arbitration_id >= 0x10]) > 1100


def test_bus_off_and_back(listen: Listen) -> None:
    """A unit that is bus-off loses its frames, and sends again once its node has recovered."""
    car = listen(IDLE)
    node = car.sender.nodes["PCM"]

    def destroy(t_s: float, sender: str, frame: object) -> object:
        from sim.can.faults import ErrorKind

        return ErrorKind.BIT if sender == "PCM" and 0.5 < t_s < 0.8 else None

    car.bus.faults.append(destroy)  # type: ignore[arg-type]
    node.auto_recover_s = 0.1
    car.run(0.6)
    assert node.state is ErrorState.BUS_OFF
    car.run(2.0)
    assert car.sender.lost_frames > 0
    assert car.sender.refused_frames > 5
    assert len([t_s for t_s in car.times_s(SPEED) if t_s > 1.0]) == pytest.approx(100, abs=1)
    silent = [t_s for t_s in car.times_s(SPEED) if 0.55 < t_s < 0.8]
    assert silent == []


def test_until(listen: Listen) -> None:
    """From the given instant on nobody broadcasts."""
    car = listen(IDLE, until_s=0.5)
    car.run(1.0)
    assert car.frames
    assert car.frames[-1][0] < 0.51


def test_unknown_unit(listen: Listen) -> None:
    """Muting a unit that the car does not have names those that it has."""
    with pytest.raises(ValueError, match=r"expected one of .*'PCM'"):
        listen(IDLE).sender.mute("ECU")
