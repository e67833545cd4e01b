"""Figures of the CAN bus and of its link, out of frames and readings that are written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from rig.measures.measures import Measures
from rig.record.streams import CAN_ERROR, CanRow
from tests.rig.measures.conftest import Bench, at

SPEED, GEAR, DOOR = 0x1000_0001, 0x1000_0002, 0x1000_0003
SIGNALS = {
    SPEED: {"name": "VehicleSpeed", "unit": "km/h", "resolution": 0.01, "link": "can"},
    GEAR: {"name": "CurrentGear", "unit": "", "resolution": 1.0, "link": "can"},
    DOOR: {"name": "DoorOpen", "unit": "", "resolution": 1.0, "link": "can"},
}
MANIFEST = {
    "signals": SIGNALS,
    "can": {"bitrate_bps": 1000, "changes": ["CurrentGear"]},
    "plan": {"can": {"VehicleSpeed": 10.0, "CurrentGear": None, "DoorOpen": None}},
}


class CanBench:
    """A bench with a bus of 1000 bit/s."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def frame(self, time_s: float, bits: int = 97, flags: int = 0) -> None:
        """Let a frame end; with the intermission it takes 0.1 s."""
        text = "crc" if flags & CAN_ERROR else "\x01\xff"
        self.bench.writer.can(CanRow(at(time_s), "PCM", 0x90, flags, text, bits))

    def carry(self, signal: int, times_s: Iterable[float], value: float = 3.0) -> None:
        """Let the bus carry a value at each instant."""
        for time_s in times_s:
            name = str(SIGNALS[signal]["name"])
            self.bench.sample(time_s, "can", name, value, value)

    def read(self, signal: int, times_s: Iterable[float], value: float = 3.0) -> None:
        """Let the gateway have it 1 ms later, with the instant on the bus."""
        for time_s in times_s:
            self.bench.reading(signal, value, measured_s=time_s, received_s=time_s + 0.001)


@pytest.fixture
def bus(bench: Callable[..., Bench]) -> CanBench:
    """A bench with the manifest of a CAN run."""
    return CanBench(bench(**MANIFEST))


def value(measures: Measures, name: str, phase: str | None = None) -> float | None:
    """The figure alone."""
    measured = measures.get(name, phase)
    return None if measured is None else measured.value


def test_load_counts_frames_error_frames_and_the_pause_behind_each(bus: CanBench) -> None:
    """Thirty frames of 0.1 s and one error frame of 0.02 s in ten seconds."""
    for number in range(30):
        bus.frame(1.0 + number * 0.1)
    bus.frame(5.0, bits=17, flags=CAN_ERROR)
    measures = bus.bench.measures()
    assert value(measures, "can.bus_load", "calm") == pytest.approx(30.2)
    assert value(measures, "can.bus_load.max", "calm") == pytest.approx(100.0)
    assert value(measures, "can.bus_load", "hard") == 0.0
    assert value(measures, "can.frames") == 30
    assert value(measures, "can.error_frames") == 1


def test_controllers_that_left_the_bus_are_counted(bus: CanBench) -> None:
    """Each time; not that they came back."""
    for time_s, what in ((3.0, "bus_off"), (4.0, "bus_on"), (12.0, "bus_off")):
        bus.bench.writer.event(at(time_s), "can", {"name": what, "phase": "PCM"})
    measures = bus.bench.measures()
    assert value(measures, "can.bus_off") == 2
    assert value(measures, "can.bus_off", "calm") == 1


def test_lost_frames_are_those_that_passed_and_were_not_counted(bus: CanBench) -> None:
    """Frames that the link left out on purpose are received; error frames are none."""
    bus.bench.result |= {
        "can": {"offered": 100},
        "counters": {"can": {"frames": 95, "frames_unwanted": 7, "error_frames": 5}},
    }
    bus.frame(1.0)
    assert value(bus.bench.measures(), "can.frames.lost") == 3


def test_a_reading_belongs_to_the_frame_of_its_instant(bus: CanBench) -> None:
    """However late it comes: here it comes when two more frames have passed."""
    times_s = [1.0, 1.01, 1.02]
    for time_s, speed in zip(times_s, (50.0, 50.5, 51.0), strict=True):
        bus.carry(SPEED, [time_s], speed)
    bus.bench.reading(SPEED, 50.0, measured_s=1.0, received_s=1.025)
    measures = bus.bench.measures()
    assert value(measures, "can.fidelity.max") == 0.0
    assert value(measures, "can.latency.max") == pytest.approx(25.0)
    assert value(measures, "can.invented") == 0


def test_what_the_bus_never_carried_is_invented(bus: CanBench) -> None:
    """Another value, and a value before there was any."""
    bus.bench.reading(SPEED, 50.0, measured_s=0.5, received_s=0.6)
    bus.carry(SPEED, [1.0, 2.0], 50.0)
    bus.read(SPEED, [1.0], 50.0)
    bus.read(SPEED, [2.0], 50.02)
    assert value(bus.bench.measures(), "can.invented") == 2


def test_a_rate_calls_for_no_more_than_the_bus_carried(bus: CanBench) -> None:
    """Ten a second are wanted, one a second comes: 19 of 20 are 95 %."""
    times_s = [float(second) + 0.5 for second in range(20)]
    bus.carry(SPEED, times_s)
    bus.read(SPEED, times_s[:19])
    measures = bus.bench.measures()
    assert value(measures, "can.coverage") == pytest.approx(95.0)
    assert value(measures, "can.missing") is None  # what a rate leaves out is not missing


def test_of_a_signal_by_change_only_changes_are_called_for(bus: CanBench) -> None:
    """The first value, and each other one; a reading more does no harm."""
    bus.carry(GEAR, [1.0, 2.0, 3.0], 1.0)
    bus.carry(GEAR, [4.0, 5.0], 2.0)
    bus.read(GEAR, [1.0, 3.0], 1.0)
    measures = bus.bench.measures()
    assert value(measures, "can.missing") == 1
    assert value(measures, "can.coverage") == pytest.approx(50.0)


def test_of_a_signal_without_a_rate_each_value_is_called_for(bus: CanBench) -> None:
    """Changed or not."""
    bus.carry(DOOR, [1.0, 2.0, 3.0, 4.0], 0.0)
    bus.read(DOOR, [1.0, 2.0, 4.0], 0.0)
    assert value(bus.bench.measures(), "can.missing") == 1


def test_degraded_is_the_time_for_which_the_gateway_said_so(bus: CanBench) -> None:
    """From the one event to the next; the end of the run ends it too."""
    for time_s, state in ((1.0, "up"), (4.0, "degraded"), (6.0, "up"), (19.0, "degraded")):
        detail = {"name": "can", "state": state, "reason": ""}
        bus.bench.writer.event(at(time_s), "gateway.link", detail)
    bus.carry(DOOR, [1.0], 0.0)
    measures = bus.bench.measures()
    assert value(measures, "can.degraded") == pytest.approx(15.0)
    assert value(measures, "can.degraded", "calm") == pytest.approx(20.0)


def test_a_run_without_the_link_has_none_of_its_figures(bench: Callable[..., Bench]) -> None:
    """Not even a load of zero."""
    measures = bench().measures()
    assert measures.get("can.bus_load") is None
    assert measures.get("can.invented") is None
