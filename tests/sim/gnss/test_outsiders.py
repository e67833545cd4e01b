"""Programs that are not ours accept every sentence: pynmea2, pynmeagps and gpsd."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
from collections import Counter
from typing import Any

import pynmea2
import pynmeagps
import pytest

from sim.gnss import PROFILES, Motion
from sim.route import COURSES


def _drive(t_s: float) -> Motion:
    course = COURSES["nordschleife"]
    place = course.at(t_s * 30.0)
    return Motion(*course.to_geodetic(place), 30.0, place.heading_deg)


def _lap(bench: Any, name: str) -> Any:
    """Cold start, tunnel and canyon with every sentence that the chip has."""
    stand = bench(name, motion=_drive, cold_start_s=15.0, sentences=PROFILES[name].order, seed=3)
    stand.receiver.add_outage(40.0, 55.0, "tunnel")
    stand.receiver.add_outage(70.0, 120.0, "canyon")
    return stand.run(150.0)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_pynmea2_and_pynmeagps_accept_all(bench: Any, name: str) -> None:
    """Checksums demanded, void epochs and banners included, no sentence is refused."""
    stand = _lap(bench, name)
    assert len(stand.lines) > 400
    for line in stand.lines:
        pynmea2.parse(line, check=True)
        message = pynmeagps.NMEAReader.parse(
            line.encode() + b"\r\n", validate=pynmeagps.VALCKSUM, msgmode=pynmeagps.GET
        )
        assert message is not None


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_pynmea2_reads_the_fix(bench: Any, name: str) -> None:
    """The gateway's parser gets position, time and speed of `on_epoch`, to the last digit."""
    stand = _lap(bench, name)
    rmcs = [pynmea2.parse(line) for line in stand.named("RMC")]
    checked = 0
    for (_, _, fix), rmc in zip(stand.epochs, rmcs, strict=True):
        assert (rmc.status == "A") is bool(fix and fix.valid)
        if fix is None or not fix.valid:
            assert rmc.lat == ""
            continue
        checked += 1
        assert rmc.latitude == pytest.approx(fix.lat_deg, abs=1e-11)
        assert rmc.longitude == pytest.approx(fix.lon_deg, abs=1e-11)
        assert rmc.spd_over_grnd * 1852 / 3600 == pytest.approx(fix.speed_mps, abs=1e-9)
        assert rmc.datetime.timestamp() == pytest.approx(fix.time_ns / 1e9, abs=1e-6)
    assert checked > 60


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_gpsd_decodes_the_drive(bench: Any, name: str) -> None:
    """gpsd's decoder finds a 3D fix at the place where the receiver said it was."""
    if shutil.which("gpsdecode") is None:
        pytest.skip("gpsdecode is not installed (Debian package gpsd-clients or gpsd)")
    stand = _lap(bench, name)
    done = subprocess.run(
        ["gpsdecode", "-j"], input=stand.raw, capture_output=True, timeout=30, check=True
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    classes = Counter(report["class"] for report in reports)
    assert classes["SKY"] > 5
    # A time may be reported more than once while an epoch is coming in: the last one stands.
    placed = {
        report["time"]: report
        for report in reports
        if report["class"] == "TPV" and report.get("mode", 0) >= 2 and "lat" in report
    }
    valid = {_iso(fix.time_ns): fix for _, _, fix in stand.epochs if fix is not None and fix.valid}
    assert len(placed.keys() & valid.keys()) >= len(valid) - 2
    for time in placed.keys() & valid.keys():
        assert placed[time]["lat"] == pytest.approx(valid[time].lat_deg, abs=2e-7)
        assert placed[time]["lon"] == pytest.approx(valid[time].lon_deg, abs=2e-7)


def _iso(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"
