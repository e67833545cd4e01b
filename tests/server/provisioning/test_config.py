"""[provisioning]: where the gateway itself may look for devices."""

from __future__ import annotations

import pytest

from server.config import parse_config
from server.errors import ConfigError


def test_devices_own_networks_are_known_without_a_word() -> None:
    """An ESP32's access point, and nothing else."""
    found = parse_config("", "t", {}).provisioning
    assert (found.enabled, found.serial) == (True, ())
    assert [str(network) for network in found.networks] == ["192.168.4.0/24"]


def test_it_can_be_switched_off_by_a_variable() -> None:
    """As every flag."""
    found = parse_config("", "t", {"TELERIG_PROVISIONING_ENABLED": "false"}).provisioning
    assert not found.enabled


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('networks = ["192.168.4.1/24"]', "a network"),
        ('networks = ["esp.lan"]', "a network"),
        ('serial = ["ttyUSB0"]', "a path or pattern"),
        ('serial = ["/dev/../etc/*"]', "a path or pattern"),
        ("port = 80", "port"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(line: str, expected: str) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match=expected) as caught:
        parse_config(f"[provisioning]\n{line}\n", "t.toml", {})
    assert "t.toml:2" in str(caught.value)
