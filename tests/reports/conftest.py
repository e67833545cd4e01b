"""A made-up drive for the reports: OBD at 20 queries/s, GPS at 5 Hz, and two faults."""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.commands import COMMAND
from rig.judge.limits import Limit
from rig.record.streams import Stored
from rig.record.writer import RecordWriter

EPOCH_NS = 1_767_261_600_000_000_000
OBD = {12: "RPM", 13: "SPEED", 11: "INTAKE_PRESSURE", 17: "THROTTLE_POS", 5: "COOLANT_TEMP"}
GPS = {1001: "LAT", 1002: "LON", 1003: "ALT", 1004: "GPS_SPEED", 1005: "GPS_HEADING"}
BOOST = 2001
RESOLUTIONS = {
    "RPM": 0.25,
    "THROTTLE_POS": 100 / 255,
    "LAT": 1 / 6e6,
    "LON": 1 / 6e6,
    "ALT": 0.1,
    "GPS_SPEED": 0.001852,
    "GPS_HEADING": 0.01,
    "BOOST": 0.145,
}
UNITS = {
    "RPM": "rpm",
    "SPEED": "km/h",
    "INTAKE_PRESSURE": "kPa",
    "THROTTLE_POS": "%",
    "COOLANT_TEMP": "°C",
    "LAT": "°",
    "LON": "°",
    "ALT": "m",
    "GPS_SPEED": "km/h",
    "GPS_HEADING": "°",
    "BOOST": "psi",
}
LINK_OF = dict.fromkeys(OBD.values(), "obd") | dict.fromkeys(GPS.values(), "gps") | {"BOOST": ""}
ORIGIN = (47.2850, 8.5650, 540.0)


def state_at(t: float, length_s: float) -> dict[str, float]:
    """A drive that looks like one: speeds up, shifts, brakes, laps."""
    warm = 1 - math.exp(-t / 90)
    pulse = math.sin(2 * math.pi * t / 37) + 0.5 * math.sin(2 * math.pi * t / 11.3)
    cruise = min(1.0, max(0.0, (t - 0.12 * length_s) / 20))
    speed = max(0.0, cruise * (95 + 32 * pulse * (t > 0.55 * length_s)))
    gear = 1 + min(5, int(speed / 24))
    rpm = 850 + (speed * (190 / gear) if speed > 1 else 20 * math.sin(t))
    throttle = min(100.0, max(14.0, 20 + 45 * pulse * cruise))
    pressure = 35 + 130 * max(0.0, pulse) * cruise
    angle = 2 * math.pi * (speed * 0.0 + t) / 260
    north = 900 * math.sin(angle) + 260 * math.sin(3 * angle)
    east = 1600 * math.cos(angle) - 180 * math.cos(2 * angle)
    return {
        "RPM": rpm,
        "SPEED": speed,
        "INTAKE_PRESSURE": pressure,
        "THROTTLE_POS": throttle,
        "COOLANT_TEMP": 20 + 70 * warm,
        "boost_kpa": pressure - 97,
        "LAT": ORIGIN[0] + north / 111_180,
        "LON": ORIGIN[1] + east / 75_500,
        "ALT": ORIGIN[2] + 40 * math.sin(angle),
        "GPS_SPEED": speed,
        "GPS_HEADING": math.degrees(angle) % 360,
    }


def limits() -> list[Limit]:
    return [
        Limit("obd.latency.p50", "ms", max=30, warn=28),
        Limit("obd.latency.p95", "ms", max=40, warn=35),
        Limit("obd.latency.p99", "ms", max=60, warn=50, except_faults=True),
        Limit("obd.latency.published.p95", "ms", max=120, warn=80),
        Limit("gps.latency.p95", "ms", max=110, warn=100),
        Limit("obd.age.max", "s", max=2, phase="cruise"),
        Limit("obd.rate", "/s", min=15, except_faults=True),
        Limit("obd.coverage", "%", min=99, phase="hard driving"),
        Limit("gps.coverage", "%", min=95),
        Limit("obd.fidelity.max", "step", max=0.5),
        Limit("gps.position_error.p95", "m", max=5, warn=3),
        Limit("obd.recovery.max", "s", max=2),
        Limit("gps.invalid", "", equals=0),
        Limit("readings.lost", "", equals=0),
        Limit("readings.doubled", "", equals=0),
        Limit("mesh.latency.p95", "ms", max=900),
        Limit("ingest.throughput", "/s", min=50000, mode="paced"),
        Limit("gateway.exit", "", equals=0, after=True),
        Limit("log.errors", "", equals=0, after=True),
    ]


class _Drive:
    """Writes one made-up run."""

    def __init__(
        self, folder: Path, length_s: float, seed: int, name: str, **manifest: Any
    ) -> None:
        self.length_s = length_s
        self.rng = random.Random(seed)
        self.columns = list(state_at(0, length_s))
        self.seq = 0
        self.rows: list[Stored] = []
        self.pending: list[tuple[Any, ...]] = []
        self.flush_s = 0.5
        edges = [0.0, 0.12 * length_s, 0.55 * length_s, length_s]
        names = ["idle", "cruise", "hard driving"]
        self.faults = [
            ("drop", "obd", 0.30 * length_s, 0.36 * length_s),
            ("outage", "gps", 0.68 * length_s, 0.74 * length_s),
        ]
        self.writer = RecordWriter(
            folder,
            {
                "scenario": name,
                "seed": seed,
                "mode": "virtual",
                "epoch_ns": EPOCH_NS,
                "scenario_path": "scenarios/lossy.scenario.yaml",
                "command": f"telerig run scenarios/lossy.scenario.yaml --seed {seed}",
                "started": "2026-01-01T10:00:00+00:00",
                "phases": [
                    [n, self.ns(a), self.ns(b)]
                    for n, a, b in zip(names, edges, edges[1:], strict=False)
                ],
                "faults": [[k, k, link, self.ns(a), self.ns(b)] for k, link, a, b in self.faults],
                "plan": {"obd": dict.fromkeys(OBD.values()), "gps": {"LAT": 5.0}},
                "truth_columns": self.columns,
                "signals": {
                    number: {
                        "name": signal,
                        "unit": UNITS[signal],
                        "resolution": RESOLUTIONS.get(signal, 1.0),
                        "link": LINK_OF[signal],
                        **({"wraps": 360.0} if signal == "GPS_HEADING" else {}),
                    }
                    for number, signal in {**OBD, **GPS, BOOST: "BOOST"}.items()
                },
                "limits": limits(),
                "versions": {
                    "telerig": "0.1.0",
                    "python": "3.11.7",
                    "server": "5f2c…",
                    "obd": "0.7.3",
                },
            }
            | manifest,
        )

    def ns(self, seconds: float) -> int:
        return EPOCH_NS + round(seconds * 1e9)

    def during(self, kind: str, t: float) -> bool:
        return any(k == kind and a <= t < b for k, _, a, b in self.faults)

    def run(self) -> None:
        for i in range(int(self.length_s * 10)):
            self.writer.truth(self.ns(i / 10), [*state_at(i / 10, self.length_s).values()])
        self.obd()
        self.gps()
        self.pending.sort(key=lambda row: row[4])
        for seq, row in enumerate(self.pending, 1):
            _, signal, time_ns, value, received, state = row
            slot = (received - EPOCH_NS) // 50_000_000 + 1
            arrived = EPOCH_NS + slot * 50_000_000 + 2_000_000
            self.writer.published(arrived, [(seq, signal, time_ns, value, received, state)])
            commit = EPOCH_NS + ((received - EPOCH_NS) // 500_000_000 + 1) * 500_000_000 + 4_000_000
            self.rows.append(Stored("car-1", seq, signal, time_ns, value, received, state, commit))
        self.writer.stored(self.rows)

    def obd(self) -> None:
        t, turn, rng = 1.7, 0, self.rng
        numbers = list(OBD)
        while t < self.length_s:
            number = numbers[turn % len(numbers)]
            turn += 1
            name = OBD[number]
            self.writer.wire("obd", self.ns(t), False, b"01%02X1\r" % number)
            t += rng.uniform(0.008, 0.020)
            true = state_at(t, self.length_s)[name]
            step = RESOLUTIONS.get(name, 1.0)
            wire = math.floor(true / step) * step
            self.writer.sample(self.ns(t), "obd", name, true, wire)
            sampled = t
            if self.during("drop", t) and rng.random() < 0.02:
                t += 2.0
                continue
            t += rng.uniform(0.012, 0.021) + (0.03 if rng.random() < 0.006 else 0)
            self.writer.wire("obd", self.ns(t), True, b"7E8 04 41 %02X 1A F8 \r\r>" % number)
            self.pending.append((0, number, self.ns(sampled), wire, self.ns(t), 0))
            if name == "INTAKE_PRESSURE":
                boost = (wire - 97) * 0.1450377
                self.pending.append((0, BOOST, self.ns(sampled), boost, self.ns(t), 0))
            t += 0.004

    def gps(self) -> None:
        rng, north, east = self.rng, 0.0, 0.0
        for i in range(int(self.length_s * 5)):
            t = i / 5
            state = state_at(t, self.length_s)
            north += -0.02 * north + rng.gauss(0, 0.12)
            east += -0.02 * east + rng.gauss(0, 0.12)
            fixed = not self.during("outage", t) and t > 4
            received = t + 0.07 + rng.uniform(0, 0.02)
            self.writer.wire("gps", self.ns(received), True, b"$GNRMC,100000.00,A,4717.1,N*57\r\n")
            for number, name in GPS.items():
                true = state[name]
                wire = true + (north / 111_180 if name == "LAT" else 0)
                wire += east / 75_500 if name == "LON" else 0
                self.writer.sample(self.ns(t), "gps", name, true, wire if fixed else None)
                if fixed:
                    self.pending.append((0, number, self.ns(t), wire, self.ns(received), 0))

    def close(self) -> None:
        for kind, link, start, end in self.faults:
            detail = {"name": kind, "link": link, "kind": kind}
            self.writer.event(self.ns(start), "fault", detail | {"phase": "start"})
            self.writer.event(self.ns(end), "fault", detail | {"phase": "end"})
        self.writer.event(
            self.ns(1.7), "gateway.link", {"name": "obd", "state": "up", "reason": ""}
        )
        self.writer.log('{"event": "link up", "level": "info", "link": "obd"}')
        self.writer.close(
            {
                "sim_s": self.length_s,
                "wall_s": self.length_s / 61.3,
                "gateway": {"exit": 0},
                "counters": {
                    "obd": {"queries": 13765, "replies": 13752, "timeouts": 13, "reconnects": 1},
                    "gps": {"sentences": 6000, "bad_checksum": 0, "fixes": 2980},
                },
            }
        )


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a record of a made-up drive; returns its folder."""

    def make(
        length_s: float = 120.0, seed: int = 7, name: str = "lossy adapter", **manifest: Any
    ) -> Path:
        folder = (
            tmp_path_factory.mktemp("runs") / f"20260101-100000-{name.replace(' ', '-')}-{seed}"
        )
        written = _Drive(folder, length_s, seed, name, **manifest)
        written.run()
        written.close()
        return folder

    return make


@pytest.fixture(scope="session")
def run_folder(drive: Callable[..., Path]) -> Path:
    """Two minutes of driving: some limits are kept, some are not."""
    return drive()


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `telerig report` with words; return (exit code, output, errors)."""

    def run(*words: object) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        COMMAND.add_arguments(parser)
        code = COMMAND.run(parser.parse_args([str(word) for word in words]))
        return code, *capsys.readouterr()

    return run
