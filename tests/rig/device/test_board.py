"""`telerig device esp32`: a board alone, provisioned over HTTP and read on its console."""

from __future__ import annotations

import http.server
import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from server.wire.telemetry_pb2 import Downlink, Uplink
from tests.rig.device.test_device_command import PATIENCE_S, RunningDevice, device

__all__ = ["device"]  # the fixture

Start = Callable[..., RunningDevice]
Telerig = Callable[..., Any]


class Gateway:
    """Takes uplinks, and acknowledges whatever comes."""

    def __init__(self) -> None:
        self.uplinks: list[tuple[str | None, Uplink]] = []
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = Uplink()
                message.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
                gateway.uplinks.append((self.headers["x-api-key"], message))
                answer = Downlink(boot=message.boot, ack=1 if message.packets else 0)
                body = answer.SerializeToString()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for_packets(self) -> tuple[str | None, Uplink]:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            found = [uplink for uplink in self.uplinks if uplink[1].packets]
            if found:
                return found[0]
            time.sleep(0.05)
        pytest.fail(f"expected packets, got {len(self.uplinks)} uplinks without")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway of a few lines."""
    gateway = Gateway()
    yield gateway
    gateway.server.shutdown()
    gateway.server.server_close()


def provision(running: RunningDevice, gateway: Gateway, **changes: Any) -> Any:
    """Provision a board with the client that people use."""
    pytest.importorskip("cryptography", reason="provisioning needs the library cryptography")
    from server.provisioning.flow import Provisioning, User, Wanted
    from server.provisioning.transport_http import HttpTransport

    running.wait_for_name("access point")

    def nobody(_question: object) -> Any:
        raise AssertionError("everything was given")

    wanted = {
        "user": "wifiprov",
        "password": "abcd1234",
        "ssid": "telerig",
        "passphrase": "drive safely",
        "gateway_url": gateway.url,
        "device": "esp-1",
        "device_key": "key-of-20-characters",
        **changes,
    }
    transport = HttpTransport("127.0.0.1", running.first["ports"]["http"], PATIENCE_S)
    return Provisioning(transport, Wanted(**wanted), User(lambda _: None, nobody, nobody)).run()


def test_a_board_from_the_factory_is_provisioned_and_sends_and_remembers(
    device: Start, gateway: Gateway, tmp_path: Path
) -> None:
    """Over its own access point, to a real server; started again it goes on by itself."""
    memory = tmp_path / "board.json"
    running = device("esp32", "--memory", memory)
    assert running.first["device"] == "esp32"
    assert stat.S_ISCHR(Path(running.serial).stat().st_mode)
    outcome = provision(running, gateway)
    assert outcome.connected
    key, uplink = gateway.wait_for_packets()
    assert (key, uplink.device) == ("key-of-20-characters", "esp-1")
    assert running.end() == 0
    gateway.uplinks.clear()
    again = device("esp32", "--memory", memory)
    _, uplink = gateway.wait_for_packets()
    assert uplink.device == "esp-1"
    assert {event["reason"] for event in again.events if event.get("name") == "start"} == {
        "power-on"
    }


def test_a_password_of_ones_own_and_no_other(device: Start, gateway: Gateway) -> None:
    """The wrong one gets no session."""
    running = device("esp32", "--user", "ada", "--password", "lovelace")
    pytest.importorskip("cryptography", reason="provisioning needs the library cryptography")
    from server.provisioning.errors import ProvisionError

    with pytest.raises(ProvisionError):
        provision(running, gateway)
    assert provision(running, gateway, user="ada", password="lovelace").connected


def test_the_console_prints_as_a_board_does(device: Start) -> None:
    """After a reset by the scenario's fault: the words of the ROM, and why it started."""
    scenario = Path(__file__).parents[3] / "scenarios" / "esp32_reset.scenario.yaml"
    running = device("esp32", "--scenario", scenario)
    with serial.Serial(running.serial, 115200, timeout=PATIENCE_S) as port:
        line = port.read_until(b"logger: ")
    assert b"logger: " in line
    assert running.wait_for("esp32")["name"] == "start"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("esp32", "--profile", "ublox_m8"), "--profile: expected obd, gps or can, found esp32"),
        (("esp32", "--unpaced"), "--unpaced: expected obd, gps, mesh or can, found esp32"),
        (("esp32", "--rate", "5"), "--rate: expected a gps, found esp32"),
        (("obd", "--memory", "x"), "--memory: expected esp32 or mesh, found obd"),
        (("gps", "--http", "8080"), "--http: expected esp32, found gps"),
        (("esp32", "--http", "65536"), "--http"),
    ],
)
def test_options_of_another_device_are_refused(
    telerig: Telerig, words: tuple[str, ...], message: str
) -> None:
    """One line, exit code 2."""
    telerig("device", *words).complaint(2, message)


def test_a_memory_that_is_none_is_refused(telerig: Telerig, tmp_path: Path) -> None:
    """Neither overwritten nor a traceback."""
    path = tmp_path / "notes.txt"
    path.write_text("not a board")
    told = f"--memory {path}: expected a board's memory"
    telerig("device", "esp32", "--memory", path).complaint(2, told)
    assert path.read_text() == "not a board"
    absent = telerig("device", "esp32", "--memory", tmp_path / "no" / "folder.json")
    absent.complaint(2, "No such file or directory")


def test_a_memory_is_written_whole(device: Start, tmp_path: Path) -> None:
    """It can be read at any time."""
    memory = tmp_path / "board.json"
    running = device("esp32", "--memory", memory)
    running.wait_for_name("access point")
    assert "prov.verifier" in json.loads(memory.read_text())["nvs"]
