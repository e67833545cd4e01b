"""Third-party programs at captured and played wires, each in a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynmea2  # type: ignore[import-untyped]
import pytest

from rig.record.reader import RecordReader
from rig.record.streams import CanRow
from rig.record.writer import RecordWriter
from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario
from rig.wires.exchanges import conversation
from rig.wires.kept import series_of
from rig.wires.nmea_log import LogError, record_of_log
from rig.wires.scenario_file import write_scenario
from tests.rig.wires.conftest import EPOCH_NS, MS, started, until

DATA = Path(os.environ.get("TELERIG_DATA", Path(__file__).parents[4] / "shared" / "data")) / "nmea"
CLIENT_LIMIT_S = 90
NEAR_DEG = 1e-5  # a metre: a receiver may tell an epoch twice, with more digits and with fewer

PYTHON_OBD = """
import json, sys
import obd
client = obd.OBD(sys.argv[1], baudrate=38400, protocol="6", fast=False, timeout=5)
answers = [client.query(obd.commands[name]) for name in ("RPM", "SPEED", "COOLANT_TEMP") * 3]
print(json.dumps([answer.value.magnitude for answer in answers]))
client.close()
"""
PYNMEA2 = """
import json, sys
import pynmea2, serial
found = []
with serial.Serial(sys.argv[1], 9600, timeout=20) as port:
    while len(found) < int(sys.argv[2]):
        message = pynmea2.parse(port.readline().decode("ascii").strip(), check=True)
        if message.sentence_type == "RMC":
            found.append([message.timestamp.isoformat(), message.latitude, message.longitude])
print(json.dumps(found))
"""
PYTHON_CAN = """
import json, sys
import can
bus = can.Bus(interface="socketcand", channel="can0", host=sys.argv[1], port=int(sys.argv[2]))
found = [bus.recv(20) for _ in range(int(sys.argv[3]))]
print(json.dumps([[m.timestamp, m.arbitration_id, list(m.data)] for m in found]))
bus.shutdown()
"""


def client(program: str, *words: object) -> Any:
    """Run a program and return what it printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CLIENT_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run_played(runner: Runner, record: Path, folder: Path, **options: Any) -> Run:
    """Play a record to the gateway in virtual time."""
    scenario = load_scenario(write_scenario(RecordReader(record), folder, **options))
    run = runner.run(Request(scenario, scenario.seed, "virtual"))
    assert not run.failure, run.failure
    return run


@contextlib.contextmanager
def offered(record: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Offer the wires of a record to anybody, and give the places."""
    with started("wires", "play", record, "--ports", folder, "--json") as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["ports"]


# -- capture ---------------------------------------------------------------------------------------
def test_python_obd_at_a_captured_adapter(tmp_path: Path, runner: Runner) -> None:
    """python-OBD, our ELM327 and the capture are three processes; played to the gateway, the
    adapter gives the answers that python-OBD got."""
    device = [sys.executable, "-m", "rig.cli", "device", "obd", "--link", str(tmp_path / "elm")]
    with subprocess.Popen([*device, "--json"], stdout=subprocess.PIPE, text=True) as adapter:
        try:
            assert adapter.stdout is not None
            adapter.stdout.readline()
            words = (f"obd={tmp_path / 'elm'}", "--out", tmp_path / "out", "--json")
            with started("capture", *words) as capture:
                assert capture.stdout is not None
                port = json.loads(capture.stdout.readline())["ports"]["obd"]
                values = client(PYTHON_OBD, port)
                capture.terminate()
                capture.wait(CLIENT_LIMIT_S)
        finally:
            adapter.terminate()
    record = RecordReader(tmp_path / "out")
    assert record.finished
    asked = [exchange.request for exchange in conversation(record.wire("obd")).exchanges]
    assert [word for word in asked if word.startswith("010C")] == ["010C"] * 3
    assert asked[0] == "ATZ"
    run = run_played(runner, tmp_path / "out", tmp_path / "played")
    played = RecordReader(run.folder)
    stored = {series.signal: series.rows for series in series_of(played)}
    speeds = [row.value for row in stored["SPEED"]]
    assert values[1] in speeds
    assert {row.value for row in stored["RPM"]} <= {values[0], values[3], values[6]}
    assert played.manifest.played["counters"]["obd"]["answered"] > 0


# -- play ------------------------------------------------------------------------------------------
def test_pynmea2_reads_a_played_receiver(sky: Path, tmp_path: Path) -> None:
    """Each epoch, as it was said, at the pace at which it was said."""
    with offered(sky, tmp_path / "ports") as ports:
        until(lambda: Path(ports["gps"]).exists())
        start_s = time.monotonic()
        found = client(PYNMEA2, ports["gps"], 5)
        assert time.monotonic() - start_s < 15
    latitudes = [row[1] for row in found]
    assert latitudes == sorted(latitudes)
    assert {round((lat - 52.1) * 60_000) for lat in latitudes} <= set(range(10))
    assert len(latitudes) == 5


def test_gpsd_reads_a_played_receiver(tmp_path: Path) -> None:
    """The daemon that most programs read their position from finds a fix in a real recording."""
    program = shutil.which("gpsd") or shutil.which("gpsd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("gpsd is not installed")
    record = record_of_log(real("ublox-8.log"), tmp_path / "log")
    with offered(record, tmp_path / "ports") as ports:
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.getsockname()[1]
        command = [program, "-N", "-n", "-b", "-S", str(number), ports["gps"]]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
            try:
                fix = _fix(number)
            finally:
                daemon.terminate()
    spoken = [pynmea2.parse(line) for line in _sentences(record) if line[3:6] == "RMC"]
    assert any(abs(fix["lat"] - message.latitude) < 1e-4 for message in spoken)


def _fix(port: int) -> dict[str, Any]:
    end_s = time.monotonic() + CLIENT_LIMIT_S
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end_s, "gpsd does not listen"
            time.sleep(0.1)
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b'?WATCH={"enable":true,"json":true};\n')
        for line in lines:
            report: dict[str, Any] = json.loads(line)
            if report["class"] == "TPV" and "lat" in report:
                return report
            assert time.monotonic() < end_s, "gpsd has no fix"
    raise AssertionError("gpsd ended")


def test_python_can_reads_a_played_bus(tmp_path: Path) -> None:
    """Frames with the recorded spacing, over socketcand, to the microsecond that it tells."""
    manifest = {
        "scenario": "bus",
        "seed": 0,
        "mode": "captured",
        "epoch_ns": EPOCH_NS,
        "can": {"bitrate_bps": 500_000},
    }
    with RecordWriter(tmp_path / "bus", manifest) as writer:
        for n in range(300):
            time_ns = EPOCH_NS + (1000 + 20 * n) * MS
            writer.can(CanRow(time_ns, "", 0x100 + n % 7, 0, chr(n % 256) * 8, 0))
        writer.close({"sim_s": 8.0})
    with offered(tmp_path / "bus", tmp_path / "ports") as ports:
        place = ports["can"]
        found = client(PYTHON_CAN, place["host"], place["port"], 100)
    numbers = [data[0] for _, _, data in found]
    first = numbers[0]
    assert numbers == [(first + n) % 256 for n in range(100)]
    apart_ms = [(b[0] - a[0]) * 1000 for a, b in itertools.pairwise(found)]
    assert all(abs(apart - 20.0) < 0.01 for apart in apart_ms)


# -- real recordings -------------------------------------------------------------------------------
def real(name: str) -> Path:
    """Return a real recording; there is none on most machines."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no recording at {path}: TELERIG_DATA names another folder")
    return path


def _sentences(record: Path) -> list[str]:
    text = b"".join(chunk.data for chunk in RecordReader(record).wire("gps")).decode("latin-1")
    return [line for line in text.splitlines() if line.startswith("$")]


@pytest.mark.parametrize("name", ["mt3339.log", "neo-m8n.log", "ublox-8.log"])
def test_a_real_log_reaches_the_store(name: str, tmp_path: Path, runner: Runner) -> None:
    """Every epoch with a fix, at the UTC and the place that pynmea2 reads from the log itself."""
    record = record_of_log(real(name), tmp_path / "log")
    run = run_played(runner, record, tmp_path / "played")
    stored = {series.signal: series for series in series_of(RecordReader(run.folder))}
    expected = {}
    for line in real(name).read_text("latin-1").splitlines():
        if line[3:6] == "RMC":
            message = pynmea2.parse(line)
            if message.status == "A":
                expected[message.timestamp.isoformat()] = message.latitude
    latitudes = [row.value for row in stored["LAT"].rows]
    assert len(latitudes) == len(expected)
    for found, said in zip(latitudes, expected.values(), strict=True):
        assert found == pytest.approx(said, abs=NEAR_DEG)
    assert run.measures["gps.latency.p50"].value > 0


def test_a_log_without_sentences_is_refused(tmp_path: Path) -> None:
    """It is named, with what was expected."""
    path = tmp_path / "notes.txt"
    path.write_text("no receiver\n")
    with pytest.raises(LogError, match=r"notes\.txt: expected NMEA sentences with a time"):
        record_of_log(path, tmp_path / "out")
