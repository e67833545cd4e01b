"""Presets and time on air."""

from __future__ import annotations

import math

import pytest

from sim.lora.errors import LoraError
from sim.lora.presets import PRESETS, Preset, airtime_us, preset_named

# Milliseconds for payloads of 50, 100 and 200 bytes on PRIVATE_APP (frames of 73, 123 and 224
# bytes) and for the largest frame, with slot times and sensitivities: from firmware and RadioLib.
KNOWN = {
    "SHORT_TURBO": (35, 53, 90, 102, 8, -118.5),
    "SHORT_FAST": (71, 107, 181, 204, 8, -121.5),
    "SHORT_SLOW": (126, 193, 321, 362, 10, -124.0),
    "MEDIUM_TURBO": (116, 172, 285, 321, 10, -123.5),
    "MEDIUM_FAST": (232, 345, 570, 642, 12, -126.5),
    "MEDIUM_SLOW": (423, 628, 1037, 1181, 17, -129.0),
    "LONG_TURBO": (574, 869, 1459, 1656, 17, -128.5),
    "LONG_FAST": (805, 1174, 1911, 2157, 28, -131.5),
    "LONG_MODERATE": (2691, 4133, 7016, 7934, 48, -134.5),
    "LONG_SLOW": (4858, 7479, 12722, 14295, 89, -137.0),
}
FRAMES_BYTES = (73, 123, 224, 255)


def semtech_ms(preset: Preset, frame_bytes: int) -> float:
    """The data sheet's formula in floating point, written down by itself."""
    symbol_ms = 2**preset.sf / preset.bandwidth_hz * 1000
    low_rate = 1 if symbol_ms >= 16 else 0
    bits = 8 * frame_bytes - 4 * preset.sf + 28 + 16
    blocks = max(math.ceil(bits / (4 * (preset.sf - 2 * low_rate))), 0)
    return (16 + 4.25 + 8 + blocks * preset.cr) * symbol_ms


def test_every_preset_of_the_table_is_there() -> None:
    """The presets are those of the firmware, by its names."""
    assert set(PRESETS) == set(KNOWN)


@pytest.mark.parametrize("name", PRESETS)
def test_airtimes_are_those_of_the_table(name: str) -> None:
    """Times on air agree with RadioLib's within a millisecond."""
    times_ms = [airtime_us(PRESETS[name], size) / 1000 for size in FRAMES_BYTES]
    assert times_ms == pytest.approx(KNOWN[name][:4], abs=1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_airtime_is_the_data_sheets_for_every_length(name: str) -> None:
    """The integer formula is within a microsecond of the data sheet's, for 1 to 255 bytes."""
    preset = PRESETS[name]
    for size in range(1, 256):
        assert airtime_us(preset, size) / 1000 == pytest.approx(semtech_ms(preset, size), abs=1e-3)


@pytest.mark.parametrize("name", PRESETS)
def test_slot_and_sensitivity_are_those_of_the_table(name: str) -> None:
    """Slots are the firmware's whole milliseconds, sensitivity follows from 6 dB noise figure."""
    preset = PRESETS[name]
    assert preset.slot_ms == KNOWN[name][4]
    assert preset.sensitivity_dbm == pytest.approx(KNOWN[name][5], abs=0.05)


def test_settings_of_ones_own_have_times_and_noise_too() -> None:
    """Spreading factor 6 on 62.5 kHz, as RadioLib: 6.25 symbols of sync word, no offset."""
    own = Preset("own", 62_500, 6, 6)
    blocks = math.ceil((8 * 40 + 16 - 24 + 20) / 24)
    assert airtime_us(own, 40) == 1024 * (4 * (16 + 8 + 6 * blocks) + 25) // 4
    assert own.sensitivity_dbm == pytest.approx(-125.04, abs=0.01)


def test_low_data_rate_optimisation_is_on_for_the_two_slowest_only() -> None:
    """Symbols of 16 ms and more are spread further."""
    assert {name for name, preset in PRESETS.items() if preset.low_rate} == {
        "LONG_MODERATE",
        "LONG_SLOW",
    }


@pytest.mark.parametrize("size", [0, 256, -1])
def test_a_frame_that_no_radio_sends_is_refused(size: int) -> None:
    """The error says which lengths there are and which came."""
    with pytest.raises(LoraError, match=f"1-255 bytes; found {size}"):
        airtime_us(PRESETS["LONG_FAST"], size)


def test_an_unknown_preset_is_refused_with_the_names_there_are() -> None:
    """A misspelt preset is told what is possible."""
    assert preset_named("LONG_FAST") is PRESETS["LONG_FAST"]
    with pytest.raises(LoraError, match=r"SHORT_TURBO, .*found 'LongFast'"):
        preset_named("LongFast")
