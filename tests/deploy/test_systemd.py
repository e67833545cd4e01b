"""The units: systemd itself checks them, and the gateway keeps their protocol."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("telerig.service", "telerig-backup.service", "telerig-backup.timer")
SAFE_BELOW = 3.0
"""systemd's own measure of exposure: 0 is sealed, 10 is open."""


def analyze(*arguments: str) -> str:
    """What systemd-analyze says."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    answer = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
    return answer.stdout + answer.stderr


@pytest.mark.promise("O10")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Not a word of complaint, once the programs that they name exist."""
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(
            re.sub(r"/opt/telerig/\S+", "/bin/true", text), encoding="utf-8"
        )
    said = analyze("verify", *(str(tmp_path / name) for name in UNITS))
    ours = [line for line in said.splitlines() if "telerig" in line]
    assert ours == []


def test_the_service_is_sealed() -> None:
    """systemd's measure of exposure is that of a sealed service."""
    said = analyze("security", "--offline=yes", str(DEPLOY / "telerig.service"))
    (found,) = re.findall(r"Overall exposure level for telerig.service: ([\d.]+)", said)
    assert float(found) < SAFE_BELOW


def test_the_service_keeps_serial_ports_and_can() -> None:
    """What is sealed off leaves the links their devices."""
    text = (DEPLOY / "telerig.service").read_text(encoding="utf-8")
    assert "SupplementaryGroups=dialout" in text
    assert "DeviceAllow=char-ttyUSB rw" in text
    assert "AF_CAN" in re.findall(r"^RestrictAddressFamilies=(.*)$", text, re.M)[0]
    assert "PrivateDevices" not in text
    for key in ("Type=notify", "WatchdogSec=", "ExecReload=", "Restart=always"):
        assert key in text
