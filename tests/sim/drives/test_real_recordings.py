"""Real recordings, where they are at hand (TELERIG_DATA or ../shared/data beside the project)."""

from __future__ import annotations

import os
import random
from itertools import pairwise
from pathlib import Path

import pytest

from sim.drives import Recording, RecordingError, read_recording
from sim.vehicle import FOCUS_ST, Drive, Trace, Vehicle

PROJECT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TELERIG_DATA", PROJECT.parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"real recordings are not at hand: {DATA} (set TELERIG_DATA)"
)


def _km(recording: Recording) -> float:
    steps = zip(pairwise(recording.times_s), pairwise(recording.speeds_kph), strict=True)
    return sum((b - a) * 0.5 * (v + w) / 3600.0 for (a, b), (v, w) in steps)


@pytest.mark.parametrize(
    ("name", "duration_s", "km", "positions"),
    [
        ("drives/leon/2017-07-05_Seat_Leon_RT_S_Stau.csv.gz", 3945.0, 54.3, False),
        ("drives/sti/accessport_sample.csv.gz", 1352.8, 42.8, False),
        ("drives/twizy/T1_06_30_2021_1.csv.gz", 5199.0, 45.4, True),
        ("drives/twizy/T3_06_07_2021.csv.gz", 1702.0, 19.7, True),
        ("nmea/20100411_Geko_Regensburg.txt.xz", 1576.0, 17.8, True),
        ("nmea/20160209_RPi_GENIVI_Regensburg.log.xz", 547.0, 5.4, True),
    ],
)
def test_reads_a_real_drive(name: str, duration_s: float, km: float, positions: bool) -> None:
    """Duration and distance are those of the drive, with few lines skipped."""
    recording = read_recording(DATA / name)
    assert recording.duration_s == pytest.approx(duration_s, abs=1.0)
    assert _km(recording) == pytest.approx(km, rel=0.01)
    assert (recording.positions is not None) is positions
    assert recording.skipped < 0.05 * len(recording.times_s)


def test_a_receiver_without_a_fix_is_refused() -> None:
    """A cold start without a fix is one clear error."""
    with pytest.raises(RecordingError, match="RMC without a fix"):
        read_recording(DATA / "nmea" / "bu303-nofix.log.chk")


@pytest.mark.parametrize("name", ["neo-m8n.log", "ublox-8.log", "mt3339.log", "sirfstarv-nmea.log"])
def test_reads_a_real_receiver(name: str) -> None:
    """A receiver at rest: standing, at its place in Oregon."""
    recording = read_recording(DATA / "nmea" / name)
    assert max(recording.speeds_kph) < 2.0
    assert recording.positions is not None
    assert recording.positions[-1][0] == pytest.approx(44.069, abs=0.001)


@pytest.mark.parametrize(
    "name",
    ["drives/twizy/T3_06_07_2021.csv.gz", "drives/leon/2017-07-05_Seat_Leon_RT_S_Stau.csv.gz"],
)
def test_the_driver_follows_a_real_drive(name: str) -> None:
    """The car follows a recording within 4 km/h at least 97 % of the time."""
    recording = read_recording(DATA / name)
    trace = Trace("recorded", recording.times_s, recording.speeds_kph)
    car = Vehicle(FOCUS_ST, Drive([trace]), random.Random(1))
    good = [
        abs(car.at(time_s).speed_mps * 3.6 - speed_kph) <= 4.0
        for time_s, speed_kph in zip(recording.times_s, recording.speeds_kph, strict=True)
    ]
    assert sum(good) / len(good) >= 0.97
