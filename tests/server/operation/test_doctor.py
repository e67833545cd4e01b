"""`telerig doctor` finds what is wrong, says what to do, and gives the right exit code."""

from __future__ import annotations

import argparse
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from server.config import GatewayConfig, parse_config
from server.operation import health
from server.operation.checks import links, machine, ports
from server.operation.checks.finding import FAIL, OK, WARN, Finding
from server.operation.doctor import COMMAND, examine
from tests.server.operation.certificates import write_certificate


def look(text: str, **env: str) -> dict[str, Finding]:
    """The last finding of each check."""
    config: GatewayConfig = parse_config(text, "telerig.toml", env)
    return {finding.check: finding for finding in examine(config, env)}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Run the command with --json; give exit code and answer."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    code = COMMAND.run(parser.parse_args(["--json", *arguments]))
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.promise("O09")
def test_a_sound_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing fails where nothing is wrong, and every finding that is not right has advice."""
    file = tmp_path / "telerig.toml"
    file.write_text(f"[http]\nport = 0\n[database]\ndata_dir = '{tmp_path}/data'\n")
    code, answer = run(capsys, "-c", str(file))
    assert (code, answer["ok"]) == (0, True)
    states = {found["check"]: found["state"] for found in answer["findings"]}
    assert states["http"] == states["database"] == states["data folder"] == OK
    assert all(f["advice"] for f in answer["findings"] if f["state"] == FAIL)


def test_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is exit code 2, with file and line."""
    file = tmp_path / "telerig.toml"
    file.write_text("[http]\nport = 'x'\n")
    code, answer = run(capsys, "-c", str(file))
    assert code == 2
    assert f"{file}:2: expected" in answer["findings"][0]["found"]


def test_a_port_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy port is a failure, with the command that finds who has it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(health, "TIMEOUT_S", 0.2)
        found = look(f"[http]\nport = {port}\n[database]\nenabled = false")["http"]
    assert found.state == FAIL
    assert f"sport = :{port}" in found.advice


def test_open_to_all_without_tls() -> None:
    """Listening on all addresses in the clear is worth a warning."""
    found = look("[http]\nhost = '0.0.0.0'\nport = 0\n[database]\nenabled = false")
    assert found["http"].state == WARN
    assert "tls_cert" in found["http"].advice
    assert found["database"].state == WARN


def test_a_database_by_url(database_url: str) -> None:
    """Version, rights and schema of a server; one that is away, with what to do."""
    found = look(f"[http]\nport = 0\n[database]\nurl = '{database_url}'")
    assert found["schema"].found.endswith(", up to date")
    assert found["schema"].state == OK
    # The server of these tests does not sync, and that is no server for readings.
    assert found["database"].state == FAIL
    assert "fsync" in found["database"].found
    away = look("[http]\nport = 0\n[database]\nurl = 'postgresql://u:pw@127.0.0.1:1/d'")
    assert away["database"].state == FAIL
    assert away["database"].advice.startswith("start PostgreSQL")
    assert "pw" not in away["database"].found
    absent = look(
        f"[http]\nport = 0\n[database]\nurl = '{database_url.replace('/test_', '/none_')}'"
    )
    assert "createdb" in absent["database"].advice


def test_serial_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent, forbidden and free ports are told apart."""
    gps = "[http]\nport = 0\n[database]\nenabled = false\n[links.gps]\nkind = 'gps'\nport = '{}'"
    absent = look(gps.format(tmp_path / "ttyUSB9"))["link gps"]
    assert (absent.state, "plug it in" in absent.advice) == (FAIL, True)
    port = tmp_path / "ttyUSB0"
    port.touch()
    free = look(gps.format(port))["link gps"]
    assert (free.state, free.found) == (OK, f"{port} can be opened")
    pid = os.getpid()
    with port.open("rb"), monkeypatch.context() as patch:
        patch.setattr(ports.os, "getpid", lambda: -1)
        held = look(gps.format(port))["link gps"]
    assert held.state == WARN
    assert f"(process {pid})" in held.found
    assert f"kill {pid}" in held.advice
    monkeypatch.setattr(ports.os, "access", lambda *_: False)
    forbidden = links._serial("link gps", str(port))
    assert forbidden.state == FAIL
    assert "usermod --append --groups" in forbidden.advice


def test_interfaces_of_the_can_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is absent, down or up; a CAN adapter on a serial port is looked at as such."""
    pytest.importorskip("can", reason="telerig[can] is not installed")
    link = "[http]\nport = 0\n[database]\nenabled = false\n[links.c]\nkind = 'obd'\ncan = {}\n"
    text = link.format("{interface = 'socketcan', channel = 'can7'}")
    monkeypatch.setattr(links, "NETWORK", tmp_path)
    absent = look(text)["link c"]
    assert (absent.state, absent.found) == (FAIL, "no network interface can7")
    (tmp_path / "can7").mkdir()
    (tmp_path / "can7" / "flags").write_text("0x1002\n")
    down = look(text)["link c"]
    assert (down.state, down.advice) == (FAIL, "ip link set can7 up type can bitrate 500000")
    (tmp_path / "can7" / "flags").write_text("0x1003\n")
    assert look(text)["link c"].state == OK
    slcan = look(link.format(f"{{interface = 'slcan', channel = '{tmp_path}/ttyACM9'}}"))
    assert slcan["link c"].found == f"no {tmp_path}/ttyACM9"


def test_data_folder_disk_and_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others can read, a disk without room and an old certificate are told."""
    cluster = tmp_path / "data" / "postgres"
    cluster.mkdir(parents=True, mode=0o755)
    cert, key = write_certificate(tmp_path, days=5)
    text = (
        f"[http]\nport = 0\ntls_cert = '{cert}'\ntls_key = '{key}'\n"
        f"[database]\ndata_dir = '{tmp_path}/data'\n"
    )
    monkeypatch.setattr(machine, "DISK_FAIL_BYTES", 10**18)
    monkeypatch.setattr(machine, "DISK_WARN_BYTES", 10**18)
    found = look(text)
    assert found["data folder"].advice == f"chmod 0700 {cluster}"
    assert found["disk"].state == FAIL
    assert found["tls"].state == WARN
    write_certificate(tmp_path, days=-0.5)
    key.chmod(0o600)
    assert "expired" in look(text)["tls"].found


def test_a_clock_without_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    """1970 is a failure; a look that breaks is told and hides no other."""
    monkeypatch.setattr(machine, "CLOCK_EARLIEST_S", 10**12)
    found = look("[http]\nport = 0\n[database]\nenabled = false")
    assert found["clock"].state == FAIL

    def explode(*_: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(ports, "holders", explode)
    text = "[links.g]\nkind = 'gps'\nport = '/dev/null'\n[database]\nenabled = false"
    config = parse_config(text, "f", {})
    found = {finding.check: finding for finding in examine(config, {})}
    assert found["links"].found == "cannot be looked at: RuntimeError: bug"
    assert "file limit" in found
