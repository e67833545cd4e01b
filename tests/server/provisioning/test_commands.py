"""`telerig provision` as it is typed."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from server.provisioning import commands
from server.provisioning.commands import (
    PASSPHRASE_VARIABLE,
    PASSWORD_VARIABLE,
    SECRET_VARIABLE,
    ProvisionCommand,
)
from tests.firmware.provisioning.board import PASSPHRASE
from tests.server.provisioning.device_server import DeviceServer, serving

SECRET = "correct horse battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal, no variables of this machine, and short pauses."""
    for name in (PASSWORD_VARIABLE, PASSPHRASE_VARIABLE, SECRET_VARIABLE, "API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("server.provisioning.flow.POLL_S", 0.01)


def provision(words: str) -> int:
    """Run the command in this process."""
    parser = argparse.ArgumentParser()
    command = ProvisionCommand()
    command.add_arguments(parser)
    return command.run(parser.parse_args(shlex.split(words)))


def test_wifi_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, progress in lines, `provisioned` at the end."""
    with serving() as device:
        code = provision(
            f"--http 127.0.0.1:{device.port} --password abcd1234 --ssid Home "
            f"--passphrase '{PASSPHRASE}'"
        )
        assert device.rig.board.nvs["wifi.ssid"] == b"Home"
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == ["Wi-Fi: connected", "provisioned"]


def test_passwords_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For scripts: nothing of them is in a list of processes, nor in the output."""
    monkeypatch.setenv(PASSWORD_VARIABLE, "abcd1234")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    with serving() as device:
        assert provision(f"--http 127.0.0.1:{device.port} --ssid Home --json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["provisioned"]
    assert told["connected"]
    assert told["ssid"] == "Home"
    assert told["version"]["patch"] == 1
    assert "Wi-Fi: connected" in err
    assert "abcd1234" not in out + err
    assert PASSPHRASE not in out + err


def test_passwords_are_asked_for_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an echo; a network is chosen by its number, wrong numbers are asked again."""
    asked: list[str] = []
    answers = {"password": "abcd1234", "passphrase": PASSPHRASE}

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return answers[prompt.split()[0]]

    class Keyboard:
        lines = ["9\n", "x\n", "1\n"]

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return self.lines.pop(0)

    monkeypatch.setattr(commands.getpass, "getpass", getpass)
    monkeypatch.setattr(sys, "stdin", Keyboard())
    with serving() as device:
        assert provision(f"--http 127.0.0.1:{device.port}") == 0
    assert asked == [
        "password of wifiprov at the device: ",
        "passphrase of 'Home' (empty: open network): ",
    ]
    assert capsys.readouterr().out.count("network (1 to 2): ") == 3


def test_a_scan_shows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """And as JSON, the same networks."""
    with serving() as device:
        words = f"--http 127.0.0.1:{device.port} --password abcd1234 --scan"
        assert provision(words) == 0
        assert "  1  Home           6   -48  WPA2" in capsys.readouterr().out
        device.rig.poll(16_000)
        assert provision(f"{words} --json") == 0
        told = json.loads(capsys.readouterr().out)
    assert [network["ssid"] for network in told["networks"]] == ["Home", "Café"]
    assert told["networks"][0]["security"] == "WPA2"
    assert not told["provisioned"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--http x --password p --device car-1", "need --gateway"),
        ("--http x --password p --gateway http://g --device-key k", "needs --device"),
        ("--http x --password p --gateway gw:8000", "--gateway: expected http"),
        ("--http x --password p --gateway http://g/path", "--gateway: expected http"),
        ("--http x --password p --gateway http://g --device 'a b'", "--device: expected 1 to 64"),
        ("--http x --password p --timeout 0", "--timeout: expected seconds above 0"),
        ("--serial x --password p --baud 0", "--baud: expected 1 to"),
        ("--serial x --password p --baud=-5", "--baud: expected 1 to"),
        ("--http x..y --password p", "--http: expected HOST or HOST:PORT"),
        ("--http x:port --password p", "--http: expected HOST or HOST:PORT"),
        ("--http x", "no terminal to ask for a password on: give --password or TELERIG_PROVISION"),
        ("--http x --password p --gateway http://g", "TELERIG_API_SECRET"),
    ],
)
def test_words_that_do_not_fit_together_are_told(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line, before anything is sent."""
    assert provision(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", ["", "--http x --ble y", "--http"])
def test_exactly_one_way_is_given(words: str) -> None:
    """HTTP, Bluetooth or a serial port."""
    with pytest.raises(SystemExit):
        provision(words)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--password wrong --ssid Home --passphrase 'correct horse'", "refused user 'wifiprov'"),
        ("--user other --password abcd1234 --ssid Home", "refused user 'other'"),
        ("--password abcd1234 --ssid Home --passphrase 'wrong horse'", "wrong passphrase"),
        ("--password abcd1234 --ssid Nowhere --passphrase 'any words'", "network not found"),
        ("--password abcd1234 --ssid Home --passphrase short", "expected 8 to 63 bytes"),
        ("--password abcd1234", "no terminal to choose a network on"),
    ],
)
def test_what_fails_is_one_line_with_the_next_step(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, nothing of it on standard output but the progress; --json tells it too."""
    with serving() as device:
        assert provision(f"--http 127.0.0.1:{device.port} {words}") == 1
        out, err = capsys.readouterr()
        assert reason in err
        assert err.count("\n") == 1
        assert "provisioned" not in out
        device.rig.poll(16_000)
        assert provision(f"--http 127.0.0.1:{device.port} {words} --json") == 1
        told = json.loads(capsys.readouterr().out)
    assert not told["provisioned"]
    assert reason in told["error"]


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 with what to check."""
    assert provision("--serial /dev/no-such-port --password p") == 1
    assert "is the device plugged in" in capsys.readouterr().err


async def test_from_factory_state_to_the_first_reading_at_a_real_gateway(
    run_gateway: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Registered by the command, told over the session, first reading sent by the device."""
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    async with run_gateway(f"[api]\nsecret = '{SECRET}'\n") as gateway:
        with serving() as device:
            logger = threading.Thread(target=log_one_reading, args=(device,))
            logger.start()
            code = await asyncio.to_thread(
                provision,
                f"--http 127.0.0.1:{device.port} --password abcd1234 --ssid Home --passphrase "
                f"'{PASSPHRASE}' --gateway {gateway.url} --device car-7 --timeout 20 --json",
            )
            logger.join()
            key = device.rig.board.nvs["gw.key"].decode()
        out, err = capsys.readouterr()
        assert code == 0, err
        told = json.loads(out)
        found = await gateway.registry.authenticate(key)
    assert (told["device"], told["first_reading"]) == ("car-7", True)
    assert found is not None
    assert found.id == "car-7"
    assert key not in out + err


def log_one_reading(device: DeviceServer) -> None:
    """Be the logger: wait for network and gateway, send a reading, tell the provisioner."""
    nvs = device.rig.board.nvs
    end = time.monotonic() + 20
    while "wifi.ssid" not in nvs or "gw.key" not in nvs:
        assert time.monotonic() < end
        time.sleep(0.02)
    body = {"boot": 7, "seq": 1, "signal": "RPM", "time": "2026-01-01T00:00:00Z", "value": 800}
    request = urllib.request.Request(
        nvs["gw.url"].decode() + "/api/v1/ingest",
        json.dumps(body).encode(),
        {"X-API-Key": nvs["gw.key"].decode(), "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    with device.lock:
        device.rig.provisioner.accepted()


def test_help_marks_bluetooth_and_loads_nothing_heavy() -> None:
    """--help says that --ble is not proven on a radio; no radio library is loaded for it."""
    code = (
        "import argparse, sys; from server.provisioning.commands import COMMAND;"
        "p = argparse.ArgumentParser(); COMMAND.add_arguments(p); print(p.format_help());"
        "print([m for m in ('bleak', 'cryptography', 'google.protobuf', 'asyncpg') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "not proven on a radio" in done.stdout
    assert "not yet proven on a radio" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
