"""Flash: bits that only fall, sectors that are erased whole, writes that a power cut tears."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.esp32.flash import PAGE_WRITE_S, SECTOR_BYTES, SECTOR_ERASE_S, Busy, Flash, FlashError


class Chip:
    """A chip of two sectors, and its clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.busy = Busy(lambda: self.now_s)
        self.flash = Flash(2 * SECTOR_BYTES, self.busy, random.Random(1))


@given(st.binary(min_size=1, max_size=600), st.binary(min_size=1, max_size=600))
def test_a_write_only_clears_bits(first: bytes, second: bytes) -> None:
    """What was 0 stays 0 until the sector is erased."""
    flash = Chip().flash
    flash.write(100, first)
    flash.write(100, second)
    both = [a & b for a, b in zip(first, second, strict=False)]
    assert flash.read(100, len(both)) == bytes(both)
    flash.erase(0)
    assert flash.read(0, SECTOR_BYTES) == b"\xff" * SECTOR_BYTES
    assert flash.erases == [1, 0]


def test_the_chip_takes_its_time() -> None:
    """Each page and each erase adds to the time until which it is busy."""
    chip = Chip()
    chip.flash.write(250, b"x" * 10)  # across the edge of a page
    assert chip.busy.until_s == pytest.approx(2 * PAGE_WRITE_S)
    chip.flash.erase(SECTOR_BYTES)
    assert chip.busy.until_s == pytest.approx(2 * PAGE_WRITE_S + SECTOR_ERASE_S)


def test_a_power_cut_tears_the_write_in_progress_and_forgets_those_after_it() -> None:
    """What was written before stays; the torn one is there in part."""
    chip = Chip()
    chip.flash.write(0, b"\x11" * 256)
    chip.flash.write(256, b"\x22" * 2560)
    chip.flash.write(4000, b"\x33" * 10)
    chip.now_s = PAGE_WRITE_S * 6.5
    chip.busy.cut()
    assert chip.flash.read(0, 256) == b"\x11" * 256
    torn = chip.flash.read(256, 2560)
    assert torn.startswith(b"\x22" * 1000)
    assert torn.endswith(b"\xff" * 1000)
    assert chip.flash.read(4000, 10) == b"\xff" * 10


def test_a_power_cut_while_erasing_leaves_neither_the_old_nor_an_erased_sector() -> None:
    """Cells stand anywhere in between."""
    chip = Chip()
    chip.flash.write(0, b"\x00" * SECTOR_BYTES)
    chip.now_s = 10.0
    chip.flash.erase(0)
    chip.now_s += SECTOR_ERASE_S / 2
    chip.busy.cut()
    assert chip.flash.read(0, SECTOR_BYTES) not in (b"\x00" * SECTOR_BYTES, b"\xff" * SECTOR_BYTES)


def test_after_its_time_a_change_stays_whatever_happens() -> None:
    """A power cut that comes later changes nothing."""
    chip = Chip()
    chip.flash.write(0, b"kept")
    chip.now_s = PAGE_WRITE_S
    chip.busy.cut()
    assert chip.flash.read(0, 4) == b"kept"


@pytest.mark.parametrize(("offset", "size"), [(-1, 4), (2 * SECTOR_BYTES - 2, 4), (0, 3 << 20)])
def test_places_outside_the_partition_are_refused(offset: int, size: int) -> None:
    """Reading and writing say where the partition ends."""
    flash = Chip().flash
    with pytest.raises(FlashError, match="within 8192 bytes"):
        flash.read(offset, size)
    with pytest.raises(FlashError, match="within 8192 bytes"):
        flash.write(offset, bytes(size))


def test_only_whole_sectors_are_erased() -> None:
    """An offset inside one is a mistake of the firmware."""
    with pytest.raises(FlashError, match="the begin of a sector"):
        Chip().flash.erase(100)


def test_a_size_that_no_partition_has_is_refused() -> None:
    """At set-up, not at the first write."""
    with pytest.raises(ValueError, match="a multiple of 4096 bytes, got 5000"):
        Flash(5000, Chip().busy, random.Random(1))
