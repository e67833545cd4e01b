"""What differs in UBX between the generations of u-blox chips.

Sources: u-blox 8 / M8 receiver description including protocol specification (UBX-13003221),
protocol 18; u-blox M9 SPG 4.04 interface description (UBX-21022436), protocol 32. MON-VER as such
modules were recorded to answer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UbxChip:
    """One generation.

    Attributes:
        generation: 8 or 9.
        software, hardware, extensions: the answer to MON-VER.
        messages: the navigation messages that it has (of those modelled), in the order of an epoch.
        has_values: configured by key and value too (CFG-VALSET, from protocol 27).
        channels: tracking channels, as CFG-GNSS tells them.
    """

    generation: int
    software: str
    hardware: str
    extensions: tuple[str, ...]
    messages: tuple[str, ...]
    has_values: bool
    channels: int


# The order is assumed, but for its end: gpsd's driver notes that NAV-DOP comes last before NAV-EOE.
_ORDER = (
    "NAV-SOL", "NAV-PVT", "NAV-POSECEF", "NAV-POSLLH", "NAV-STATUS", "NAV-VELECEF", "NAV-VELNED",
    "NAV-TIMEGPS", "NAV-TIMEUTC", "NAV-TIMELS", "NAV-SVINFO", "NAV-SAT", "NAV-DOP", "NAV-EOE",
)  # fmt: skip
_GONE_IN_9 = ("NAV-SOL", "NAV-SVINFO")

M8_UBX = UbxChip(
    generation=8,
    software="ROM CORE 3.01 (107888)",
    hardware="00080000",
    extensions=("FWVER=SPG 3.01", "PROTVER=18.00", "GPS;GLO;GAL;BDS", "SBAS;IMES;QZSS"),
    messages=_ORDER,
    has_values=False,
    channels=32,
)
M9_UBX = UbxChip(
    generation=9,
    software="EXT CORE 4.04 (7f89f7)",
    hardware="00190000",
    extensions=(
        "ROM BASE 0x118B2060",
        "FWVER=SPG 4.04",
        "PROTVER=32.01",
        "MOD=NEO-M9N",
        "GPS;GLO;GAL;BDS",
        "SBAS;QZSS",
    ),
    messages=tuple(name for name in _ORDER if name not in _GONE_IN_9),
    has_values=True,
    channels=42,
)
