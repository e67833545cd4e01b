"""Whose bytes these are: what a device on a serial line says of itself, by the form of its words.

Pure: it is given bytes and asks nobody. `rig.bench.handshake` makes devices speak.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.links.nmea_lines import SentenceSplitter, has_checksum
from server.mesh.radio.framing import WAKE, FrameReader
from server.mesh.radio.framing import frame as mesh_frame
from server.wire import frame as board_frame

_WANT_CONFIG = bytes([3 << 3, 77])  # ToRadio.want_config_id = 77 (meshtastic/mesh.proto)
_UBX = re.compile(rb"\xb5\x62(..)(..)", re.DOTALL)
_ELM = re.compile(rb"(ELM327|STN\d{4}|OBDLink|vLinker|OBDII)[^\r\n>]*")
_PROMPT = re.compile(rb"[\x20-\x3d\x3f-\x7e][\r\n]+>(?!>)")  # not the ">>>" of a Python
_SLCAN = re.compile(
    rb"[Vv][0-9A-Fa-f]{4}\r|[^\r\n]*(?:canable|slcan)[^\r\n]*\r|^[\r\x07]*\x07[\r\x07]*$"
)
"""A version as Lawicel's, or one that names its firmware, or nothing but refusals (BEL)."""
_ASKS_ELM = re.compile(rb"(AT ?(Z|I|E[01]|L0|H[01]|SP|DP|RV|D|WS)|01[0-9A-F]{2})[0-9A-F]?\r")


@dataclass(frozen=True, slots=True)
class Voice:
    """A kind of device, by what it says.

    Attributes:
        name: "elm327", "nmea", "meshtastic", "board", "slcan", "ubx" or "client".
        what: "an ELM327", for sentences.
        link: the link at which such a device belongs; "": at none.
        ask: what makes it speak; b"": it speaks by itself.
        window_s: how long it may take to say something.
    """

    name: str
    what: str
    link: str
    ask: bytes = b""
    window_s: float = 1.0


ELM327 = Voice("elm327", "an ELM327", "obd", b"ATI\r", 3.0)
NMEA = Voice("nmea", "NMEA sentences of a GPS receiver", "gps", b"", 2.5)
UBX = Voice("ubx", "UBX messages of a u-blox receiver that says no NMEA", "gps", b"", 2.5)
MESHTASTIC = Voice("meshtastic", "a Meshtastic radio", "mesh", WAKE + mesh_frame(_WANT_CONFIG), 5.0)
BOARD = Voice("board", "an edge logger", "esp32", board_frame.hello("bench"), 6.0)
SLCAN = Voice("slcan", "an slcan adapter", "can", b"\r\rV\r", 3.0)
CLIENT = Voice("client", "a program that asks an ELM327", "")

VOICES: tuple[Voice, ...] = (ELM327, NMEA, SLCAN, BOARD, MESHTASTIC)
"""What is made to speak, in this order; what comes first disturbs the others least."""


def recognise(data: bytes, *, asked: bool = True) -> Voice | None:
    """Return who says such bytes; None: nobody that is known.

    Args:
        data: what was heard, from the first byte on.
        asked: whether we have asked; else commands in it are not the echo of ours.
    """
    if sentences(data):
        return NMEA
    if board_frame.Decoder().feed(data):
        return BOARD
    if _has_ubx(data):
        return UBX
    if _has_radio(data):
        return MESHTASTIC
    if not asked:
        return CLIENT if _ASKS_ELM.search(data) else None
    if _ELM.search(data) or _PROMPT.search(data):
        return ELM327
    return SLCAN if _SLCAN.search(data) else None


def sentences(data: bytes) -> list[bytes]:
    """Return the NMEA sentences whose checksum is right."""
    return [found for found in SentenceSplitter().feed(data) if has_checksum(found)]


def is_noise(data: bytes) -> bool:
    """True for bytes that no text and no protocol explains: those of another baud rate."""
    strange = sum(1 for byte in data if byte >= 0x7F or (byte < 0x20 and byte not in b"\r\n\t\0\7"))
    return strange >= 3 and strange * 4 >= len(data)


def _has_ubx(data: bytes) -> bool:
    """True if a UBX message with its checksum is there (u-blox protocol specification, 32.2)."""
    for match in _UBX.finditer(data):
        size = int.from_bytes(match[2], "little")
        body = data[match.start() + 2 : match.end() + size]
        check = data[match.end() + size : match.end() + size + 2]
        if len(body) == 4 + size and check == ubx_checksum(body):
            return True
    return False


def ubx_checksum(body: bytes) -> bytes:
    """8-bit Fletcher over class, id, length and payload."""
    first = second = 0
    for byte in body:
        first = (first + byte) & 0xFF
        second = (second + first) & 0xFF
    return bytes((first, second))


def _has_radio(data: bytes) -> bool:
    reader = FrameReader(_is_message)
    reader.feed(data)
    return reader.frames > 0


def _is_message(data: bytes) -> bool:
    """True for a FromRadio: fields 1 to 20, each whole, to the last byte."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if not 1 <= tag >> 3 <= 20 or tag & 7 not in (0, 2):
            return False
        value, at = _varint(data, at)
        if tag & 7:
            at += value
    return at == len(data) > 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return 0, len(data) + 1
