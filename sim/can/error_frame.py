"""Where an error is found in a frame, and how long the error frame is that follows.

An error frame is the superposed error flags of all nodes, 6 to 12 bits, and a delimiter of 8
recessive bits. A node that is error active sends six dominant bits; they break the rule of bit
stuffing, so that the others find an error after six equal bits at the latest and send theirs. The
flag of an error-passive node is recessive: only a transmitter's is noticed, as it stops sending.

Source: ISO 11898-1:2015, 10.4.4 (error frame), 10.11 (error signalling), 12.1.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.can.confinement import FIRST_RECEIVER_PENALTY, TRANSMIT_PENALTY
from sim.can.faults import Disturbance, ErrorKind
from sim.can.wire_bits import DOMINANT, RECESSIVE, WireBits

FLAG_BITS = 6
DELIMITER_BITS = 8
SUSPEND_BITS = 8  # an error-passive node's pause after an own frame, past the intermission
TOLERATED_DOMINANT_BITS = 8  # after an own flag; each further 8 count like another error


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """What became of a transmission that failed.

    Attributes:
        kind: the error.
        after_bits: bits of the frame that had passed when it was found; the flag comes next.
        flag_bits: the superposed flags.
        late_bits: dominant bits that the other nodes saw after their own flag, because the flag of
            a node with a lower bit rate outlasts theirs.
        spares_transmitter: True where the standard lets the transmit counter stand: a recessive
            stuff bit of the arbitration field that was read dominant.
        finder_penalty: what the receiver that found it alone has to add to its counter, as it saw
            the others' flags after its own.
    """

    kind: ErrorKind
    after_bits: int
    flag_bits: int
    late_bits: int = 0
    finder_penalty: int = 0
    spares_transmitter: bool = False

    @property
    def bits(self) -> int:
        """All that it took of the wire, intermission excluded."""
        return self.after_bits + self.flag_bits + DELIMITER_BITS

    @property
    def late_penalty(self) -> int:
        """What `late_bits` add to the counters of transmitters and receivers alike."""
        return TRANSMIT_PENALTY * (self.late_bits // TOLERATED_DOMINANT_BITS)

    @property
    def late_receiver_penalty(self) -> int:
        """What the first of `late_bits` adds to the receivers' counters."""
        return FIRST_RECEIVER_PENALTY if self.late_bits else 0


def usual_place(kind: ErrorKind, bits: WireBits) -> int:
    """Return the number of bits that have passed when an error of `kind` is found.

    Bit and stuff errors are found between arbitration and CRC delimiter: half-way, and with the
    first stuff bit there. A CRC error leaves the ACK slot recessive, so the transmitter finds that.
    """
    half_way = (bits.arbitration_bits + bits.crc_delimiter) // 2
    if kind is ErrorKind.BIT:
        return half_way + 1
    if kind is ErrorKind.STUFF:
        stuffed = (place for place in bits.stuff_places if place >= bits.arbitration_bits)
        return next(stuffed, half_way) + 1
    if kind is ErrorKind.FORM:
        return bits.crc_delimiter + 1
    return bits.ack_slot + 1


def flag_after_bit_error(
    bits: WireBits, after_bits: int, *, transmitter_active: bool, receivers_active: bool
) -> int:
    """Return the flag's length when the transmitter alone reads another level than it sent.

    The receivers follow when they have seen six equal bits, those of the frame included.
    """
    if not receivers_active:
        return FLAG_BITS
    index = after_bits - 1
    on_wire = 1 - bits.levels[index]
    level = DOMINANT if transmitter_active else RECESSIVE
    run = bits.run_before(index, level) + 1 if on_wire == level else 0
    return FLAG_BITS + max(0, FLAG_BITS - run)


def disturbed(
    disturbance: Disturbance, bits: WireBits, *, transmitter_active: bool, receivers_active: bool
) -> ErrorFrame:
    """Return the error frame that a fault on the wire causes."""
    kind = disturbance.kind
    after_bits = disturbance.after_bits
    if after_bits is None:
        after_bits = usual_place(kind, bits)
    after_bits = max(1, min(after_bits, len(bits.levels)))
    if kind is ErrorKind.BIT:
        flag_bits = flag_after_bit_error(
            bits,
            after_bits,
            transmitter_active=transmitter_active,
            receivers_active=receivers_active,
        )
    elif kind is ErrorKind.CRC and receivers_active:
        # The transmitter's flag begins a bit before theirs: nobody acknowledged.
        flag_bits = FLAG_BITS + 1
    else:
        flag_bits = FLAG_BITS  # all find it in the same bit
    index = after_bits - 1
    spared = (
        kind is ErrorKind.STUFF
        and after_bits <= bits.arbitration_bits
        and index in bits.stuff_places
        and bits.levels[index] == RECESSIVE
    )
    return ErrorFrame(kind, after_bits, flag_bits, spares_transmitter=spared)


def missing_acknowledge(bits: WireBits) -> ErrorFrame:
    """Return the error frame of a transmitter that nobody hears."""
    return ErrorFrame(ErrorKind.ACK, bits.ack_slot + 1, FLAG_BITS)


def foreign_flag(bits: WireBits, after_bits: int, rate_ratio: float) -> ErrorFrame:
    """Return the error frame that a receiver with another bit rate causes.

    Args:
        bits: the frame that it takes for a broken one.
        after_bits: bits that have passed when it does.
        rate_ratio: its bit rate divided by that of the bus.
    """
    own = math.ceil(FLAG_BITS / rate_ratio)
    others = 2 * FLAG_BITS - min(FLAG_BITS - 1, bits.run_before(after_bits, DOMINANT))
    flag_bits = max(own, others)
    return ErrorFrame(
        ErrorKind.BIT,
        after_bits,
        flag_bits,
        late_bits=flag_bits - others,
        finder_penalty=FIRST_RECEIVER_PENALTY if others > own else 0,
    )


def foreign_frame(after_bits: int, rate_ratio: float, *, sender_active: bool) -> ErrorFrame:
    """Return the error frame that a transmitter with another bit rate causes.

    Its bits are read wrongly; it finds the others' flag with its next bit, and flags in its turn.
    """
    own = math.ceil((FLAG_BITS + 1) / rate_ratio) if sender_active else 0
    flag_bits = max(FLAG_BITS, own)
    return ErrorFrame(ErrorKind.STUFF, after_bits, flag_bits, late_bits=flag_bits - FLAG_BITS)
