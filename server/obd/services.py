"""What ECUs answer to a scan tool's services, in words: PIDs, trouble codes. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from server.catalogue import by_id
from server.errors import CatalogueError
from server.obd.backend import NEGATIVE

LIVE, STORED, CLEAR, PENDING, VEHICLE, PERMANENT = 0x01, 0x03, 0x04, 0x07, 0x09, 0x0A
KINDS: Mapping[str, int] = {"stored": STORED, "pending": PENDING, "permanent": PERMANENT}
"""Trouble codes by service."""
GROUPS = tuple(range(0x00, 0x100, 0x20))
"""PIDs that tell which of the following 32 there are."""

_REPLY = 0x40
_SYSTEMS = "PCBU"
_NAMES: Mapping[int, str] = {
    0x01: "Monitor status since codes were cleared",
    0x02: "Code that caused the freeze frame",
    0x03: "Fuel system status",
    0x13: "Oxygen sensors present",
    0x1C: "OBD standard",
    0x1D: "Oxygen sensors present",
    0x1E: "Auxiliary input status",
    0x41: "Monitor status this driving cycle",
    0x4F: "Maximum values",
    0x50: "Maximum values",
    0x51: "Fuel type",
}
_REASONS: Mapping[int, str] = {
    0x11: "service not supported",
    0x12: "parameter not supported",
    0x21: "busy",
    0x22: "conditions not correct (ignition on, engine off?)",
    0x31: "request out of range",
    0x33: "security access denied",
    0x78: "still working on it",
}


def bitmap_of(answer: bytes, group: int) -> bytes | None:
    """Give the bitmap in an answer to 01 `group`; None where it is none."""
    if len(answer) >= 6 and answer[0] == LIVE + _REPLY and answer[1] == group:
        return answer[2:6]
    return None


def pids_of(bitmap: bytes, group: int) -> list[int]:
    """Give the PIDs that a bitmap names, ascending."""
    return [group + place + 1 for place in range(32) if bitmap[place // 8] & (0x80 >> (place % 8))]


def name_of(pid: int) -> tuple[str, str, str]:
    """Give short name, unit and words of a PID; empty where nobody knows."""
    try:
        signal = by_id(pid)
    except CatalogueError:
        return "", "", _NAMES.get(pid, "")
    return signal.name, signal.unit, signal.path


def codes_of(answer: bytes, service: int) -> list[str] | None:
    """Give the trouble codes in an answer to 03, 07 or 0A; None where it is none."""
    if answer[:1] != bytes((service + _REPLY,)):
        return None
    # On CAN their number comes first, elsewhere they follow at once: the length tells.
    data = answer[2:] if len(answer) % 2 == 0 else answer[1:]
    pairs = [data[i : i + 2] for i in range(0, len(data) - 1, 2)]
    return [code_of(pair) for pair in pairs if pair != b"\0\0"]


def code_of(pair: bytes) -> str:
    """Give a trouble code of its two bytes: 01 33 is P0133."""
    high, low = pair
    return f"{_SYSTEMS[high >> 6]}{high >> 4 & 3:X}{high & 15:X}{low:02X}"


def why_not(answer: bytes) -> str:
    """Say why an ECU refuses; empty where it does not."""
    if answer[:1] != bytes((NEGATIVE,)):
        return ""
    reason = answer[2] if len(answer) > 2 else 0
    return _REASONS.get(reason, f"reason {reason:#04x}")


def ecu_name(ecu: int) -> str:
    """Give how an ECU is called: its response identifier, or its number."""
    return f"{ecu:X}" if ecu >= 0x100 else str(ecu)
