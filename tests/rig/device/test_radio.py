"""`telerig device mesh`: radios alone, for the unmodified command line and any other client."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from rig.cli import main
from sim.meshtastic.framing import Deframer, frame
from sim.meshtastic.protobufs import admin_pb2, mesh_pb2, portnums_pb2
from tests.rig.device.test_device_command import PATIENCE_S, RunningDevice, device

Start = Callable[..., RunningDevice]
Telerig = Callable[..., Any]
assert device  # a fixture
FAST = ("mesh", "--preset", "SHORT_TURBO", "--region", "US")


def meshtastic(*words: str | Path) -> str:
    """Run the real command line, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "meshtastic", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class Api:
    """A client of a few lines, on a TCP connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE_S)
        self._deframer = Deframer()
        self._messages: list[bytes] = []

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def write(self, message: Any) -> None:
        """Send a `ToRadio`."""
        self.socket.sendall(frame(message.SerializeToString()))

    def read(self, kind: str) -> Any:
        """Return the next message of a kind."""
        while True:
            while self._messages:
                message = mesh_pb2.FromRadio.FromString(self._messages.pop(0))
                if message.HasField(kind):
                    return message
            data = self.socket.recv(4096)
            assert data, f"the connection ended before {kind}"
            self._messages += self._deframer.feed(data)


def admin(number: int, **fields: Any) -> Any:
    """Return an admin message to the radio itself."""
    packet = mesh_pb2.MeshPacket(to=number, id=77)
    packet.decoded.portnum = portnums_pb2.PortNum.ADMIN_APP
    packet.decoded.payload = admin_pb2.AdminMessage(**fields).SerializeToString()
    return mesh_pb2.ToRadio(packet=packet)


def test_the_first_line_names_every_radio(device: Start, tmp_path: Path) -> None:
    """Id, name, PTY, TCP port and link of each; the first one's stand where other devices' do."""
    running = device(*FAST, "--radios", 2, "--tcp", "0", "--link", tmp_path / "mesh")
    ports = running.first["ports"]
    assert running.first["device"] == "mesh"
    assert [radio["id"] for radio in ports["radios"]] == ["!7e1e0001", "!7e1e0002"]
    assert [radio["name"] for radio in ports["radios"]] == ["telerig", "telerig 2"]
    assert ports["serial"] == ports["radios"][0]["serial"]
    assert os.readlink(tmp_path / "mesh-2") == ports["radios"][1]["serial"]
    assert len({radio["tcp"] for radio in ports["radios"]}) == 2


def test_the_real_command_line(device: Start, tmp_path: Path) -> None:
    """Serial and TCP: info, a text with acknowledgement, the nodes; a new owner is remembered."""
    words = (*FAST, "--nodes", "2", "--tcp", "0", "--memory", tmp_path / "memory.json")
    running = device(*words)
    assert "Owner: telerig (tele)" in meshtastic("--port", running.serial, "--info")
    said = meshtastic("--port", running.serial, "--sendtext", "hi", "--dest", "!7e1e1001", "--ack")
    assert "Received an ACK." in said
    address = "localhost:{}".format(running.first["ports"]["tcp"])
    assert "!7e1e1002" in meshtastic("--host", address, "--nodes", "--sendtext", "stay")
    meshtastic("--port", running.serial, "--set-owner", "Base", "--set-owner-short", "BASE")
    running.wait_for("settings")
    assert running.end() == 0
    again = device(*words)
    with Api(again.tcp) as api:
        api.write(mesh_pb2.ToRadio(want_config_id=69420))
        assert api.read("node_info").node_info.user.long_name == "Base"


def test_radios_hear_each_other(device: Start) -> None:
    """What one client sends, the other one gets."""
    running = device(*FAST, "--radios", "2", "--tcp", "0")
    packet = mesh_pb2.MeshPacket(to=0xFFFFFFFF, id=5, hop_limit=3)
    packet.decoded.portnum = portnums_pb2.PortNum.PRIVATE_APP
    packet.decoded.payload = b"over the air"
    ports = [("127.0.0.1", radio["tcp"]) for radio in running.first["ports"]["radios"]]
    with Api(ports[0]) as one, Api(ports[1]) as two:
        for api in (one, two):
            api.write(mesh_pb2.ToRadio(want_config_id=1))
            api.read("config_complete_id")
        one.write(mesh_pb2.ToRadio(packet=packet))
        assert one.read("queueStatus").queueStatus.mesh_packet_id == 5
        assert two.read("packet").packet.decoded.payload == b"over the air"


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_client_that_only_commands_is_heard(device: Start, ending: str) -> None:
    """It says one thing, reads nothing and leaves, or even breaks off: the command is done."""
    running = device(*FAST, "--tcp", "0")
    with socket.create_connection(running.tcp, PATIENCE_S) as client:
        # What still waits to be sent is lost with a connection that ends with data unread.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(3):  # answers that nobody reads
            client.sendall(frame(mesh_pb2.ToRadio(want_config_id=1).SerializeToString()))
        message = admin(0x7E1E0001, set_canned_message_module_messages="heard")
        client.sendall(frame(message.SerializeToString()))
        if ending == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    running.wait_for("settings")


def test_the_newest_client_is_served(device: Start) -> None:
    """The older connection is closed."""
    running = device(*FAST, "--tcp", "0")
    with Api(running.tcp) as first:
        first.write(mesh_pb2.ToRadio(want_config_id=1))
        first.read("config_complete_id")
        with Api(running.tcp) as second:
            second.write(mesh_pb2.ToRadio(want_config_id=2))
            assert second.read("config_complete_id").config_complete_id == 2
            assert first.socket.recv(1) == b""


def test_clients_that_come_and_go_at_once_are_all_heard(device: Start) -> None:
    """Each sends one command and leaves; the next one comes before the radio has looked."""
    running = device(*FAST, "--tcp", "0")
    for index in range(20):
        with socket.create_connection(running.tcp, PATIENCE_S) as client:
            request = admin(0x7E1E0001, set_canned_message_module_messages=f"{index}")
            client.sendall(frame(request.SerializeToString()))
    deadline_s = time.monotonic() + PATIENCE_S
    while (heard := _count(running, "settings")) < 20 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert heard == 20


def _count(running: RunningDevice, kind: str) -> int:
    return sum(event["event"] == kind for event in list(running.events))


def test_a_client_that_reads_nothing_harms_nobody(device: Start) -> None:
    """What it does not read is lost once its buffers are full; another client is served."""
    running = device(*FAST, "--tcp", "0")
    request = frame(mesh_pb2.ToRadio(want_config_id=1).SerializeToString())
    with socket.create_connection(running.tcp, PATIENCE_S) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(200):
            deaf.sendall(request)
            time.sleep(0.001)
        with Api(running.tcp) as api:
            api.write(mesh_pb2.ToRadio(want_config_id=2))
            assert api.read("config_complete_id").config_complete_id == 2
    assert running.resident_bytes < 150_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--preset", "FAST"), "--preset: expected one of SHORT_TURBO, "),
        (("--region", "EU"), "--region: expected one of US, "),
        (("--name", "x" * 40), "--name: expected at most 39 bytes of UTF-8, got 40"),
        (("--rate", "5"), "--rate: expected gps, found mesh"),
        (("--scenario", "x.yaml"), "--scenario: expected obd, gps, esp32 or can, found mesh"),
        (("--baud", "9600"), "--baud: expected obd, gps or can, found mesh"),
        (("--tcp", "65535", "--radios", "2"), "--tcp 65535: expected room for 2 ports"),
        (("--memory", "/"), "--memory /: expected a file to read and write, found: "),
    ],
)
def test_wrong_options_are_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """By exit code 2, what was expected and what came."""
    assert main(["device", "mesh", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nodes", "-1"), "--nodes: expected a whole number from 0 to 80, found '-1'"),
        (("--radios", "0"), "--radios: expected a whole number from 1 to 20, found '0'"),
    ],
)
def test_numbers_out_of_bounds_are_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """As of any other command."""
    with pytest.raises(SystemExit) as ended:
        main(["device", "mesh", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_memory_of_something_else_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is not overwritten."""
    file = tmp_path / "memory.json"
    file.write_text(json.dumps({"format": "telerig-esp32-1"}))
    assert main(["device", "mesh", "--memory", str(file)]) == 2
    told = capsys.readouterr().err
    assert "expected radios' memory of format telerig-mesh-1, found: " in told
    assert "name another file" in told
    assert "esp32" in file.read_text()


def test_a_busy_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With what else could be tried."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert main(["device", "mesh", "--tcp", str(server.getsockname()[1])]) == 1
    assert "try another, or 0 for any" in capsys.readouterr().err


def test_without_the_package_it_says_what_to_install(
    telerig: Telerig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line instead of a traceback."""
    hidden = tmp_path / "meshtastic.py"
    hidden.write_text("raise ModuleNotFoundError('gone', name='meshtastic')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    done = telerig("device", "mesh")
    assert done.code == 2
    assert "pip install 'telerig[mesh]'" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--preset", "LONG_FAST      SF11, 250 kHz, 4/5"),
        ("--region", "EU_868     869.4-869.65 MHz"),
    ],
)
def test_presets_and_regions_are_listed(
    capsys: pytest.CaptureFixture[str], option: str, line: str
) -> None:
    """With what they mean."""
    assert main(["device", "mesh", option, "?"]) == 0
    assert line in capsys.readouterr().out


def test_help_teaches_it(capsys: pytest.CaptureFixture[str]) -> None:
    """An example for each way in."""
    with pytest.raises(SystemExit):
        main(["device", "--help"])
    text = capsys.readouterr().out
    assert "telerig device mesh --tcp 4403 --nodes 5" in text
    assert "meshtastic --host localhost" in text


def test_text_for_people_names_commands_to_try(tmp_path: Path) -> None:
    """Where it is, what is on the channel, and what to type."""
    command = [sys.executable, "-m", "rig.cli", "device", "mesh", "--link", str(tmp_path / "m")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(4)]
        running.terminate()
    assert running.returncode == 0
    assert lines[0] == f"radio !7e1e0001 (telerig) ready at {tmp_path / 'm'}\n"
    assert lines[1] == "LONG_FAST, EU_868; 0 further nodes on the channel\n"
    assert lines[2] == f"try: meshtastic --port {tmp_path / 'm'} --info\n"
