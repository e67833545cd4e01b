"""What a radio remembers, over power cuts and worlds."""

from __future__ import annotations

import random
from typing import Any

import pytest

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

from sim.meshtastic.errors import RadioError
from sim.meshtastic.group import GroupSetup
from sim.meshtastic.settings import RadioSetup, Settings
from tests.sim.meshtastic.bench import Bench


def settings(flash: dict[str, bytes], **setup: Any) -> Settings:
    """Build settings on a flash."""
    return Settings(0xA1B2C3D4, RadioSetup(**setup), flash, random.Random(1))


def test_a_new_radio_is_what_it_was_set_up_as() -> None:
    """Names, preset, region, role, channel, and a key pair of its own."""
    radio = settings({}, name="Car radio", preset="SHORT_FAST", role="ROUTER", hop_limit=5)
    assert (radio.preset, radio.region, radio.role) == ("SHORT_FAST", "EU_868", "ROUTER")
    assert (radio.owner.long_name, radio.owner.short_name) == ("Car radio", "Car ")
    assert radio.owner.id == "!a1b2c3d4"
    assert radio.hop_limit == 5
    assert len(radio.owner.public_key) == 32


def test_flash_wins_over_the_setup() -> None:
    """A radio that has been set up keeps what it has."""
    flash: dict[str, bytes] = {}
    first = settings(flash, name="first")
    first.config.lora.hop_limit = 7
    first.save()
    again = settings(flash, name="second", hop_limit=2)
    assert (again.owner.long_name, again.hop_limit) == ("first", 7)
    assert again.owner.public_key == first.owner.public_key


def test_what_was_not_saved_is_lost() -> None:
    """A power cut returns to the last save."""
    radio = settings({})
    radio.config.lora.hop_limit = 7
    radio.load()
    assert radio.hop_limit == 3


def test_factory_reset_leaves_no_region() -> None:
    """The firmware does not know where it is; the key stays unless the whole device is reset."""
    radio = settings({}, name="Mine")
    key = bytes(radio.owner.public_key)
    radio.factory_reset(keep_key=True)
    assert (radio.region, radio.owner.long_name) == ("UNSET", "Meshtastic c3d4")
    assert bytes(radio.owner.public_key) == key
    radio.factory_reset(keep_key=False)
    assert bytes(radio.owner.public_key) != key


def test_backup_is_restored() -> None:
    """And there is none before one was made, nor after it was deleted."""
    radio = settings({})
    assert not radio.restore()
    radio.backup()
    radio.config.lora.hop_limit = 7
    radio.save()
    assert radio.restore()
    assert radio.hop_limit == 3
    radio.forget_backup()
    assert not radio.restore()


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"preset": "FAST"}, "preset: expected one of LONG_FAST, .*; got 'FAST'"),
        ({"region": "EU"}, "region: expected one of UNSET, US, .*; got 'EU'"),
        ({"role": "BOSS"}, "role: expected one of CLIENT, .*; got 'BOSS'"),
        ({"name": "x" * 40}, "name: expected at most 39 bytes of UTF-8, got 40"),
        ({"short_name": "12345"}, "short_name: expected at most 4 bytes of UTF-8, got 5"),
        ({"channel_psk": b"12"}, "channel_psk: expected 0, 1, 16 or 32 bytes, got 2"),
        ({"hop_limit": 8}, "hop_limit: expected 1 to 7, got 8"),
        ({"position_precision_bits": 33}, "position_precision_bits: expected 0 to 32, got 33"),
    ],
)
def test_impossible_setups_are_refused_by_name(setup: dict[str, Any], message: str) -> None:
    """The message says what was expected and what came."""
    with pytest.raises(RadioError, match=message):
        RadioSetup(**setup)


def test_groups_are_refused_by_name_too() -> None:
    """Only presets and regions that the channel knows."""
    with pytest.raises(RadioError, match=r"preset: expected one of .*SHORT_FAST.*; found 'X'"):
        GroupSetup(preset="X")


def test_flash_outlives_the_world() -> None:
    """A second world with the same flash has the same radio."""
    first = Bench()
    first.client.connect()
    first.client.admin(first.radio, set_canned_message_module_messages="one|two")
    second = settings(first.flashes["!7e1e0001"])
    assert second.canned_messages == "one|two"
