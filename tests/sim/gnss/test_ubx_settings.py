"""Settings without an effect here are kept and read back; what cannot be modelled is refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import pyubx2

from sim.gnss import PROFILES
from sim.gnss.commands import ubx_frame
from sim.gnss.ubx_settings import ANT, GNSS, NAV5, TP5, Settings


def _settings(name: str = "ublox_m8") -> Settings:
    profile = PROFILES[name]
    assert profile.ubx is not None
    return Settings(profile, profile.ubx)


def _parsed(settings: Settings, message_id: int) -> Any:
    payload = settings.get(message_id, b"")
    assert payload is not None
    return pyubx2.UBXReader.parse(ubx_frame(0x06, message_id, payload))


def test_defaults_are_those_of_the_chip() -> None:
    """Portable, automatic 2D/3D; one pulse a second; the systems that the model has."""
    settings = _settings()
    nav5, pulse, gnss = (_parsed(settings, number) for number in (NAV5, TP5, GNSS))
    assert (nav5.dynModel, nav5.fixMode, nav5.minElev, nav5.pDop) == (0, 3, 5, 25.0)
    assert (pulse.freqPeriod, pulse.pulseLenRatioLock, pulse.active) == (1_000_000, 100_000, 1)
    on = {
        getattr(gnss, f"gnssId_{n:02d}"): getattr(gnss, f"enable_{n:02d}")
        for n in range(1, gnss.numConfigBlocks + 1)
    }
    assert (on[0], on[2], on[3], on[6]) == (1, 0, 0, 1)
    assert _parsed(settings, ANT).svcs == 1


def test_nav5_sets_what_its_mask_names() -> None:
    """With the mask for the dynamic model alone, nothing else changes."""
    settings = _settings()
    before = settings.get(NAV5, b"")
    assert before is not None
    assert settings.set(NAV5, struct.pack("<HB33x", 1, 4))
    after = settings.get(NAV5, b"")
    assert after == before[:2] + b"\4" + before[3:]


def test_others_are_kept_whole() -> None:
    """CFG-TP5 reads back as set, by poll with and without the number of the pulse."""
    settings = _settings()
    payload = bytes(range(32))
    assert settings.set(TP5, payload)
    assert settings.get(TP5, b"") == settings.get(TP5, b"\0") == payload
    assert settings.get(TP5, b"\1") is None


@pytest.mark.parametrize(("message_id", "size"), [(NAV5, 35), (TP5, 31), (0x77, 4), (ANT, 0)])
def test_unknown_settings_and_wrong_lengths_are_refused(message_id: int, size: int) -> None:
    """Nothing is kept of them."""
    assert not _settings().set(message_id, bytes(size))


def test_the_sky_cannot_be_chosen() -> None:
    """CFG-GNSS is taken while it names the systems that are there, and refused else."""
    settings = _settings()
    same = settings.get(GNSS, b"")
    assert same is not None
    assert settings.set(GNSS, same)
    without_gps = bytearray(same)
    without_gps[8] = 0
    assert not settings.set(GNSS, bytes(without_gps))
