"""A frame that wants the bus, or has it, and what is foreseen for it when it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from sim.can.collision import Contender, collide
from sim.can.error_frame import (
    FLAG_BITS,
    ErrorFrame,
    disturbed,
    foreign_flag,
    foreign_frame,
    missing_acknowledge,
)
from sim.can.faults import Disturbance, ErrorKind
from sim.can.frame import CanFrame
from sim.can.node import CanNode, LostCallback, SentCallback
from sim.can.rate_mismatch import found_after_bits
from sim.can.wire_bits import wire_bits


def arbitration_key(frame: CanFrame) -> int:
    """Return the frame's arbitration field as a number: the lower one wins the bus."""
    remote = int(frame.is_remote)
    if frame.is_extended:
        base, rest = frame.arbitration_id >> 18, frame.arbitration_id & 0x3FFFF
        return base << 21 | 0b11 << 19 | rest << 1 | remote  # SRR and IDE are recessive
    return frame.arbitration_id << 21 | remote << 20


class Transmission:
    """A frame on its way, through as many attempts as it takes.

    Attributes:
        sequence: age among the frames with the same identifier.
        abandoned: True once its node has given it up: not repeated after an error.
        asked: True once the faults were asked about the present attempt.
        disturbance: what they answered.
    """

    __slots__ = (
        "abandoned", "asked", "disturbance", "frame", "key", "node", "on_lost", "on_sent",
        "sequence",
    )  # fmt: skip

    def __init__(
        self,
        node: CanNode,
        frame: CanFrame,
        sequence: int,
        on_sent: SentCallback | None,
        on_lost: LostCallback | None,
    ) -> None:
        self.node = node
        self.frame = frame
        self.key = arbitration_key(frame)
        self.sequence = sequence
        self.on_sent = on_sent
        self.on_lost = on_lost
        self.abandoned = False
        self.asked = False
        self.disturbance: Disturbance | None = None


@dataclass(frozen=True, slots=True)
class Prospect:
    """What will become of an attempt.

    Attributes:
        senders: who send to the end: of the frame, or until it is destroyed; the first is named.
        silent: error-passive senders that fell silent in the middle.
        error: None if the frame passes.
    """

    senders: tuple[Transmission, ...]
    silent: tuple[Transmission, ...] = ()
    error: ErrorFrame | None = None


Ask = Callable[[Transmission], Disturbance | None]


def foresee(
    attempts: Sequence[Transmission], nodes: Sequence[CanNode], bitrate_bps: int, ask: Ask
) -> Prospect:
    """Return what becomes of `attempts`, which start in the same bit with the same identifier.

    Args:
        attempts: one, as a rule.
        nodes: all that hear it, the senders too.
        bitrate_bps: of the bus.
        ask: asks the faults about an attempt.
    """
    sending = {attempt.node for attempt in attempts}
    hearing = [node for node in nodes if node.takes_part and node not in sending]
    in_step = [node for node in hearing if node.bitrate_bps == bitrate_bps]
    active = any(not node.is_passive for node in in_step)
    going = tuple(attempts)
    silent: tuple[Transmission, ...] = ()
    errors: list[ErrorFrame] = []
    if len(attempts) > 1:
        contenders = [Contender(wire_bits(one.frame), not one.node.is_passive) for one in attempts]
        collision = collide(contenders, receivers_active=active)
        going = tuple(attempts[one] for one in collision.going)
        silent = tuple(attempts[one] for one in collision.silent)
        errors += [] if collision.error is None else [collision.error]
    leader = going[0]
    if not leader.node.has_bus_rate:
        return Prospect(going, silent, _out_of_step(leader, bitrate_bps, receivers_active=active))
    bits = wire_bits(leader.frame)
    disturbance = ask(leader)
    if disturbance is not None:
        errors.append(
            disturbed(
                disturbance,
                bits,
                transmitter_active=not leader.node.is_passive,
                receivers_active=active,
            )
        )
    for node in hearing:
        if node.bitrate_bps != bitrate_bps and not node.is_passive:
            ratio = node.bitrate_bps / bitrate_bps
            errors.append(foreign_flag(bits, found_after_bits(bits, ratio), ratio))
    if not in_step:
        errors.append(missing_acknowledge(bits))
    first = min(errors, key=lambda one: one.after_bits, default=None)
    return Prospect(going, silent, first)


def _out_of_step(attempt: Transmission, bitrate_bps: int, *, receivers_active: bool) -> ErrorFrame:
    """The error frame of a sender with another bit rate than the bus'."""
    bits = wire_bits(attempt.frame)
    ratio = attempt.node.bitrate_bps / bitrate_bps
    if not receivers_active:  # it is not interrupted, and not acknowledged
        return ErrorFrame(ErrorKind.ACK, ceil((bits.ack_slot + 1) / ratio), FLAG_BITS)
    after_bits = ceil(found_after_bits(bits, 1 / ratio) / ratio)
    return foreign_frame(after_bits, ratio, sender_active=not attempt.node.is_passive)
