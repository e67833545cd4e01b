"""How many bits a classical CAN frame takes on the wire, stuff bits counted exactly.

Source: ISO 11898-1:2015, 10.4 (frame formats), 10.4.2.6 (CRC-15), 10.5 (bit stuffing).
Stuffing covers everything from start of frame to the last bit of the CRC sequence.
"""

from __future__ import annotations

from functools import lru_cache

from sim.can.frame import CanFrame

CRC15_POLYNOMIAL = 0x4599
CRC15_MASK = 0x7FFF
STUFF_RUN = 5  # after five equal bits the transmitter inserts the opposite one

TAIL_BITS = 1 + 1 + 1 + 7  # CRC delimiter, ACK slot, ACK delimiter, end of frame: never stuffed
INTERFRAME_BITS = 3  # intermission: the bus is not free for the next frame before it has passed

# A stuffing state is (last bit, length of the run it ends): last * 5 + run - 1, runs of 1 to 5.
# Bus idle is recessive, but the run before the start of frame does not count: a state of its own.
_START = 10
_STATES = 11


def _stuff_step(state: int, bit: int) -> tuple[int, int]:
    """Take one bit; return the next state and the number of stuff bits (0 or 1) put after it."""
    last, run = divmod(state, STUFF_RUN)
    run = run + 2 if state != _START and bit == last else 1
    if run == STUFF_RUN:
        return (1 - bit) * STUFF_RUN, 1  # the stuff bit itself begins a new run
    return bit * STUFF_RUN + run - 1, 0


def _stuff_bits(state: int, value: int, width: int) -> tuple[int, int]:
    """Take `width` bits of `value`, highest first; return the next state and the stuff bits."""
    count = 0
    for shift in range(width - 1, -1, -1):
        state, more = _stuff_step(state, value >> shift & 1)
        count += more
    return state, count


def _stuff_table(width: int) -> list[list[tuple[int, int]]]:
    return [
        [_stuff_bits(state, value, width) for value in range(1 << width)]
        for state in range(_STATES)
    ]


def _crc_bits(crc: int, value: int, width: int) -> int:
    for shift in range(width - 1, -1, -1):
        feedback = (crc >> 14 ^ value >> shift) & 1
        crc = crc << 1 & CRC15_MASK
        if feedback:
            crc ^= CRC15_POLYNOMIAL
    return crc


_STUFF_8 = _stuff_table(8)
_STUFF_7 = _stuff_table(7)
_CRC_8 = [_crc_bits(0, value, 8) for value in range(256)]


@lru_cache(maxsize=4096)
def _header(
    arbitration_id: int, is_extended: bool, is_remote: bool, dlc: int
) -> tuple[int, int, int, int]:
    """Return (width, CRC, stuffing state, stuff bits) after start of frame up to the DLC."""
    rtr = int(is_remote)
    if is_extended:
        # SOF, base id, SRR, IDE, id extension, RTR, r1, r0, DLC
        value = (arbitration_id >> 18) << 2 | 0b11
        value = (value << 18 | arbitration_id & 0x3FFFF) << 7 | rtr << 6 | dlc
        width = 39
    else:
        value = arbitration_id << 7 | rtr << 6 | dlc  # SOF, id, RTR, IDE, r0, DLC
        width = 19
    state, count = _stuff_bits(_START, value, width)
    return width, _crc_bits(0, value, width), state, count


def crc15(data: bytes, crc: int = 0) -> int:
    """Return the CRC-15 of `data`, whose bits follow those that `crc` was made of."""
    for byte in data:
        crc = (crc << 8 & CRC15_MASK) ^ _CRC_8[crc >> 7 ^ byte]
    return crc


def frame_crc(frame: CanFrame) -> int:
    """Return the CRC sequence of `frame` (0-0x7FFF)."""
    header = _header(frame.arbitration_id, frame.is_extended, frame.is_remote, frame.dlc)
    return crc15(frame.data, header[1])


@lru_cache(maxsize=16384)
def _length(
    arbitration_id: int, is_extended: bool, is_remote: bool, data: bytes, requested_bytes: int
) -> int:
    dlc = requested_bytes if is_remote else len(data)
    width, crc, state, count = _header(arbitration_id, is_extended, is_remote, dlc)
    crc = crc15(data, crc)
    for byte in data:
        state, more = _STUFF_8[state][byte]
        count += more
    state, more = _STUFF_8[state][crc >> 7]
    count += more
    count += _STUFF_7[state][crc & 0x7F][1]
    return width + 8 * len(data) + 15 + count + TAIL_BITS


def bit_length(frame: CanFrame) -> int:
    """Return the bits of `frame` from start of frame to end of frame, intermission excluded."""
    return _length(
        frame.arbitration_id,
        frame.is_extended,
        frame.is_remote,
        frame.data,
        frame.requested_bytes,
    )
