"""Traffic and doors on the car's bus, and what can go wrong there."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import simpy

from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can_setup import CanSetup, DoorSetup, PlaySetup
from sim.can_side import BUS_OFF, BUS_ON, CanSide, SlcanDoor
from sim.car import build_car
from sim.route import COURSES
from sim.streams import RandomStreams
from sim.vehicle import FOCUS_ST, Ambient, Drive, Idle

pytest.importorskip("cantools", reason="the package cantools is not installed")

BROADCAST_FRAMES_PER_S = 1190
LOG = "(1700000000.000000) can0 123#01\n(1700000000.100000) can0 124#02\n"


class Bench:
    """A car that idles, with what `setup` adds to its bus; notes all that passes."""

    def __init__(self, setup: CanSetup) -> None:
        self.env = simpy.Environment()
        streams = RandomStreams(3)
        car = build_car(
            self.env,
            FOCUS_ST,
            Drive([Idle("idle", 60.0)]),
            COURSES["highway"],
            streams.stream,
            ambient=Ambient(20.0, 101.3),
            coolant_c=None,
            on_sample=None,
            response_time_s=(0.01, 0.01),
        )
        self.notes: list[tuple[str, str]] = []
        self.frames: list[tuple[float, str, int]] = []
        self.errors: list[tuple[float, str]] = []
        self.side = CanSide(
            self.env,
            setup,
            car,
            streams.stream,
            0,
            lambda what, who: self.notes.append((what, who)),
        )
        car.bus.taps.append(self._frame)
        car.bus.error_taps.append(self._error)

    def _frame(self, time_s: float, sender: str, frame: CanFrame) -> None:
        self.frames.append((time_s, sender, frame.arbitration_id))

    def _error(self, time_s: float, sender: str, kind: ErrorKind, frame: CanFrame) -> None:
        self.errors.append((time_s, sender))

    def senders(self, start_s: float, end_s: float) -> set[str]:
        """Who was heard in this time."""
        return {sender for time_s, sender, _ in self.frames if start_s <= time_s < end_s}

    def open_slcan(self, link: str = "can") -> list[bytes]:
        """Open the slcan door of a link as a client does; give what comes from it."""
        heard: list[bytes] = []
        line = self.side.lines[link]
        line.attach_host(heard.append)
        line.feed(b"S6\rO\r")
        return heard


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Make a bench with doors and more."""

    def make(doors: dict[str, DoorSetup] | None = None, **more: object) -> Bench:
        doors = {"can": DoorSetup("slcan")} if doors is None else doors
        return Bench(CanSetup(doors, **more))  # type: ignore[arg-type]

    return make


def test_there_is_traffic_from_start_to_end(bench: Callable[..., Bench]) -> None:
    """Every control unit of the DBC that sends, and none before or after."""
    one = bench(broadcast=True, start_s=1.0, until_s=3.0)
    one.env.run(until=5.0)
    times_s = [time_s for time_s, _, _ in one.frames]
    assert 1.0 <= min(times_s) < 1.1
    assert 2.9 < max(times_s) < 3.01
    assert one.senders(0, 5) >= {"PCM", "ABS", "BCM"}
    assert len(times_s) == pytest.approx(2 * BROADCAST_FRAMES_PER_S, rel=0.1)


def test_a_frame_of_one_door_is_heard_at_the_other(bench: Callable[..., Bench]) -> None:
    """And counted there as offered, not at its own."""
    one = bench({"can": DoorSetup("slcan"), "obd": DoorSetup("slcan", "lawicel_canusb")})
    heard, own = one.open_slcan("can"), one.open_slcan("obd")
    one.env.run(until=0.1)
    one.side.lines["obd"].feed(b"t7DF80201050000000000\r")
    one.env.run(until=0.2)
    assert b"".join(heard).startswith(b"t7DF80201050000000000\r")
    assert not b"".join(own).count(b"t7DF")
    assert one.side.offered["can"] == one.side.offered["obd"] + 1


def test_a_pulled_door_hears_nothing_until_it_is_opened_again(bench: Callable[..., Bench]) -> None:
    """The adapter lives on the power of its cable; so does a socketcand's client on its network."""
    one = bench({"can": DoorSetup("slcan"), "obd": DoorSetup("socketcand")}, broadcast=True)
    one.open_slcan()
    assert one.side.connect("obd") is not None
    one.env.run(until=1.0)
    for line in one.side.lines.values():
        line.hang_up()
    before = dict(one.side.offered)
    assert one.side.connect("obd") is None
    one.env.run(until=2.0)
    for line in one.side.lines.values():
        line.replug()
    one.env.run(until=3.0)
    assert one.side.offered == before
    assert one.side.connect("obd") is not None
    assert one.side.connect("can") is None  # it has a serial port
    one.open_slcan()
    one.env.run(until=4.0)
    assert one.side.offered["can"] > before["can"]


def test_disturbed_frames_come_again(bench: Callable[..., Bench]) -> None:
    """Error frames while it lasts, and all frames nevertheless."""
    one = bench(broadcast=True)
    one.open_slcan()
    one.env.run(until=1.0)
    undo = one.side.disturb(0.05, "any", random.Random(1))
    one.env.run(until=3.0)
    undo()
    one.env.run(until=4.0)
    times_s = [time_s for time_s, _ in one.errors]
    assert times_s
    assert 1.0 <= min(times_s) < max(times_s) <= 3.0
    assert one.notes == []
    assert len(one.frames) == pytest.approx(4 * BROADCAST_FRAMES_PER_S, rel=0.1)


def test_a_choked_controller_leaves_the_bus_and_comes_back(bench: Callable[..., Bench]) -> None:
    """Again and again while its frames are destroyed; the others go on."""
    one = bench(broadcast=True, auto_recovery_s=0.1)
    one.open_slcan()
    one.env.run(until=1.0)
    undo = one.side.choke("engine", "can")
    one.env.run(until=2.0)
    undo()
    one.env.run(until=3.0)
    assert one.notes[:2] == [(BUS_OFF, "PCM"), (BUS_ON, "PCM")]
    assert len(one.notes) > 4
    assert one.notes[-1] == (BUS_ON, "PCM")
    assert "PCM" not in one.senders(1.0, 2.0)
    assert one.senders(1.0, 2.0) >= {"ABS", "BCM"}
    assert "PCM" in one.senders(2.2, 3.0)


def test_the_door_can_be_choked_too(bench: Callable[..., Bench]) -> None:
    """An adapter that does not come back by itself stays off."""
    one = bench({"can": DoorSetup("slcan", "lawicel_canusb")}, broadcast=True)
    one.open_slcan()
    one.env.run(until=0.5)
    one.side.choke("door", "can")
    one.side.lines["can"].feed(b"t7DF80201050000000000\r")
    one.env.run(until=1.0)
    door = one.side.doors["can"]
    assert isinstance(door, SlcanDoor)
    assert one.notes == [(BUS_OFF, "can0")]
    assert door.adapter.counters.bus_offs == 1


def test_muted_units_are_silent_for_as_long_as_anybody_mutes(bench: Callable[..., Bench]) -> None:
    """Two faults may overlap."""
    one = bench(broadcast=True)
    for time_s, muted in ((1.0, True), (1.5, True), (2.0, False), (3.0, False)):
        one.env.run(until=time_s)
        one.side.mute(muted)
    one.env.run(until=4.0)
    assert one.senders(1.1, 3.0) == set()
    assert one.senders(3.0, 4.0) >= {"PCM", "ABS"}


def test_a_flood_keeps_all_others_waiting(bench: Callable[..., Bench]) -> None:
    """And ends when it is told to."""
    one = bench(broadcast=True)
    one.open_slcan()
    one.env.run(until=1.0)
    undo = one.side.flood(100.0)
    one.env.run(until=2.0)
    undo()
    one.env.run(until=3.0)
    assert one.senders(1.1, 2.0) == {"filler"}
    assert one.senders(2.1, 3.0) >= {"PCM", "ABS"}
    assert "filler" not in one.senders(2.1, 3.0)


def test_a_node_at_a_wrong_rate_disturbs(bench: Callable[..., Bench]) -> None:
    """Its error flags destroy frames until its own errors silence it."""
    one = bench(broadcast=True)
    one.open_slcan()
    one.env.run(until=1.0)
    undo = one.side.add_wrong_rate(250_000)
    one.env.run(until=2.0)
    undo()
    one.env.run(until=3.0)
    assert one.errors
    assert 1.0 <= one.errors[0][0] < 1.1
    assert not [error for error in one.errors if error[0] > 2.1]


def test_load_and_log_are_strangers(bench: Callable[..., Bench], tmp_path: Path) -> None:
    """The filler fills up to its load; the log comes at its spacing from the start on."""
    log = tmp_path / "one.log"
    log.write_text(LOG, encoding="ascii")
    one = bench(play=PlaySetup(log, without=(0x124,)), load_pct=50.0, start_s=1.0, until_s=3.0)
    one.open_slcan()
    one.env.run(until=4.0)
    assert one.senders(0, 4) <= one.side.strangers
    played = [(time_s, number) for time_s, sender, number in one.frames if sender == "log"]
    assert [number for _, number in played] == [0x123]
    assert played[0][0] == pytest.approx(1.0, abs=0.002)
    bus = one.side.bus
    load_pct = 100.0 * (bus.busy_bits + 3 * bus.frame_count) / (2.0 * bus.bitrate_bps)
    assert load_pct == pytest.approx(50.0, abs=1.0)
