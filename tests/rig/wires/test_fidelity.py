"""The wires of a run, played to the same gateway, give what the run gave; another gateway is seen.

What may differ is told in docs/wires.md: the instant of a commit where two things happen at once,
and the last digit of a time stamp that socketcand cuts to microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig.record.reader import RecordReader
from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario
from rig.wires.diff import Diff, diff, read_rules
from rig.wires.kept import series_of
from rig.wires.scenario_file import write_scenario

DRIVE = """
rig: 1
name: drive
needs: [obd, gps]
seed: 7
phases:
  - {idle: 3 s}
  - {cruise: {speed: 60 km/h, for: 20 s}}
faults:
  - {at: 6 s, on: obd, drop: 5 %, for: 5 s}
  - {at: 6 s, on: gps, corrupt: 1 %, for: 5 s}
  - {at: 14 s, on: gps, hang_up: 3 s}
limits:
  readings.lost: {equals: 0}
"""
SHORT = """
rig: 1
name: short
needs: [obd, gps]
seed: 8
phases: [{cruise: {speed: 60 km/h, for: 6 s}}]
limits:
  readings.lost: {equals: 0}
"""
BUS = """
rig: 1
name: bus
needs: [can]
seed: 3
phases: [{idle: 1 s}, {cruise: {speed: 60 km/h, for: 3 s}}]
limits:
  readings.lost: {equals: 0}
"""
BOARD = """
rig: 1
name: board
needs: [esp32]
seed: 5
world: {esp32: {transport: serial}}
phases: [{idle: 3 s}, {cruise: {speed: 60 km/h, for: 10 s}}]
limits:
  readings.lost: {equals: 0}
"""
PLAN = """
[gateway]
device = "car-1"

[links.elm]
kind = "obd"
port = "/dev/serial/by-id/adapter"

[[links.elm.plan]]
signal = "RPM"
rate_hz = 5.0

[[links.elm.plan]]
signal = "SPEED"
rate_hz = 5.0
"""

Drive = Callable[[str], Run]
Play = Callable[..., Run]


@pytest.fixture(scope="module")
def drive(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Return `drive(text)`: the run of a scenario, each once."""
    done: dict[str, Run] = {}

    def drive_it(text: str) -> Run:
        if text not in done:
            path = tmp_path_factory.mktemp("drive") / "it.scenario.yaml"
            path.write_text(text)
            scenario = load_scenario(path)
            done[text] = came_to_its_end(runner.run(Request(scenario, scenario.seed, "virtual")))
        return done[text]

    return drive_it


@pytest.fixture(scope="module")
def play(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Return `play(run, mutation, **options)`: the run that plays the wires of another, once."""
    done: dict[object, Run] = {}

    def play_it(
        run: Run,
        mutation: str = "",
        mode: str = "virtual",
        *,
        again: bool = False,
        **options: object,
    ) -> Run:
        key = (id(run), mutation, mode, again, repr(options))
        if key not in done:
            done[key] = play_once(run, mutation, mode, **options)
        return done[key]

    def play_once(run: Run, mutation: str, mode: str, **options: object) -> Run:
        folder = tmp_path_factory.mktemp("played")
        path = write_scenario(RecordReader(run.folder), folder, **options)  # type: ignore[arg-type]
        scenario = load_scenario(path)
        preload = f"mutations:{mutation}" if mutation else ""
        return came_to_its_end(runner.run(Request(scenario, scenario.seed, mode, preload)))

    return play_it


def came_to_its_end(run: Run) -> Run:
    assert not run.failure, run.failure
    return run


def compare(reference: Run, found: Run, *tolerances: str, from_s: float | None = None) -> Diff:
    return diff(
        series_of(RecordReader(reference.folder)),
        series_of(RecordReader(found.folder)),
        read_rules(tolerances, (), from_s),
    )


def wire(run: Run, link: str) -> list[object]:
    return list(RecordReader(run.folder).wire(link))


def test_a_drive_with_lost_bytes_and_a_pulled_cable_is_the_same_again(
    drive: Drive, play: Play
) -> None:
    """Each byte of both wires at its nanosecond, each stored reading, and no world behind it."""
    before = drive(DRIVE)
    after = play(before)
    for link in ("obd", "gps"):
        assert wire(before, link) == wire(after, link)
    result = compare(before, after)
    assert result.equal, result.first()
    assert sum(one.found for one in result.signals) > 500
    played = RecordReader(after.folder).manifest.played
    assert played["counters"]["obd"]["answered"] > 200
    assert played["unknown"] == {}


def test_played_twice_the_trace_is_the_same(drive: Drive, play: Play) -> None:
    """A played run is as repeatable as any other."""
    first, second = (play(drive(DRIVE), again=again) for again in (False, True))
    assert first.trace_sha256 == second.trace_sha256 != ""


def test_measures_need_no_truth(drive: Drive, play: Play) -> None:
    """Latency and coverage come from the wires; there is no truth, and nothing claims one."""
    after = play(drive(DRIVE))
    record = RecordReader(after.folder)
    assert record.manifest.real_links == ["gps", "obd"]
    assert record.truth == []
    assert record.samples == []
    assert after.measures["gps.latency.p50"].value > 0.0
    assert after.measures["obd.coverage"].value > 90.0
    assert after.measures["readings.lost"].value == 0.0
    assert after.passed, after.failure_lines()


@pytest.mark.parametrize(
    ("mutation", "signal", "what"),
    [
        ("speed_in_mph", "SPEED", "values"),
        ("longitude_mirrored", "LON", "values"),
        ("gps_second_late", "LAT", "instants"),
        ("obd_reading_rarely_not_accepted", "RPM", "missing"),
    ],
)
def test_a_broken_gateway_differs(
    mutation: str, signal: str, what: str, drive: Drive, play: Play
) -> None:
    """By the signal that it broke, and in the way in which it did."""
    result = compare(drive(DRIVE), play(drive(DRIVE), mutation))
    broken = {one.signal: one for one in result.signals if not one.equal}
    assert getattr(broken[signal], what) > 0


def test_a_single_link_is_played_alone(drive: Drive, play: Play) -> None:
    """The gateway has no other one, and stores of it what it stored before."""
    result = compare(drive(DRIVE), play(drive(DRIVE), links=["gps"]))
    assert {one.signal for one in result.signals if one.equal} >= {"LAT", "LON", "GPS_SPEED"}
    assert {one.found for one in result.signals if one.signal == "RPM"} == {0}


def test_another_configuration_is_another_gateway(drive: Drive, play: Play, tmp_path: Path) -> None:
    """The gateway's own file says what it reads: two signals, whatever the link's name."""
    config = tmp_path / "gateway.toml"
    config.write_text(PLAN)
    after = play(drive(DRIVE), config=config, links=["obd"])
    stored = {series.signal for series in series_of(RecordReader(after.folder))}
    assert stored == {"RPM", "SPEED"}


def test_a_bus_is_the_same_again(drive: Drive, play: Play) -> None:
    """Each frame ends when it ended, and is decoded to the same readings."""
    before = drive(BUS)
    after = play(before)
    rows = [[row[:1] + row[2:] for row in RecordReader(run.folder).can] for run in (before, after)]
    own = [row for row in RecordReader(before.folder).can if row.sender == "can0"]
    assert rows[0] == rows[1]
    assert own == []
    result = compare(before, after)
    assert result.equal, result.first()


def test_a_board_on_its_cable_is_the_same_again(drive: Drive, play: Play) -> None:
    """The gateway's acknowledgements go to a board that is none; what it sent is stored."""
    before = drive(BOARD)
    result = compare(before, play(before))
    assert result.equal, result.first()
    assert sum(one.found for one in result.signals) > 100


def test_in_wall_time_values_are_those_of_their_instants(drive: Drive, play: Play) -> None:
    """The unpatched gateway starts later and asks at other instants; its positions are the same."""
    before = drive(SHORT)
    after = play(before, mode="paced", answers="time")
    result = compare(before, after, "time=300ms", from_s=0.0)
    by_name = {one.signal: one for one in result.signals}
    lat, coolant = by_name["LAT"], by_name["COOLANT_TEMP"]
    assert (lat.missing, lat.extra, lat.values, lat.instants) == (0, 0, 0, 0)
    assert lat.found > 5
    assert coolant.worst_value <= 1.0
