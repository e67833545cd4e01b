"""A serial port as the machine shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.operation.checks import ports

HOLD = """
import os, sys, time
os.open(sys.argv[1], os.O_RDONLY)
print("held", flush=True)
time.sleep(60)
"""


def test_who_has_it(tmp_path: Path) -> None:
    """Number and command of each process; its own process does not count."""
    port = tmp_path / "ttyUSB0"
    port.touch()
    with port.open("rb"):
        assert ports.holders(port) == []
        words = [sys.executable, "-c", HOLD, str(port)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            (holder,) = ports.holders(port)
            process.kill()
    assert holder.pid == process.pid
    assert holder.command.startswith(sys.executable)
    assert f"kill {holder.pid}" in holder.advice


def test_who_has_a_pty(tmp_path: Path) -> None:
    """The program at its other end is the device, and holds nothing."""
    script = "import os, time; print(os.ttyname(os.openpty()[1]), flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        found = ports.holders(path)
        process.kill()
    assert found == []


def test_programs_that_take_what_they_see() -> None:
    """For those that everybody meets it is said how they are stopped."""
    assert "systemctl stop ModemManager" in ports.Holder(7, "ModemManager", "ModemManager").advice
    assert "gpsd.socket" in ports.Holder(7, "gpsd -n", "gpsd").advice


def test_names_that_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By-id names come first; a number without one is offered as it is."""
    monkeypatch.setattr(ports, "DEV", tmp_path)
    for name in ("ttyUSB0", "ttyUSB1", "ttyACM0"):
        (tmp_path / name).touch()
    by_id = tmp_path / "serial" / "by-id" / "usb-FTDI_A5"
    by_id.parent.mkdir(parents=True)
    by_id.symlink_to(os.path.join("..", "..", "ttyUSB1"))
    assert ports.candidates() == [
        str(by_id),
        str(tmp_path / "ttyACM0"),
        str(tmp_path / "ttyUSB0"),
    ]
    assert ports.stable_name(tmp_path / "ttyUSB1") == by_id
    assert ports.stable_name(tmp_path / "ttyUSB0") is None
    assert ports.stable_name(by_id) is None


def test_a_group_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the device; dialout where it belongs to root or to nobody that has a name."""
    port = tmp_path / "ttyUSB0"
    port.touch()

    def nameless(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(ports.grp, "getgrgid", nameless)
    assert "--groups dialout USER" in ports.permission_advice(port)
