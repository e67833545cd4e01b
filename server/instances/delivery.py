"""What is done with a turn when it is its turn: shown to clients, given to rules, or told as a gap.

A turn that cannot be read is left out, counted and said; it keeps no other one out.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from server.clock import Clock
from server.instances.in_order import Hole
from server.instances.listening import Owner
from server.instances.shard import shard_of
from server.instances.told import Told
from server.live.hub import Hub
from server.store.body import decode_places
from server.store.connection import first_line

log = structlog.get_logger("telerig.instances")

PUBLISHED_READINGS = 1000
"""Readings in one frame of the live stream."""
SAID_EVERY_S = 10.0


class FeedCounts(msgspec.Struct):
    """What the feed has done since the start.

    Attributes:
        delivered: turns handed on.
        own: of these, committed here.
        repaired: of these, read from the database.
        skipped: turns that nobody could be given any more.
        bad: messages and rows that could not be read.
        catch_ups: comparisons of all heads.
    """

    delivered: int = 0
    own: int = 0
    repaired: int = 0
    skipped: int = 0
    bad: int = 0
    catch_ups: int = 0


class Delivery:
    """Hands on turns that come in order.

    Args:
        hub: the live stream of this gateway.
        leases: which shards are owned here.
        clock: for instants.
        device: the gateway's own, whose readings the hub has already.

    Attributes:
        counts: since the start.
        on_turn: called with each turn of a shard that is owned; never block.
    """

    def __init__(self, hub: Hub, leases: Owner, clock: Clock, device: str) -> None:
        self.counts = FeedCounts()
        self.on_turn: list[Callable[[Told], None]] = []
        self._hub = hub
        self._leases = leases
        self._clock = clock
        self._device = device
        self._said_s = float("-inf")

    def deliver(self, turn: Told) -> None:
        """Hand on a turn."""
        self.counts.delivered += 1
        try:
            # The readings of its own links the hub has had when they were read.
            is_new = turn.device != self._device and not turn.is_old
            if is_new and self._hub.wants_devices:
                self._show(turn)
            if self.on_turn and shard_of(turn.device) in self._leases.held:
                for take in self.on_turn:
                    take(turn)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is counted and said)
            # What cannot be read of one device must not keep out the others.
            self.left_out(f"turn {turn.turn} of {turn.device} boot {turn.boot}", error)

    def lost(self, hole: Hole, before: Told | None, after: Told | None) -> None:
        """Tell clients what nobody can be given any more, and where it is: between these turns."""
        self.counts.skipped += hole.last - hole.first + 1
        log.warning(
            "turns not handed on",
            device=hole.device,
            boot=hole.boot,
            first=hole.first,
            last=hole.last,
            reason="they are compacted already",
        )
        if hole.device != self._device:
            self._hub.hole(
                hole.device,
                hole.boot,
                before.stored_ns if before is not None else None,
                after.stored_ns if after is not None else self._clock.now_ns(),
            )

    def left_out(self, what: str, error: Exception) -> None:
        """Count what cannot be read, and say it now and then."""
        self.counts.bad += 1
        now_s = self._clock.monotonic_s()
        if now_s - self._said_s >= SAID_EVERY_S:
            self._said_s = now_s
            log.error("left out", what=what, reason=first_line(error), all=self.counts.bad)

    def _show(self, turn: Told) -> None:
        for seq_first, body in turn.rows or ():
            rows = [(seq_first + place, reading) for place, reading in decode_places(body)]
            for begin in range(0, len(rows), PUBLISHED_READINGS):
                part = rows[begin : begin + PUBLISHED_READINGS]
                self._hub.device_readings(turn.device, turn.boot, part, turn.stored_ns)
