"""`telerig device`: a device alone, for clients that nobody here wrote."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pynmea2
import pytest
import serial

Telerig = Callable[..., Any]
PATIENCE_S = 60.0
PROMPT = b">"


class RunningDevice:
    """A `telerig device … --json` that has said where it is."""

    def __init__(self, *words: str | Path, variables: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "rig.cli", "device", *map(str, words), "--json"]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.first: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def serial(self) -> str:
        """Path of its port."""
        return str(self.first["ports"]["serial"])

    @property
    def tcp(self) -> tuple[str, int]:
        """Address of its port on the loopback."""
        return "127.0.0.1", int(self.first["ports"]["tcp"])

    @property
    def resident_bytes(self) -> int:
        """Memory that it takes."""
        pages = Path("/proc", str(self.process.pid), "statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def wait_for(self, kind: str) -> dict[str, Any]:
        """Wait for an event of a kind, and give it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            for event in self.events:
                if event["event"] == kind:
                    return event
            time.sleep(0.02)
        pytest.fail(f"expected an event {kind!r} among {self.events}")

    def wait_for_name(self, name: str) -> dict[str, Any]:
        """Wait for an event of a name, and give it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            for event in self.events:
                if event.get("name") == name:
                    return event
            time.sleep(0.02)
        pytest.fail(f"expected an event named {name!r} among {self.events}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; give the exit code. It says nothing on standard error."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stderr is not None
        assert self.process.stderr.read() == b""
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))


@pytest.fixture
def device(child_coverage: Mapping[str, str]) -> Iterator[Callable[..., RunningDevice]]:
    """Return `device(*words)`; what still runs at the end is ended cleanly."""
    with contextlib.ExitStack() as ended:

        def start(*words: str | Path) -> RunningDevice:
            running = RunningDevice(*words, variables=child_coverage)

            def end() -> None:
                if running.process.poll() is None:
                    assert running.end() == 0
                for pipe in (running.process.stdout, running.process.stderr):
                    assert pipe is not None
                    pipe.close()

            ended.callback(end)
            return running

        yield start


def ask(port: serial.Serial, text: bytes) -> bytes:
    """Send a command and give what came up to the prompt."""
    port.write(text + b"\r")
    reply = port.read_until(PROMPT)
    assert reply.endswith(PROMPT), reply
    return bytes(reply)


def opened(place: str) -> serial.Serial:
    """A port as any client opens it."""
    return serial.serial_for_url(place, baudrate=38400, timeout=PATIENCE_S)


Start = Callable[..., RunningDevice]


# -- what it says ----------------------------------------------------------------------------------
def test_the_first_line(device: Start) -> None:
    """With --json the first line names the device and its ports, and nothing else."""
    obd = device("obd", "--tcp", "0")
    assert list(obd.first) == ["device", "ports"]
    assert list(obd.first["ports"]) == ["serial", "tcp", "link"]
    assert obd.first["device"] == "obd"
    assert obd.serial.startswith("/dev/pts/")
    assert 1024 < obd.tcp[1] < 65536
    gps = device("gps")
    assert gps.first == {
        "device": "gps",
        "ports": {"serial": gps.serial, "tcp": None, "link": None},
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(device: Start, tmp_path: Path, number: signal.Signals) -> None:
    """It runs until a signal: last event `stopped`, link and port gone, exit code 0."""
    running = device("gps", "--link", tmp_path / "gps")
    assert os.readlink(tmp_path / "gps") == running.serial
    assert running.end(number) == 0
    assert running.events[-1]["event"] == "stopped"
    assert not (tmp_path / "gps").is_symlink()


def test_text_for_people() -> None:
    """Without --json it says where it is and what to type, in words."""
    command = [sys.executable, "-m", "rig.cli", "device", "obd"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(4)]
        running.send_signal(signal.SIGINT)
    assert running.returncode == 0
    assert lines[0].startswith("obd device ready at /dev/pts/")
    assert "38400 baud" in lines[1]
    assert "import obd" in lines[2]


@pytest.mark.parametrize(
    ("kind", "names"),
    [("obd", ("elm327_v15", "clone_v21", "stn_fast")), ("gps", ("ublox_m8", "ublox_m9", "mt3339"))],
)
def test_profiles(telerig: Telerig, kind: str, names: tuple[str, ...]) -> None:
    """`--profile '?'` lists the profiles, one a line; an unknown one names them too."""
    listed = telerig("device", kind, "--profile", "?")
    assert listed.code == 0
    assert set(names) <= {line.split()[0] for line in listed.out.splitlines()}
    telerig("device", kind, "--profile", "nope").complaint(2, "--profile", "'nope'", *names)


# -- clients ---------------------------------------------------------------------------------------
def obd_session(place: str) -> None:
    """Let python-OBD connect, ask, and read the trouble codes."""
    obd = pytest.importorskip("obd", reason="python-OBD (extra obd) is not installed")
    client = obd.OBD(place, 38400, fast=False, timeout=5)
    try:
        assert client.is_connected()
        speed = client.query(obd.commands.RPM)
        assert 600 < speed.value.magnitude < 7000
        assert client.query(obd.commands.GET_DTC).value == []
        assert client.query(obd.commands.STATUS).value.MIL is False
        assert obd.commands.COOLANT_TEMP in client.supported_commands
    finally:
        client.close()


def test_monitoring_shows_the_traffic(device: Start) -> None:
    """With --traffic AT MA prints what the car's control units broadcast, AT CRA one of them."""
    pytest.importorskip("cantools", reason="the extra can is not installed")
    running = device("obd", "--traffic")
    with opened(running.serial) as port:
        for command in (b"ATZ", b"ATE0", b"ATS0", b"ATH1", b"ATSP6"):
            ask(port, command)
        assert b"\r130" in b"\r" + ask(port, b"ATMA")  # VehicleSpeedStatus, until BUFFER FULL
        assert ask(port, b"010C1").startswith(b"7E804410C")
        port.write(b"ATCRA3B4\r")
        port.read_until(PROMPT)
        port.write(b"ATMA\r")
        assert port.read_until(b"\r").startswith(b"3B4")
        port.write(b" ")
        assert port.read_until(PROMPT).endswith(b"STOPPED\r\r>")


def test_python_obd_over_the_pty(device: Start) -> None:
    """python-OBD finds protocol and PIDs, and reads values and trouble codes."""
    obd_session(device("obd", "--unpaced").serial)


def test_python_obd_over_tcp(device: Start) -> None:
    """The same through a socket, as with a Wi-Fi adapter."""
    running = device("obd", "--unpaced", "--tcp", "0")
    obd_session("socket://{}:{}".format(*running.tcp))
    running.wait_for("disconnected")


def test_a_session_by_hand(device: Start) -> None:
    """Anybody may type: reset, echo off, headers on, a PID, and nonsense."""
    with opened(device("obd").serial) as port:
        assert b"ELM327 v1.5" in ask(port, b"ATZ")
        assert ask(port, b"ATE0").startswith(b"ATE0\r")
        assert b"OK" in ask(port, b"ATH1")
        assert b"7E8" in ask(port, b"0100").replace(b" ", b"")
        assert ask(port, b"XYZ").strip(b"\r\n> ") == b"?"


def test_the_sentences_of_a_receiver(device: Start) -> None:
    """pynmea2 parses every whole sentence of the stream, checksum included."""
    with serial.Serial(device("gps", "--rate", "5", "--baud", "38400").serial, 38400) as port:
        port.timeout = PATIENCE_S
        port.readline()  # perhaps cut
        parsed = [pynmea2.parse(port.readline().decode(), check=True) for _ in range(40)]
    assert {"RMC", "GGA", "GSV"} <= {sentence.sentence_type for sentence in parsed}


def test_two_at_once(device: Start) -> None:
    """Two devices share nothing: what is set on one is not on the other."""
    one, other = device("obd"), device("obd", "--profile", "clone_v21")
    assert one.serial != other.serial
    with opened(one.serial) as first, opened(other.serial) as second:
        assert b"v1.5" in ask(first, b"ATZ")
        assert b"v2.1" in ask(second, b"ATZ")
        ask(first, b"ATE0")
        assert b"ATI" not in ask(first, b"ATI")
        assert ask(second, b"ATI").startswith(b"ATI")


def test_clients_come_and_go(device: Start) -> None:
    """A client that vanishes in the middle of a word leaves a device for the next one."""
    running = device("obd", "--tcp", "0")
    for place in (running.serial, "socket://{}:{}".format(*running.tcp)) * 2:
        with opened(place) as port:
            ask(port, b"ATZ")
            port.write(b"01")
        time.sleep(0.2)
        with opened(place) as port:
            port.write(b"\r")
            port.read_until(PROMPT)
            assert b"ELM327" in ask(port, b"ATI")


def test_a_second_client_over_tcp_is_refused(device: Start) -> None:
    """One client at a time: the second is sent away, and the first hears nothing of it."""
    running = device("obd", "--tcp", "0")
    with opened("socket://{}:{}".format(*running.tcp)) as first:
        ask(first, b"ATZ")
        with socket.create_connection(running.tcp) as second:
            assert second.recv(1) == b""
        assert running.wait_for("refused")["reason"]
        assert b"ELM327" in ask(first, b"ATI")


# -- links -----------------------------------------------------------------------------------------
def test_a_link_that_a_killed_device_left(device: Start, tmp_path: Path) -> None:
    """After kill -9 the next device takes the link over."""
    path = tmp_path / "elm"
    killed = device("obd", "--link", path)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert path.is_symlink()
    running = device("obd", "--link", path)
    assert os.readlink(path) == running.serial
    with opened(str(path)) as port:
        assert b"ELM327" in ask(port, b"ATZ")


def test_links_that_cannot_be_made(device: Start, telerig: Telerig, tmp_path: Path) -> None:
    """A link in use, a file, a folder, an absent folder: usage errors that name what is there."""
    path = tmp_path / "elm"
    running = device("obd", "--link", path)
    telerig("device", "obd", "--link", path).complaint(2, str(path), running.serial)
    assert path.is_symlink()
    (tmp_path / "file").touch()
    for place, word in (("file", "a file"), (".", "a folder"), ("no/elm", "No such file")):
        telerig("device", "obd", "--link", place).complaint(2, "--link", "expected", word)


# -- abuse -----------------------------------------------------------------------------------------
GARBAGE = bytes(range(256)) * 4096  # 1 MB


def test_ten_megabytes_of_garbage(device: Start) -> None:
    """An unpaced adapter swallows 10 MB of every byte there is, and then answers."""
    running = device("obd", "--unpaced", "--tcp", "0")
    before = running.resident_bytes
    with opened("socket://{}:{}".format(*running.tcp)) as port:
        reader = threading.Thread(target=port.read, args=(100_000_000,), daemon=True)
        port.timeout = 3
        reader.start()
        for _ in range(10):
            port.write(GARBAGE)
        reader.join()
        port.timeout = PATIENCE_S
        port.write(b"\r")
        port.read_until(PROMPT)
        ask(port, b"ATZ")
        assert b"ELM327" in ask(port, b"ATI")
    assert running.resident_bytes - before < 20_000_000


def test_a_paced_line_takes_no_more_than_it_carries(device: Start) -> None:
    """A client that floods a paced line meets full buffers, as at a real port."""
    running = device("obd")
    descriptor = os.open(running.serial, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        taken = 0
        end_s = time.monotonic() + 2.0
        while time.monotonic() < end_s:
            with contextlib.suppress(BlockingIOError):
                taken += os.write(descriptor, GARBAGE[:4096])
            time.sleep(0.01)
    finally:
        os.close(descriptor)
    # 38400 baud carry 3840 bytes a second; the kernel's buffers and one piece come on top.
    assert 4096 < taken < 60_000


@pytest.mark.parametrize("words", [("gps", "--unpaced", "--rate", "10"), ("obd", "--unpaced")])
def test_nobody_reads(device: Start, words: tuple[str, ...]) -> None:
    """Replies that nobody reads do not pile up in memory, and the device still hears."""
    running = device(*words, "--tcp", "0")
    before = running.resident_bytes
    with socket.create_connection(running.tcp) as client:
        client.setblocking(False)
        end_s = time.monotonic() + 3.0
        while time.monotonic() < end_s:
            with contextlib.suppress(BlockingIOError):
                client.send(b"ATI\r" * 1000)
            time.sleep(0.001)
    running.wait_for("disconnected")
    assert running.resident_bytes - before < 20_000_000


def test_nobody_hears_what_it_says(tmp_path: Path) -> None:
    """A closed standard output (`| head -1`) does not end the device."""
    command = [sys.executable, "-m", "rig.cli", "device", "obd", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        place = json.loads(running.stdout.readline())["ports"]["serial"]
        running.stdout.close()
        with opened(place) as port:
            assert b"ELM327" in ask(port, b"ATZ")
        running.terminate()
        assert running.stderr.read() == b""
    assert running.returncode == 0


# -- scenario and seed -----------------------------------------------------------------------------
PULLED = """\
rig: 1
needs: [obd]
phases: [{idle: 30 s}]
faults:
  - {at: idle+0 s, on: obd, hang_up: 1 s}
limits: {readings.lost: {equals: 0}}
"""


def test_a_scenario_drives_and_its_faults_strike(device: Start, tmp_path: Path) -> None:
    """A cable that the scenario pulls comes back as a new port, of which it tells."""
    (tmp_path / "pulled.scenario.yaml").write_text(PULLED)
    link = tmp_path / "elm"
    running = device("obd", "--scenario", tmp_path / "pulled.scenario.yaml", "--link", link)
    event = running.wait_for("port")
    assert os.readlink(link) == event["serial"]
    with opened(str(link)) as port:
        assert b"ELM327" in ask(port, b"ATZ")
