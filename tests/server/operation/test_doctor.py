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
from server.operation import doctor, health
from server.operation.doctor import COMMAND, FAIL, OK, WARN, Finding, examine
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
    with port.open("rb"):
        monkeypatch.setattr(doctor.os, "getpid", lambda: -1)
        held = look(gps.format(port))["link gps"]
    assert held.state == WARN
    assert str(os.getpid()) not in ("", held.found) or "held by" in held.found
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    forbidden = doctor._serial("link gps", str(port))
    assert forbidden.state == FAIL
    assert "usermod --append --groups" in forbidden.advice


def test_data_folder_disk_and_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others can read, a disk without room and an old certificate are told."""
    cluster = tmp_path / "data" / "postgres"
    cluster.mkdir(parents=True, mode=0o755)
    cert, key = write_certificate(tmp_path, days=5)
    text = (
        f"[http]\nport = 0\ntls_cert = '{cert}'\ntls_key = '{key}'\n"
        f"[database]\ndata_dir = '{tmp_path}/data'\n"
    )
    monkeypatch.setattr(doctor, "DISK_FAIL_BYTES", 10**18)
    monkeypatch.setattr(doctor, "DISK_WARN_BYTES", 10**18)
    found = look(text)
    assert found["data folder"].advice == f"chmod 0700 {cluster}"
    assert found["disk"].state == FAIL
    assert found["tls"].state == WARN
    write_certificate(tmp_path, days=-0.5)
    key.chmod(0o600)
    assert "expired" in look(text)["tls"].found


def test_a_clock_without_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    """1970 is a failure; a look that breaks is told and hides no other."""
    monkeypatch.setattr(doctor, "CLOCK_EARLIEST_S", 10**12)
    found = look("[http]\nport = 0\n[database]\nenabled = false")
    assert found["clock"].state == FAIL

    def explode(*_: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(doctor, "_holder", explode)
    text = "[links.g]\nkind = 'gps'\nport = '/dev/null'\n[database]\nenabled = false"
    config = parse_config(text, "f", {})
    found = {finding.check: finding for finding in examine(config, {})}
    assert found["links"].found == "cannot be looked at: RuntimeError: bug"
    assert "file limit" in found
