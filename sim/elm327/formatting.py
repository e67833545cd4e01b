"""How a CAN frame is printed: the formats of the ELM327 datasheet, "Interpreting the replies".

The frame count matters for the response digit, the line count does not: with headers off a first
frame prints two lines (length, then `0:`).
"""

from __future__ import annotations

from sim.can.frame import CanFrame
from sim.elm327.settings import Settings

SINGLE, FIRST, CONSECUTIVE, FLOW = 0, 1, 2, 3  # high nibble of the ISO-TP protocol byte
DATA_ERROR = "<DATA ERROR"


def hex_text(data: bytes, spaces: bool) -> str:
    """Bytes as the chip prints them: upper case, and with `AT S1` a blank after every byte."""
    if spaces:
        return data.hex(" ").upper() + " " if data else ""
    return data.hex().upper()


def identifier_text(frame: CanFrame, spaces: bool) -> str:
    """`7E8 ` or `18 DA F1 10 `."""
    if frame.is_extended:
        return hex_text(frame.arbitration_id.to_bytes(4, "big"), spaces)
    return f"{frame.arbitration_id:03X} " if spaces else f"{frame.arbitration_id:03X}"


def isotp_data(frame: CanFrame, settings: Settings) -> bytes:
    """The frame's data from its protocol byte on (behind the address with `AT CEA hh`)."""
    return frame.data if settings.extended_address is None else frame.data[1:]


def is_isotp(data: bytes) -> bool:
    """True when `data` begins with a protocol byte that fits its length (ISO 15765-2)."""
    if not data:
        return False
    kind, low = data[0] >> 4, data[0] & 0x0F
    if kind == SINGLE:
        return 1 <= low < len(data)
    if kind == FIRST:
        return len(data) >= 7 and (low << 8 | data[1]) > 6
    if kind == CONSECUTIVE:
        return len(data) > 1
    return kind == FLOW and low <= 2 and len(data) >= 3


def raw_line(frame: CanFrame, settings: Settings) -> str:
    """The frame as received: identifier if headers are on, length if `AT D1`, every data byte."""
    spaces = settings.spaces
    body = "RTR" if frame.is_remote else hex_text(frame.data, spaces)
    if not settings.headers:
        return body
    length = ""
    if settings.dlc_shown:
        length = f"{len(frame.data):X} " if spaces else f"{len(frame.data):X}"
    return identifier_text(frame, spaces) + length + body


def message_lines(data: bytes, settings: Settings) -> list[str]:
    """The lines of one valid ISO-TP frame with headers off and formatting on (`AT H0`, `CAF1`)."""
    spaces = settings.spaces
    kind, low = data[0] >> 4, data[0] & 0x0F
    if kind == SINGLE:
        return [hex_text(data[1 : 1 + low], spaces)]
    gap = " " if spaces else ""
    if kind == FIRST:
        length = low << 8 | data[1]
        return [f"{length:03X}", f"0:{gap}{hex_text(data[2:], spaces)}"]
    if kind == CONSECUTIVE:
        return [f"{low:X}:{gap}{hex_text(data[1:], spaces)}"]  # padding included: p.45
    return [f"FC:{gap}{hex_text(data, spaces)}"]


def frame_lines(frame: CanFrame, settings: Settings) -> list[str] | None:
    """The lines of a reply; None if auto formatting ignores it (protocol byte not valid)."""
    if not settings.auto_format or frame.is_remote:
        return [raw_line(frame, settings)]
    data = isotp_data(frame, settings)
    if not is_isotp(data):
        return None
    return [raw_line(frame, settings)] if settings.headers else message_lines(data, settings)


def monitor_lines(frame: CanFrame, settings: Settings) -> list[str]:
    """The lines of a monitored frame; what is no ISO-TP carries a mark under auto formatting."""
    lines = frame_lines(frame, settings)
    return [raw_line(frame, settings) + DATA_ERROR] if lines is None else lines
