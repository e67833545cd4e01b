"""[dialects] in the configuration."""

from __future__ import annotations

import pytest

from server.config import parse_config
from server.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[dialects]\ntorqe = true", "torqe"),
        ("[dialects]\nosmand = 1", "osmand"),
        ('[dialects.thingsboard_keys]\nt = "TEMP"', "thingsboard_keys.t"),
        ('[[dialects.torque_senders]]\nid = "a"', "device"),
        ('[[dialects.torque_senders]]\nid = "a"\ndevice = "a b"', "device"),
        ('[[dialects.torque_senders]]\nid = "a"\ndevice = "b"\n' * 2, "id"),
    ],
)
def test_what_is_wrong_is_named(text: str, names: str) -> None:
    """A wrong key is refused with its name."""
    with pytest.raises(ConfigError, match=names):
        parse_config(text, "telerig.toml", {})


def test_the_environment_switches_them_on() -> None:
    """A dialect can be switched on by a variable."""
    config = parse_config("", "telerig.toml", {"TELERIG_DIALECTS_TORQUE": "true"})
    assert config.dialects.torque
    assert not config.dialects.osmand
