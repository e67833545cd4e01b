"""A UART that listens at another rate than the sender's: the bits on the wire, sampled anew.

The line is high when idle; a character is a start bit (low), eight bits with the lowest first, and
a stop bit (high). A receiver runs at 16 times its own rate: it finds an edge to low, looks again
half a bit later, and then once in the middle of each bit. Source: PC16550D data sheet.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.faults.bytestream import Pieces, installed
from rig.faults.strike import End, Strike
from sim.serial_line import SerialLine

_Low = Callable[[float], bool]

DATA_BITS = 8
OVERSAMPLING = 16


def baud_mismatch(strike: Strike) -> End:
    """Deliver what a UART at another rate would make of the bits on the wire.

    Characters with a bad stop bit are delivered as they were read, as Linux does without INPCK; a
    line that stays low is a break: one NUL.
    """
    return installed(strike, _Resampling(strike.line, strike.fault.number("rate_baud")))


class _Resampling:
    """Reads each transmission at another rate, in the time that it takes."""

    keeps_time = True

    def __init__(self, line: SerialLine, rate_bps: float) -> None:
        self._line = line
        self._rate_bps = rate_bps

    def __call__(self, data: bytes) -> Pieces:
        heard = resampled(data, self._line.baud, self._rate_bps)
        return [(0.0, heard)] if heard else []


def resampled(data: bytes, sent_bps: float, heard_bps: float) -> bytes:
    """Return what a receiver at `heard_bps` reads of `data`, sent at `sent_bps` without a pause."""
    if sent_bps == heard_bps:
        return data
    levels = _levels(data)
    bits_per_tick = sent_bps / (heard_bps * OVERSAMPLING)
    end = len(levels)

    def low_at(tick: float) -> bool:
        bit = int(tick * bits_per_tick)
        return bit < end and not levels[bit]

    out = bytearray()
    tick = 0
    last_tick = int(end / bits_per_tick) + 1
    while tick <= last_tick:
        if not low_at(tick):
            tick = _next_low(levels, tick, bits_per_tick)
            continue
        middle = tick + OVERSAMPLING // 2
        if not low_at(middle):
            tick += 1  # a spike
            continue
        tick = _read(out, low_at, middle)
    return bytes(out)


def _read(out: bytearray, low_at: _Low, middle: int) -> int:
    """Read one character whose start bit has its middle at that tick; return where to go on."""
    while True:
        value = 0
        for bit in range(DATA_BITS):
            if not low_at(middle + (bit + 1) * OVERSAMPLING):
                value |= 1 << bit
        out.append(value)
        stop = middle + (DATA_BITS + 1) * OVERSAMPLING
        if not low_at(stop):
            return stop
        if not value:
            while low_at(stop):  # a break: the next start bit needs a high level before it
                stop += 1
            return stop
        # The receiver takes a bad stop bit for the start bit of the next character.
        middle = stop


def _levels(data: bytes) -> list[bool]:
    """Return the levels of the bits on the wire."""
    levels: list[bool] = []
    for byte in data:
        levels.append(False)
        levels.extend(bool(byte >> bit & 1) for bit in range(DATA_BITS))
        levels.append(True)
    return levels


def _next_low(levels: list[bool], tick: int, bits_per_tick: float) -> int:
    """Return the first tick at which the receiver sees the next bit that is low."""
    bit = int(tick * bits_per_tick)
    while bit < len(levels) and levels[bit]:
        bit += 1
    found = int(bit / bits_per_tick)
    while int(found * bits_per_tick) < bit:
        found += 1
    return max(found, tick + 1)
