"""How frames and numbers stand in the protocol's text.

Source: linux-can/socketcand, doc/protocol.md and src/state_{raw,bcm,isotp}.c. The daemon reads
numbers by `sscanf`, so their length does not matter, except that of an identifier: eight
characters are a 29 bit one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sim.can.frame import CanFrame

EXTENDED_DIGITS = 8
REMOTE_FLAG = 0x40000000  # of linux/can.h; a client may write it into an identifier of 8 digits
ERROR_FLAG = 0x20000000
MOST_BYTES = 8
_HEADS: dict[int, str] = {}
_MOST_HEADS = 4096


def stamp_text(time_us: int) -> str:
    """Return an instant, in microseconds since 1970, with the space behind it."""
    seconds, us = divmod(time_us, 1_000_000)
    return f"{seconds}.{us:06d} "


def raw_text(frame: CanFrame, stamp: str) -> str:
    """Return a received frame as raw mode gives it; `stamp` is of `stamp_text`."""
    if frame.is_remote:
        return f"< rtr {_id_text(frame)} {stamp}{frame.dlc} >"
    key = frame.arbitration_id << 1 | frame.is_extended
    head = _HEADS.get(key) or _head(key, frame)
    return f"{head}{stamp}{frame.data.hex().upper()} >"


def bcm_text(frame: CanFrame, stamp: str) -> str:
    """Return a received frame as BCM mode gives it: a space behind each byte."""
    data = "".join(f"{byte:02X} " for byte in frame.data)
    return f"< frame {_id_text(frame)} {stamp}{data} >"


def error_text(error_class: int, stamp: str) -> str:
    """Return an error frame: its class, and none of its data."""
    return f"< error {error_class:03X} {stamp}>"


def pdu_text(payload: bytes, stamp: str) -> str:
    """Return a message that came by ISO-TP."""
    return f"< pdu {stamp}{payload.hex().upper()} >"


def read_id(word: str) -> tuple[int, bool, bool]:
    """Return (identifier, is extended, is remote).

    Raises:
        ValueError: no identifier, or an error frame's.
    """
    value = int(word, 16)
    if not 0 <= value <= 0xFFFFFFFF or value & ERROR_FLAG:
        raise ValueError(f"expected an identifier, found {word!r}")
    is_extended = len(word) == EXTENDED_DIGITS
    mask = 0x1FFFFFFF if is_extended else 0x7FF
    return value & mask, is_extended, bool(value & REMOTE_FLAG)


@lru_cache(maxsize=_MOST_HEADS)  # clients ask the same things again and again
def read_send(command: str) -> CanFrame:
    """Return the frame of `< send id dlc byte… >`.

    Raises:
        ValueError, IndexError: it is none.
    """
    return read_frame(command[1:-1].split()[1:])


@lru_cache(maxsize=_MOST_HEADS)
def read_one_send(data: bytes) -> CanFrame | None:
    """Return the frame if `data` is one send command that can be read, and nothing else."""
    if data.startswith(b"< send ") and data.find(b">") == len(data) - 1:
        try:
            return read_send(data.decode("ascii", "replace"))
        except (ValueError, IndexError):
            pass
    return None


def read_frame(words: Sequence[str]) -> CanFrame:
    """Return the frame of `id dlc byte…`.

    Raises:
        ValueError: it is none.
    """
    arbitration_id, is_extended, is_remote = read_id(words[0])
    if int(words[1]) != len(words) - 2 or len(words) > MOST_BYTES + 2:
        raise ValueError(f"expected {words[1]} bytes, at most {MOST_BYTES}; found {words[2:]}")
    if is_remote:
        return CanFrame(arbitration_id, b"", is_extended, True, int(words[1]))
    data = bytes([int(word, 16) & 0xFF for word in words[2:]])
    return CanFrame(arbitration_id, data, is_extended)


def read_remote_frame(words: Sequence[str]) -> CanFrame:
    """Return the remote frame of `id dlc`.

    Raises:
        ValueError: it is none.
    """
    arbitration_id, is_extended, _is_remote = read_id(words[0])
    if len(words) != 2 or not 0 <= int(words[1]) <= MOST_BYTES:
        raise ValueError(f"expected an identifier and 0-{MOST_BYTES}, found {words}")
    return CanFrame(arbitration_id, b"", is_extended, True, int(words[1]))


def _id_text(frame: CanFrame) -> str:
    return f"{frame.arbitration_id:08X}" if frame.is_extended else f"{frame.arbitration_id:03X}"


def _head(key: int, frame: CanFrame) -> str:
    if len(_HEADS) >= _MOST_HEADS:
        _HEADS.clear()
    head = _HEADS[key] = f"< frame {_id_text(frame)} "
    return head
