"""Clocks that go wrong, in the sentences of the real receiver model and the ticks of a board."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pytest
import simpy

from rig.faults import add_faults, fault
from sim.esp32 import BoardSetup
from sim.route import COURSES
from sim.vehicle import Cruise, Drive
from sim.world import Esp32Setup, GpsSetup, World, WorldSetup

NEW_YEAR_S = 30.0  # of the drive
END_S = 100.0


@dataclass(frozen=True)
class Epoch:
    """When a sentence came, and what it says: hhmmss.ss and ddmmyy."""

    at_s: float
    time: str
    date: str


def utc_ns(text: str) -> int:
    """Return UTC nanoseconds since 1970."""
    return int(datetime.datetime.fromisoformat(text).timestamp()) * 1_000_000_000


class Listener:
    """A receiver whose RMC sentences are kept; it was switched on half a minute before 2027."""

    def __init__(self, rate_hz: float = 1.0) -> None:
        env = simpy.Environment()
        gps = GpsSetup(sentences=("RMC",), rate_hz=rate_hz, baud=38400)
        drive = Drive([Cruise("cruise", END_S, 50.0)])
        setup = WorldSetup(drive, COURSES["highway"], obd=None, gps=gps)
        start_ns = utc_ns("2026-12-31T23:59:30+00:00")
        self.world = World(env, setup, seed=1, epoch_ns=start_ns)
        self.epochs: list[Epoch] = []
        self.world.lines["gps"].attach_host(self._hear)

    def _hear(self, data: bytes) -> None:
        fields = data.decode("ascii").split(",")
        if fields[0].endswith("RMC"):
            assert fields[2] == "A"
            self.epochs.append(Epoch(self.world.env.now, fields[1], fields[9]))

    def run(self) -> list[Epoch]:
        self.world.env.run(until=END_S)
        return self.epochs


def times(epochs: list[Epoch], start_s: float, end_s: float) -> list[str]:
    """The times of day that came in that while."""
    return [epoch.time for epoch in epochs if start_s <= epoch.at_s < end_s]


def test_the_year_changes_between_two_sentences() -> None:
    """31 December 23:59:59, 1 January 00:00:00: no fault at all."""
    said = [(e.time, e.date) for e in Listener().run() if 28.5 < e.at_s < 31.5]
    assert said == [
        ("235959.00", "311226"),
        ("000000.00", "010127"),
        ("000001.00", "010127"),
    ]


@pytest.mark.parametrize("rate_hz", [1.0, 5.0])
def test_a_leap_second_is_said_as_60_and_then_all_is_a_second_later(rate_hz: float) -> None:
    """On the date that ends; at the end of the fault the second is made up for."""
    listener = Listener(rate_hz)
    add_faults(listener.world, fault("leap_second", "gps", at_s=5.0, for_s=65.0))
    epochs = listener.run()
    step = round(100 / rate_hz)
    leap = [epoch for epoch in epochs if epoch.time.startswith("235960")]
    assert [e.time for e in leap] == [f"235960.{n:02d}" for n in range(0, 100, step)]
    assert {e.date for e in leap} == {"311226"}
    assert 30.0 < leap[0].at_s < 30.2
    after = epochs[epochs.index(leap[-1]) + 1]
    assert (after.time, after.date) == ("000000.00", "010127")
    assert 31.0 < after.at_s < 31.2
    whole = [time for time in times(epochs, 68.0, 72.9) if time.endswith(".00")]
    assert whole == ["000037.00", "000038.00", "000040.00", "000041.00", "000042.00"]


def test_a_week_that_rolls_over_is_1024_weeks_back_and_the_time_of_day_right() -> None:
    """19 years, 7 months and 18 days; only while it lasts."""
    listener = Listener()
    add_faults(listener.world, fault("gps_week_rollover", "gps", at_s=40.0, for_s=20.0))
    epochs = listener.run()
    assert {e.date for e in epochs if 40.5 < e.at_s < 60.0} == {"180507"}
    assert {e.date for e in epochs if e.at_s > 61.0} == {"010127"}
    assert [e.time for e in epochs] == [e.time for e in Listener().run()]


@pytest.mark.parametrize("by", ["2.5 s", "-2.5 s"])
def test_a_clock_that_jumped_is_ahead_until_it_is_right_again(by: str) -> None:
    """Its epochs stay on its own whole seconds: half a second beside the true ones."""
    listener = Listener()
    add_faults(listener.world, fault("clock_jump", "gps", at_s=40.3, for_s=20.0, by=by))
    epochs = listener.run()
    ahead_s = float(by.split()[0])
    for epoch in epochs:
        if 43.0 < epoch.at_s < 59.0 or epoch.at_s > 65.0:
            said_s = int(epoch.time[2:4]) * 60 + float(epoch.time[4:])
            true_s = epoch.at_s - NEW_YEAR_S
            wrong_s = ahead_s if epoch.at_s < 60.0 else 0.0
            assert said_s == pytest.approx(true_s + wrong_s, abs=0.2)
            assert epoch.time.endswith(".00")
    assert len({e.time for e in epochs if e.at_s > 65.0}) == len(times(epochs, 65.0, END_S))


def test_a_clock_that_drifts_says_each_second_once() -> None:
    """2 % for 40 s: 0.8 s in the end, and right again."""
    listener = Listener()
    add_faults(listener.world, fault("clock_drift", "gps", at_s=35.0, for_s=40.0, rate="20000 ppm"))
    epochs = listener.run()
    during = [e for e in epochs if 36.0 < e.at_s < 74.0]
    assert len({e.time for e in during}) == len(during)
    first, last = during[0], during[-1]
    said_s = int(last.time[4:6]) - int(first.time[4:6])
    assert said_s / (last.at_s - first.at_s) == pytest.approx(1.02, abs=0.002)
    assert times(epochs, 90.0, 92.9) == ["000100.00", "000101.00", "000102.00"]


# -- boards ----------------------------------------------------------------------------------------
class Sleeper:
    """Firmware that asks to be called each second, and notes its ticks."""

    def __init__(self, hal: object, calls: list[tuple[float, int]], env: simpy.Environment):
        self._hal, self._calls, self._env = hal, calls, env

    def start(self) -> None:
        pass

    def poll(self) -> int:
        ticks_ms = self._hal.ticks_ms()  # type: ignore[attr-defined]
        self._calls.append((self._env.now, ticks_ms))
        return 1000 - ticks_ms % 1000


@pytest.fixture
def board() -> tuple[World, list[tuple[float, int]]]:
    """A world with one board, whose crystal is right; and when it was called with which ticks."""
    env = simpy.Environment()
    calls: list[tuple[float, int]] = []
    quiet = BoardSetup(crystal_ppm=0.0, drift_ppm_per_h=0.0)
    setup = WorldSetup(
        Drive([Cruise("cruise", END_S, 50.0)]),
        COURSES["highway"],
        obd=None,
        gps=None,
        esp32=Esp32Setup(board=quiet, firmware=lambda hal: Sleeper(hal, calls, env)),
    )
    world = World(env, setup, seed=1, epoch_ns=utc_ns("2026-05-01T00:00:00+00:00"))
    assert world.fleet is not None
    for one in world.fleet:
        one.gnss.line.to_host.receiver = None
        one.power_on()
    return world, calls


def ticks_at(calls: list[tuple[float, int]], at_s: float) -> float:
    """The ticks of the first call after `at_s`, in seconds, less the time since `at_s`."""
    time_s, ticks_ms = next(call for call in calls if call[0] >= at_s)
    return ticks_ms / 1000.0 - (time_s - at_s)


@pytest.mark.parametrize(("by", "after_s"), [("5 s", 45.0), ("-2 s", 38.0)])
def test_a_boards_count_jumps_and_never_goes_back(
    board: tuple[World, list[tuple[float, int]]], by: str, after_s: float
) -> None:
    """Ahead at once; behind by running at half its speed. It stays where it is."""
    world, calls = board
    add_faults(world, fault("clock_jump", "esp32", at_s=20.0, for_s=5.0, by=by))
    world.env.run(until=60.0)
    assert ticks_at(calls, 19.0) == pytest.approx(19.0, abs=0.002)
    assert ticks_at(calls, 40.0) == pytest.approx(after_s, abs=0.002)
    ticks = [ticks_ms for _, ticks_ms in calls]
    assert ticks == sorted(ticks)


def test_a_boards_clock_drifts_and_keeps_what_it_counted_too_much(
    board: tuple[World, list[tuple[float, int]]],
) -> None:
    """10,000 ppm for 20 s are 0.2 s; a reset in between begins at zero with the same drift."""
    world, calls = board
    add_faults(world, fault("clock_drift", "esp32", at_s=10.0, for_s=20.0, rate="10000 ppm"))
    world.env.run(until=45.0)
    assert ticks_at(calls, 40.0) == pytest.approx(40.2, abs=0.002)
    add_faults(world, fault("clock_drift", "esp32", at_s=50.0, for_s=40.0, rate="-10000 ppm"))
    add_faults(world, fault("board_reset", "esp32", at_s=60.0))
    world.env.run(until=82.0)
    assert ticks_at(calls, 80.0) == pytest.approx(19.8, abs=0.004)
