"""Runs as data for pages: an hour with 40 signals, and a list of 500 runs.

The record is written by the rig's own writer: 40 signals, 282 readings a second, a million in the
hour, with truth, samples, bytes and commits. Cold: nothing cached beside the record; the files are
in the memory of the operating system, as after the run.
"""

from __future__ import annotations

import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from reports.runs import cache
from reports.runs.routes import make_routes
from rig.judge.judgement import judge_folder
from rig.judge.limits import Limit
from rig.record.reader import RecordReader
from rig.record.streams import Stored
from rig.record.writer import RecordWriter
from tests.benchmarks.figures import Beside, Goal, Row

EPOCH_NS = 1_767_261_600_000_000_000
HOUR_S, QUICK_S = 3600, 300
RUNS, QUICK_RUNS = 500, 100
TIMES, QUICK_TIMES = 7, 2
POINTS = 2000
OBD_HZ, GPS_HZ, CAN_HZ = 2.0, 5.0, 10.0
OBD = [f"OBD{n}" for n in range(10)]
GPS = ["LAT", "LON", "ALT", "GPS_SPEED", "GPS_HEADING", "SATS", "HDOP"]
CAN = [f"Can{n}" for n in range(23)]


def measure(quick: bool) -> list[Row]:
    """Write the records, ask for them, take the times."""
    times = QUICK_TIMES if quick else TIMES
    with tempfile.TemporaryDirectory(prefix="view-runs-") as folder:
        root = Path(folder) / "runs"
        run = write_run(root / "20260101T100000-hour-1", QUICK_S if quick else HOUR_S)
        judge_folder(run)
        rows = _of_one(root, run, times)
        rows += _of_many(Path(folder) / "many", QUICK_RUNS if quick else RUNS, times)
    return rows


def _of_one(root: Path, run: Path, times: int) -> list[Row]:
    path = f"/api/runs/{run.name}"
    columns = run / cache.FOLDER
    info = _client(root).get(path).json()
    signals = [s["name"] for s in info["signals"] if not s.get("derived")]
    few = [("signal", s["name"]) for s in info["signals"] if s["default"] and not s.get("derived")]
    every = [("signal", name) for name in signals]
    begin_ns, end_ns = EPOCH_NS, round(info["end_s"] * 1e9)

    def first_look(client: TestClient) -> None:
        _ask(client, path)
        _ask(client, f"{path}/series", [*few, ("points", POINTS)])

    def cold() -> float:
        shutil.rmtree(columns, ignore_errors=True)
        client = _client(root)
        return _took(lambda: first_look(client))

    def warm() -> float:
        client = _client(root)
        return _took(lambda: first_look(client))

    cold_s = [cold() for _ in range(max(2, times // 2))]
    warm_s = [warm() for _ in range(times)]
    client = _client(root)
    first_look(client)
    window = random.Random(1)

    def seek() -> float:
        start_ns = window.randrange(begin_ns, end_ns - 60_000_000_000)
        query = [
            *every,
            ("points", POINTS),
            ("start_ns", start_ns),
            ("end_ns", start_ns + 60 * 10**9),
        ]
        return _took(lambda: _ask(client, f"{path}/series", query))

    def at_cursor(what: str, **query: Any) -> float:
        at_ns = window.randrange(begin_ns, end_ns)
        return _took(lambda: _ask(client, f"{path}/{what}", [*query.items(), ("at_ns", at_ns)]))

    whole_s = [
        _took(lambda: _ask(client, f"{path}/series", [*every, ("points", POINTS)]))
        for _ in range(times)
    ]
    figures = [("signal", "can.latency"), ("signal", "obd.latency"), ("points", POINTS)]
    figures_cold_s = _took(lambda: _ask(client, f"{path}/series", figures))
    figures_warm_s = [
        _took(partial(_ask, _client(root), f"{path}/series", figures)) for _ in range(times)
    ]
    at_cursor("wire")
    record = RecordReader(run)
    stored_s = _took(lambda: record.stored)
    size_mb = sum(file.stat().st_size for file in columns.iterdir()) / 1e6
    record_mb = sum(file.stat().st_size for file in run.glob("*.zst")) / 1e6
    seek_s = [seek() for _ in range(3 * times)]
    wire_s = [at_cursor("wire") for _ in range(3 * times)]
    journey_s = [at_cursor("journey", signal="OBD3") for _ in range(3 * times)]
    beside = Beside("what is stored as Python rows", stored_s * 1e3)
    return [
        Row("first look, cold", _ms(cold_s), "ms", Goal(most=2000), beside),
        Row("first look, warm", _ms(warm_s), "ms", Goal(most=100)),
        Row("seek: a minute of 40 signals", _ms(seek_s), "ms", Goal(most=20)),
        Row("the whole hour of 40 signals", _ms(whole_s), "ms", Goal(most=200)),
        Row("courses of latency, cold", _ms([figures_cold_s]), "ms"),
        Row("courses of latency, warm", _ms(figures_warm_s), "ms", Goal(most=150)),
        Row("bytes at the cursor", _ms(wire_s), "ms", Goal(most=50)),
        Row("a reading's journey", _ms(journey_s), "ms", Goal(most=50)),
        Row("columns beside the record", [size_mb], "MB", None, Beside("record", record_mb)),
    ]  # fmt: skip


def _of_many(root: Path, count: int, times: int) -> list[Row]:
    for number in range(count):
        write_run(root / f"20260101T1{number:05d}-short-{number}", 2, seed=number)
        judge_folder(root / f"20260101T1{number:05d}-short-{number}")
    first_s = [_took(partial(_ask, _client(root), "/api/runs")) for _ in range(times)]
    client = _client(root)
    _ask(client, "/api/runs")
    again_s = [_took(lambda: _ask(client, "/api/runs", [("text", "short")])) for _ in range(times)]
    return [
        Row(f"list of {count} runs, first", _ms(first_s), "ms", Goal(most=1500)),
        Row(f"list of {count} runs, again", _ms(again_s), "ms", Goal(most=100)),
    ]


def _client(root: Path) -> TestClient:
    return TestClient(Starlette(routes=make_routes(root)))


def _ask(client: TestClient, path: str, query: list[tuple[str, Any]] | None = None) -> None:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text[:300]


def _took(call: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    call()
    return time.perf_counter() - begin_s


def _ms(seconds: list[float]) -> list[float]:
    return [1e3 * value for value in seconds]


def write_run(folder: Path, length_s: int, seed: int = 1) -> Path:
    """Write a made-up run of 40 signals, as the rig would."""
    rng = random.Random(seed)
    signals = dict(enumerate([*OBD, *GPS, *CAN], 1))
    link_of = {
        **dict.fromkeys(OBD, "obd"),
        **dict.fromkeys(GPS, "gps"),
        **dict.fromkeys(CAN, "can"),
    }
    rate_of = {"obd": OBD_HZ, "gps": GPS_HZ, "can": CAN_HZ}
    end_ns = EPOCH_NS + length_s * 10**9
    writer = RecordWriter(
        folder,
        {
            "scenario": "hour",
            "seed": seed,
            "mode": "virtual",
            "epoch_ns": EPOCH_NS,
            "command": f"telerig run hour.scenario.yaml --seed {seed}",
            "started": "2026-01-01T10:00:00+00:00",
            "phases": [["drive", EPOCH_NS, end_ns]],
            "plan": {
                link: dict.fromkeys(names, rate_of[link])
                for link, names in (("obd", OBD), ("gps", GPS), ("can", CAN))
            },
            "can": {"bitrate_bps": 500_000},
            "truth_columns": [*OBD, "LAT", "LON"],
            "signals": {
                number: {"name": name, "unit": "", "resolution": 0.01, "link": link_of[name]}
                for number, name in signals.items()
            },
            "limits": [
                Limit("obd.latency.p95", "ms", max=60),
                Limit("can.latency.p95", "ms", max=15),
                Limit("gps.coverage", "%", min=95),
            ],
        },
    )
    number_of = {name: number for number, name in signals.items()}
    rows: list[tuple[int, int, int, float, int]] = []
    for name, number in number_of.items():
        rate, link = rate_of[link_of[name]], link_of[name]
        phase_ns = 0 if link == "gps" else rng.randrange(10**8)
        for i in range(int(length_s * rate)):
            at_ns = EPOCH_NS + phase_ns + round(i * 1e9 / rate)
            value = round(50 + 40 * math.sin(i / rate / 20 + number) + rng.gauss(0, 0.3), 2)
            rows.append((at_ns, number, at_ns, value, at_ns + rng.randrange(4_000_000, 9_000_000)))
    rows.sort()
    stored = []
    for seq, (at_ns, number, _, value, received_ns) in enumerate(rows, 1):
        name = signals[number]
        writer.sample(at_ns, link_of[name], name, value, value)
        if link_of[name] == "obd":
            writer.wire("obd", at_ns - 2_000_000, False, b"010C1\r")
            writer.wire("obd", received_ns, True, b"7E8 04 41 0C 0C 24 00 00 00 \r\r>")
        elif name == "LAT":
            line = b"$GNRMC,100000.00,A,4717.1,N,00834.2,E,10.0,84.4,010126,,,A*5B\r\n"
            writer.wire("gps", received_ns, True, line)
        stored.append(
            Stored("car-1", seq, number, at_ns, value, received_ns, 0, received_ns + 200_000_000)
        )
    stored.sort(key=lambda row: row.received_ns)
    for begin in range(0, len(stored), 14):
        part = stored[begin : begin + 14]
        arrived_ns = part[-1].received_ns + 10_000_000
        writer.published(arrived_ns, [row[1:7] for row in part])
    for begin in range(0, len(stored), 140):
        part = stored[begin : begin + 140]
        writer.stored_at(7, max(r.seq for r in part), part[-1].received_ns + 150_000_000)
    writer.stored(stored)
    for i in range(length_s * 10):
        writer.truth(EPOCH_NS + i * 10**8, [50 + math.sin(i / 200 + n) for n in range(12)])
    writer.event(EPOCH_NS, "gateway.link", {"name": "obd", "state": "up", "reason": ""})
    writer.close({"sim_s": float(length_s), "wall_s": 60.0, "gateway": {"exit": 0}, "counters": {}})
    return folder
