"""gpsd, the daemon that most programs read their position from, works with a device alone."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.assembly import DEFAULT_COURSE
from sim.route import COURSES

PATIENCE_S = 90.0
KEPT_FIXES = 6
NEAR_M = 1500.0  # of the start: what the round trip has driven by then
METRES_PER_DEGREE = 111_200.0
LOOPBACK = "127.0.0.1"


def _gpsd() -> str:
    path = shutil.which("gpsd") or shutil.which("gpsd", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("gpsd is not installed")
    return path


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def _ended(*command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _connect(port: int, deadline_s: float) -> socket.socket:
    while True:
        try:
            return socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline_s, "gpsd does not listen"
            time.sleep(0.1)


def _reports(port: int) -> Iterator[dict[str, Any]]:
    """Yield what gpsd tells a client that watches."""
    deadline_s = time.monotonic() + PATIENCE_S
    with _connect(port, deadline_s) as client, client.makefile("rb") as lines:
        client.sendall(b'?WATCH={"enable":true,"json":true};\n')
        for line in lines:
            yield json.loads(line)
            assert time.monotonic() < deadline_s, "gpsd has no fix yet"


@pytest.fixture
def watch() -> Iterator[Callable[[str], Iterator[dict[str, Any]]]]:
    """Return `watch(words)`: gpsd's reports on `telerig device gps --profile WORDS`."""
    program = _gpsd()
    with contextlib.ExitStack() as ended:

        def start(words: str) -> Iterator[dict[str, Any]]:
            device = ended.enter_context(
                _ended(
                    sys.executable, "-m", "rig.cli", "device", "gps", "--profile", *words.split(),
                    "--json", stdout=subprocess.PIPE,
                )
            )  # fmt: skip
            assert device.stdout is not None
            place = json.loads(device.stdout.readline())["ports"]["serial"]
            port = _free_port()
            ended.enter_context(
                _ended(
                    program, "-N", "-n", "-S", str(port), place,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
            return _reports(port)

        yield start


def _metres_from_start(fix: dict[str, Any]) -> float:
    course = COURSES[DEFAULT_COURSE]
    lat_deg, lon_deg, _ = course.to_geodetic(course.at(0.0))
    north_m = (fix["lat"] - lat_deg) * METRES_PER_DEGREE
    east_m = (fix["lon"] - lon_deg) * METRES_PER_DEGREE * math.cos(math.radians(lat_deg))
    return math.hypot(north_m, east_m)


@pytest.mark.parametrize(
    ("words", "driver", "used"),
    [
        ("ublox_m8", "u-blox", 10),
        ("ublox_m9", "u-blox", 15),
        ("ublox_m9 --rate 10 --baud 115200", "u-blox", 15),
        ("mt3339", "MTK-3301", 5),
        ("sirf", None, 5),
    ],
)
def test_gpsd_has_a_fix_and_keeps_it(
    watch: Callable[[str], Iterator[dict[str, Any]]], words: str, driver: str | None, used: int
) -> None:
    """Also after gpsd has recognised and configured the receiver: 3D fixes on the route, and a sky.

    A u-blox is switched from sentences to binary messages by gpsd, so only what comes afterwards
    counts.
    """
    recognised = driver is None
    fixes: list[dict[str, Any]] = []
    satellites = 0
    for report in watch(words):
        if report["class"] == "DEVICE" and report.get("driver") == driver:
            recognised = True
            fixes.clear()
            satellites = 0
        elif report["class"] == "TPV" and report["mode"] == 3 and "time" in report:
            fixes.append(report)
        elif report["class"] == "SKY":
            satellites = max(satellites, report.get("uSat", 0))
        if recognised and satellites >= used and len(fixes) >= KEPT_FIXES:
            break
    assert recognised
    assert satellites >= used
    assert all(_metres_from_start(fix) < NEAR_M for fix in fixes)
    times = [fix["time"] for fix in fixes]
    assert times == sorted(times)
