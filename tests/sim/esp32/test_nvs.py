"""Settings: all changes of a commit or none."""

from __future__ import annotations

import pytest

from sim.esp32.flash import Busy
from sim.esp32.nvs import COMMIT_S, Nvs, NvsError


class Chip:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.busy = Busy(lambda: self.now_s)
        self.nvs = Nvs(self.busy)


def test_what_was_not_committed_is_gone_after_a_reset() -> None:
    """It could be read until then."""
    nvs = Chip().nvs
    nvs.set("kept", b"1")
    nvs.commit()
    nvs.set("lost", b"2")
    nvs.erase("kept")
    assert (nvs.get("kept"), nvs.get("lost")) == (None, b"2")
    nvs.reset()
    assert (nvs.get("kept"), nvs.get("lost")) == (b"1", None)


def test_a_power_cut_in_a_commit_leaves_the_state_before() -> None:
    """Never half of it."""
    chip = Chip()
    chip.nvs.load({"wifi.ssid": b"old"})
    chip.nvs.set("wifi.ssid", b"new")
    chip.nvs.set("wifi.pass", b"new")
    chip.nvs.commit()
    chip.now_s = COMMIT_S / 2
    chip.busy.cut()
    chip.nvs.reset()
    assert (chip.nvs.get("wifi.ssid"), chip.nvs.get("wifi.pass")) == (b"old", None)


def test_a_commit_that_changes_nothing_writes_nothing() -> None:
    """Flash wears out."""
    nvs = Chip().nvs
    nvs.set("a", b"1")
    nvs.commit()
    nvs.set("a", b"1")
    nvs.commit()
    assert nvs.commits == 1


@pytest.mark.parametrize("key", ["", "sixteen.letters."])
def test_keys_have_one_to_fifteen_characters(key: str) -> None:
    """As in ESP-IDF."""
    with pytest.raises(NvsError, match="1-15 characters"):
        Chip().nvs.set(key, b"")


def test_a_full_partition_refuses_and_keeps_what_it_has() -> None:
    """The value before stays."""
    nvs = Chip().nvs
    nvs.set("profile", b"old")
    with pytest.raises(NvsError, match="expected room for 400000 bytes"):
        nvs.set("profile", bytes(400_000))
    assert nvs.get("profile") == b"old"
