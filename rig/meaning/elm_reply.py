"""What an ECU said, out of the lines in which an ELM327 tells it, however it is set to write them.

Headers may be on or off (AT H), spaces too (AT S), and frames whole or put together (AT CAF). An
adapter does not say how it is set: the form of a line tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ANSWER = 0x40
_HEX = re.compile(r"[0-9A-F]+")
_LENGTH_LINE = re.compile(r"[0-9A-F]{3}")
_NUMBERED = re.compile(r"[0-9A-F]:([0-9A-F]+)")
_LONG_HEADER = re.compile(r"18DA[0-9A-F]{4}")
_LONG_HEADER_CHARACTERS = 8
_SHORT_HEADER_CHARACTERS = 3
_OLD_HEADER_BYTES, _CHECKSUM_BYTES = 3, 1  # of ISO 9141-2, ISO 14230-4, J1850
_OLD_HEADERS = (b"\x48\x6b", b"\x41\x6b")  # of ISO 9141-2 and J1850 VPW, of J1850 PWM
_OLD_FORMAT = 0x80  # the first byte is at least this with ISO 14230-4
_MOST_CAN_BYTES = 8


def payloads(text: str) -> Iterator[bytes]:
    """Yield the payloads (0x41 …) in the lines of one reply, in the order of their first lines."""
    together: dict[str, bytearray] = {}
    lengths: dict[str, int] = {}
    for line in re.split(r"[\r\n>\x00]+", text.upper()):
        compact = line.replace(" ", "")
        if (part := _NUMBERED.fullmatch(compact)) is not None and "" in lengths:
            _extend(together, "", part[1])
        elif _HEX.fullmatch(compact) is None:
            continue
        elif _LENGTH_LINE.fullmatch(compact) is not None:
            lengths[""] = int(compact, 16)  # "014", then "0: 49 02 …"
            together[""] = bytearray()
        else:
            _take(compact, together, lengths)
    for sender, data in together.items():
        payload = bytes(data[: lengths[sender]])
        if len(payload) == lengths[sender] and payload and payload[0] >= ANSWER:
            yield payload


def _take(line: str, together: dict[str, bytearray], lengths: dict[str, int]) -> None:
    """Take a line that carries one frame, or one payload without its header."""
    if len(line) % 2:
        header = line[:_SHORT_HEADER_CHARACTERS]
    elif _LONG_HEADER.match(line) is not None:
        header = line[:_LONG_HEADER_CHARACTERS]
    else:
        data = bytes.fromhex(line)
        if data[:2] in _OLD_HEADERS or not ANSWER <= data[0] < _OLD_FORMAT:
            data = data[_OLD_HEADER_BYTES:-_CHECKSUM_BYTES]
        key = f"line {len(together)}"
        together[key], lengths[key] = bytearray(data), len(data)
        return
    frame = bytes.fromhex(line[len(header) :])
    if not 1 <= len(frame) <= _MOST_CAN_BYTES:
        return
    kind = frame[0] >> 4
    if kind == 0:  # a single frame
        together[header], lengths[header] = bytearray(frame[1:]), frame[0] & 15
    elif kind == 1 and len(frame) > 2:  # the first of several
        together[header] = bytearray(frame[2:])
        lengths[header] = (frame[0] & 15) << 8 | frame[1]
    elif kind == 2 and header in lengths:
        together[header] += frame[1:]


def _extend(together: dict[str, bytearray], key: str, digits: str) -> None:
    if len(digits) % 2 == 0:
        together[key] += bytes.fromhex(digits)
