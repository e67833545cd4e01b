"""Device keys: their form, and what is not taken for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.devices.key import SECRET_BYTES, Key

devices = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
random_bytes = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)


@given(devices, random_bytes)
def test_a_key_is_read_as_it_was_made(device: str, random: bytes) -> None:
    """Whatever is in the device's id, underscores too, the parts come out again."""
    key = Key.make(device, random)
    assert Key.parse(str(key)) == key
    assert re.fullmatch(
        rf"vtg_dev_{re.escape(device)}_[0-9A-Za-z]{{43}}_[0-9A-Za-z]{{6}}", str(key)
    )


@given(devices, random_bytes, st.data())
def test_a_mistyped_key_is_none(device: str, random: bytes, data: st.DataObject) -> None:
    """One other character anywhere is seen without asking anybody."""
    text = str(Key.make(device, random))
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda character: character != text[place]))
    assert Key.parse(text[:place] + other + text[place + 1 :]) is None


@given(st.text())
def test_any_text_is_refused_quietly(text: str) -> None:
    """No text raises."""
    assert Key.parse(text) is None
    assert Key.parse(f"vtg_dev_{text}") is None


def test_the_secret_is_not_shown() -> None:
    """Neither the form for programmers nor the hash gives the secret away."""
    key = Key.make("esp-1", bytes(range(32)))
    assert key.secret not in repr(key)
    assert len(key.sha256) == 32


def test_too_little_randomness() -> None:
    """A short secret cannot be made by mistake."""
    with pytest.raises(ValueError, match="expected 32 random bytes, got 4"):
        Key.make("esp-1", b"1234")
