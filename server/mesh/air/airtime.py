"""How long a frame of Meshtastic is on the air: the sum that the radio's driver does.

Presets are named as `Config.LoRaConfig.ModemPreset` names them. Sixteen symbols of preamble,
explicit header, check sum; slow symbols (16 ms and more) carry two bits less (RadioLib, SX126x).
"""

from __future__ import annotations

from dataclasses import dataclass

HEADER_BYTES = 16
LONGEST_FRAME_BYTES = 255
DIRECT_BYTES = 12  # of a direct message: what its encryption adds
_DATA_BYTES = 7  # of Data: port 256, the payload's tag and length, the firmware's bit field
_LONG_PAYLOAD_BYTES = 128  # from here on the length takes one byte more
_PREAMBLE_SYMBOLS = 16
_SLOW_SYMBOL_US = 16_000


@dataclass(frozen=True, slots=True)
class Preset:
    """What a modem preset sets.

    Attributes:
        bandwidth_khz, sf: bandwidth and spreading factor.
        cr: bits that four bits become.
    """

    bandwidth_khz: float
    sf: int
    cr: int

    def airtime_us(self, frame_bytes: int) -> int:
        """Give the microseconds that a frame of so many bytes, header and all, is on the air."""
        symbol_us = (10_000 << self.sf) // round(self.bandwidth_khz * 10)
        bits_of_symbol = self.sf - 2 if symbol_us >= _SLOW_SYMBOL_US else self.sf
        bits = max(0, 8 * frame_bytes + 16 - 4 * self.sf + 8 + 20)
        blocks = -(-bits // (4 * bits_of_symbol))
        quarters = 4 * (_PREAMBLE_SYMBOLS + 8) + 17 + 4 * blocks * self.cr
        return symbol_us * quarters // 4


PRESETS: dict[str, Preset] = {
    "SHORT_TURBO": Preset(500, 7, 5),
    "SHORT_FAST": Preset(250, 7, 5),
    "SHORT_SLOW": Preset(250, 8, 5),
    "MEDIUM_TURBO": Preset(500, 9, 5),
    "MEDIUM_FAST": Preset(250, 9, 5),
    "MEDIUM_SLOW": Preset(250, 10, 5),
    "LONG_TURBO": Preset(500, 11, 8),
    "LONG_FAST": Preset(250, 11, 5),
    "LONG_MODERATE": Preset(125, 11, 8),
    "LONG_SLOW": Preset(125, 12, 8),
    "VERY_LONG_SLOW": Preset(62.5, 12, 8),
}


def frame_bytes(payload_bytes: int, *, is_direct: bool = False) -> int:
    """Give the size of the frame that carries so many bytes on port 256."""
    data = payload_bytes + _DATA_BYTES + (payload_bytes >= _LONG_PAYLOAD_BYTES)
    return HEADER_BYTES + data + (DIRECT_BYTES if is_direct else 0)


def payload_airtime_s(preset: Preset, payload_bytes: int, *, is_direct: bool = False) -> float:
    """Give the seconds that a payload on port 256 takes on the air."""
    return preset.airtime_us(frame_bytes(payload_bytes, is_direct=is_direct)) / 1e6
