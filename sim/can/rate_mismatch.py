"""What a controller reads of a frame that was sent at another bit rate.

Its samples lie where its own bits would have their sample point. Six equal ones are a stuff error.
Not modelled: resynchronisation on edges, clock tolerance.
"""

from __future__ import annotations

from sim.can.bit_length import STUFF_RUN
from sim.can.wire_bits import END_BITS, RECESSIVE, WireBits

SAMPLE_POINT = 0.8  # of a bit; ISO 15765-4 wants about 80 % at 500 kbit/s


def found_after_bits(bits: WireBits, rate_ratio: float) -> int:
    """Return how many bits of the sender have passed when the receiver finds an error.

    Args:
        bits: what was sent.
        rate_ratio: the receiver's bit rate divided by the sender's.

    Without a stuff error it finds a wrong CRC, which it tells after the ACK delimiter.
    """
    levels = bits.levels
    longest = len(levels) - END_BITS + 1
    run, last = 0, RECESSIVE
    sample = 0
    while True:
        index = int((sample + SAMPLE_POINT) / rate_ratio)
        if index >= longest:
            return longest
        level = levels[index]
        run = run + 1 if run and level == last else 1
        last = level
        if run > STUFF_RUN:
            return index + 1
        sample += 1
