"""The modem presets of Meshtastic and the time that a frame takes on the air.

Sources: firmware src/mesh/MeshRadio.h (presets) and RadioInterface.cpp (slot time, preamble of 16
symbols); RadioLib src/modules/SX126x/SX126x.cpp `calculateTimeOnAir`, in integers as there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from sim.lora.errors import LoraError

PREAMBLE_SYMBOLS = 16
SYNC_SYMBOLS_X4 = 17  # 4.25 symbols of sync word and start of frame
SHORT_SYNC_SYMBOLS_X4 = 25  # with spreading factors 5 and 6
HEADER_SYMBOLS = 8  # the first block, always there
HEADER_BITS = 20
CRC_BITS = 16
BITS_OFFSET = 8  # section 6.1.4 of the SX1262's data sheet, for spreading factors above 6
LOW_RATE_SYMBOL_US = 16_000  # low data rate optimisation from this symbol on
MOST_FRAME_BYTES = 255

NOISE_FIGURE_DB = 6.0
THERMAL_NOISE_DBM_HZ = -174.0
CAD_SYMBOLS_X2 = 5  # channel activity detection: 2 symbols and half a one
TURNAROUND_MS = 7.6  # propagation 0.2, receive to transmit 0.4, processing 7
# Lowest signal-to-noise ratio at which Semtech's data sheet receives, by spreading factor.
SNR_LIMITS_DB = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}


@dataclass(frozen=True, slots=True)
class Preset:
    """One modem preset, or settings of one's own.

    `sf` is 5-12; `cr` is the denominator of the code rate, 5 for 4/5.
    """

    name: str
    bandwidth_hz: int
    sf: int
    cr: int

    @property
    def symbol_us(self) -> int:
        """Time of a symbol."""
        return (1_000_000 << self.sf) // self.bandwidth_hz

    @property
    def symbol_s(self) -> float:
        """Time of a symbol."""
        return float(1 << self.sf) / self.bandwidth_hz

    @property
    def low_rate(self) -> bool:
        """True if symbols are so long that low data rate optimisation is on."""
        return self.symbol_us >= LOW_RATE_SYMBOL_US

    @property
    def slot_ms(self) -> int:
        """A slot of the contention window, whole milliseconds as in the firmware."""
        return int(CAD_SYMBOLS_X2 * (1 << self.sf) * 500 / self.bandwidth_hz + TURNAROUND_MS)

    @property
    def cad_s(self) -> float:
        """Time that looking for other transmissions takes."""
        return CAD_SYMBOLS_X2 * self.symbol_s / 2

    @property
    def preamble_ms(self) -> float:
        """Time of preamble and sync word."""
        return (PREAMBLE_SYMBOLS + self.sync_symbols_x4 / 4) * self.symbol_s * 1000

    @property
    def sync_symbols_x4(self) -> int:
        """Quarters of symbols between preamble and header."""
        return SYNC_SYMBOLS_X4 if self.sf > 6 else SHORT_SYNC_SYMBOLS_X4

    @property
    def noise_dbm(self) -> float:
        """Thermal noise in the bandwidth, with the receiver's own."""
        return _noise_dbm(self.bandwidth_hz)

    @property
    def snr_limit_db(self) -> float:
        """The data sheet's lowest signal-to-noise ratio."""
        return SNR_LIMITS_DB[self.sf]

    @property
    def sensitivity_dbm(self) -> float:
        """The weakest signal that the data sheet receives."""
        return self.noise_dbm + self.snr_limit_db


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("SHORT_TURBO", 500_000, 7, 5),
        Preset("SHORT_FAST", 250_000, 7, 5),
        Preset("SHORT_SLOW", 250_000, 8, 5),
        Preset("MEDIUM_TURBO", 500_000, 9, 5),
        Preset("MEDIUM_FAST", 250_000, 9, 5),
        Preset("MEDIUM_SLOW", 250_000, 10, 5),
        Preset("LONG_TURBO", 500_000, 11, 8),
        Preset("LONG_FAST", 250_000, 11, 5),
        Preset("LONG_MODERATE", 125_000, 11, 8),
        Preset("LONG_SLOW", 125_000, 12, 8),
    )
}


def preset_named(name: str) -> Preset:
    """Give the preset of Meshtastic's name for it; raises LoraError with the names there are."""
    preset = PRESETS.get(name)
    if preset is None:
        raise LoraError(f"expected a modem preset ({', '.join(PRESETS)}); found {name!r}")
    return preset


@lru_cache(maxsize=4096)
def airtime_us(preset: Preset, frame_bytes: int) -> int:
    """Give the time on air of a frame, explicit header and CRC, as RadioLib computes it."""
    if not 0 < frame_bytes <= MOST_FRAME_BYTES:
        raise LoraError(f"expected a frame of 1-{MOST_FRAME_BYTES} bytes; found {frame_bytes}")
    offset = BITS_OFFSET if preset.sf > 6 else 0
    bits = max(0, 8 * frame_bytes + CRC_BITS - 4 * preset.sf + offset + HEADER_BITS)
    per_block = 4 * (preset.sf - 2 if preset.low_rate else preset.sf)
    blocks = -(-bits // per_block)
    symbols_x4 = (PREAMBLE_SYMBOLS + HEADER_SYMBOLS + blocks * preset.cr) * 4
    return preset.symbol_us * (symbols_x4 + preset.sync_symbols_x4) // 4


@lru_cache
def _noise_dbm(bandwidth_hz: int) -> float:
    return THERMAL_NOISE_DBM_HZ + NOISE_FIGURE_DB + 10.0 * math.log10(bandwidth_hz)
