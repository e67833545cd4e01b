"""Secrets in the configuration: the operator's, and fixed device keys."""

from __future__ import annotations

import hashlib

import pytest

from server.config import parse_config
from server.errors import ConfigError

KEY = "0123456789abcdef"


def test_where_the_secret_comes_from() -> None:
    """File, environment, and the older name, the nearer one first."""
    assert parse_config("", "f", {}).api.secret is None
    file = f"[api]\nsecret = 'f{KEY}'"
    assert parse_config(file, "f", {}).api.secret == f"f{KEY}"
    assert parse_config(file, "f", {"API_SECRET_KEY": f"a{KEY}"}).api.secret == f"a{KEY}"
    both = {"API_SECRET_KEY": f"a{KEY}", "TELERIG_API_SECRET": f"t{KEY}"}
    assert parse_config(file, "f", both).api.secret == f"t{KEY}"
    assert parse_config(file, "f", {"API_SECRET_KEY": ""}).api.secret == f"f{KEY}"


@pytest.mark.promise("X05")
@pytest.mark.parametrize(
    ("text", "env", "place"),
    [
        ("[api]\nsecret = 'fifteen chars!!'", {}, "f:2: "),
        ("", {"TELERIG_API_SECRET": "fifteen chars!!"}, "TELERIG_API_SECRET: "),
        ("", {"API_SECRET_KEY": "fifteen chars!!"}, "API_SECRET_KEY: "),
    ],
)
def test_a_short_secret_is_refused(text: str, env: dict[str, str], place: str) -> None:
    """Fewer than 16 characters are refused with the place, and are not shown."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f", env)
    assert str(caught.value).startswith(place)
    assert "16 or more printable characters" in str(caught.value)
    assert "found 15 characters" in str(caught.value)
    assert "fifteen" not in str(caught.value)


def test_the_secret_is_not_in_the_text_of_the_configuration() -> None:
    """A configuration that is logged shows that there is a secret, not which."""
    config = parse_config("", "f", {"API_SECRET_KEY": KEY, "DEVICE_API_KEYS": f"a:{KEY}"})
    assert KEY not in repr(config)


@pytest.mark.promise("X06")
def test_device_keys() -> None:
    """Keys come with their device's id, or have one made of their hash."""
    config = parse_config("", "f", {"DEVICE_API_KEYS": f"esp-1:{KEY}, x{KEY} ,"})
    name = f"key-{hashlib.sha256(f'x{KEY}'.encode()).hexdigest()[:8]}"
    assert config.api.device_keys == (("esp-1", KEY), (name, f"x{KEY}"))
    listed = parse_config(f"[api]\ndevice_keys = ['esp-1:{KEY}']", "f", {})
    assert listed.api.device_keys == (("esp-1", KEY),)
    assert parse_config("", "f", {"DEVICE_API_KEYS": ""}).api.device_keys == ()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("esp-1:short", "keys of 16 or more printable characters"),
        (f"no device:{KEY}", "DEVICE:KEY"),
        (f"car-1:{KEY}", "other devices than the gateway's own"),
        (f"a:{KEY},b:{KEY}", "a key of its own for each device"),
    ],
)
def test_wrong_device_keys(keys: str, expected: str) -> None:
    """Short keys, impossible devices and a key of two devices are refused."""
    with pytest.raises(ConfigError, match=expected) as caught:
        parse_config("", "f", {"DEVICE_API_KEYS": keys})
    assert KEY not in str(caught.value)


@pytest.mark.promise("X05")
@pytest.mark.parametrize(
    "text",
    [
        f"[api]\nsecret = '{KEY}'",
        f"[api]\ndevice_keys = ['{KEY}']",
        f"[compat]\ns4_key = '{KEY}'",
    ],
)
def test_production_wants_longer_secrets(text: str) -> None:
    """In production 32 characters are the least, for every secret that somebody chose."""
    parse_config(text, "f", {"APP_ENV": "staging"})
    with pytest.raises(ConfigError, match=r"f:2: expected 32 or more .* found 16 characters"):
        parse_config(text, "f", {"APP_ENV": "production"})
    parse_config(text.replace(KEY, KEY * 2), "f", {"APP_ENV": "production"})
