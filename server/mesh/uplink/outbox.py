"""Packets until the base has them: 128 numbers at most, from the oldest unconfirmed to the newest.

What was never sent goes first, the newest before the others: where the car is now matters most.
What the base lacks comes again oldest first, because an acknowledgement names only the 33 numbers
that follow the first gap. Beyond 128 numbers the oldest is given up; the base learns it by `back`.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.wire.air import MOST_BACK, SEEN_BITS, Ack

SETTLE_S = 20.0
"""A packet that was sent this long before an acknowledgement, and is not in it, is lost."""


@dataclass(slots=True)
class Kept:
    """A packet that is not confirmed.

    Attributes:
        sent_s: when the radio got it last; None: never, or it did not send it.
        is_lost: whether the base says that it is missing.
        is_urgent: whether an alarm is in it.
    """

    seq: int
    packet: bytes
    is_urgent: bool = False
    sent_s: float | None = None
    is_lost: bool = False


class Outbox:
    """The packets of one stream.

    Attributes:
        acked: packets that the base has said it has.
        given_up: packets that nobody will get.
    """

    def __init__(self) -> None:
        self.acked = 0
        self.given_up = 0
        self._kept: dict[int, Kept] = {}  # in the order of their numbers
        self._newest = -1
        self._next = 0  # as the base said last

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def fill(self) -> float:
        """How much of the numbers is taken: 1 is the most."""
        if not self._kept:
            return 0.0
        return (max(self._kept) - min(self._kept) + 1) / (MOST_BACK + 1)

    def put(self, seq: int, packet: bytes, *, is_urgent: bool = False) -> None:
        """Keep a new packet; give up what is too old beside it."""
        for old in [old for old in self._kept if seq - old > MOST_BACK]:
            self.give_up(old)
        self._newest = seq
        self._kept[seq] = Kept(seq, packet, is_urgent)

    def get(self, seq: int) -> Kept | None:
        """Give a packet that is still kept."""
        return self._kept.get(seq)

    def give_up(self, seq: int) -> None:
        """Forget a packet that was never confirmed."""
        if self._kept.pop(seq, None) is not None:
            self.given_up += 1

    def lose(self, seq: int) -> None:
        """Mark a packet as one that nobody has heard, if it is still kept."""
        kept = self._kept.get(seq)
        if kept is not None:
            kept.is_lost = True

    def back(self, seq: int) -> int:
        """How many numbers before this one's the oldest lies that may still come."""
        return max(0, seq - min(self._kept, default=seq))

    def fresh(self) -> Kept | None:
        """Give the next packet that was never sent: urgent ones first, then the newest."""
        unsent = [kept for kept in self._kept.values() if kept.sent_s is None]
        return max(unsent, key=lambda kept: (kept.is_urgent, kept.seq), default=None)

    def lost(self) -> Kept | None:
        """Give the oldest packet that the base lacks."""
        return next(
            (kept for kept in self._kept.values() if kept.is_lost and kept.sent_s is not None), None
        )

    def is_backlog(self, kept: Kept) -> bool:
        """Tell whether a newer packet was made: it waits for airtime that nothing new needs."""
        return kept.seq != self._newest

    def has_backlog(self) -> bool:
        """Tell whether anything waits beside the newest packet, for the first time or again."""
        return any(
            kept.is_lost or (kept.sent_s is None and self.is_backlog(kept))
            for kept in self._kept.values()
        )

    def sent(self, kept: Kept, now_s: float) -> None:
        """Note that the radio has it."""
        kept.sent_s = now_s
        kept.is_lost = False

    def acknowledged(self, ack: Ack, now_s: float) -> int:
        """Let go of what the base has, mark what it lacks; give how many it has now."""
        done = [seq for seq in self._kept if ack.has(seq)]
        for seq in done:
            del self._kept[seq]
        self.acked += len(done)
        if ack.next < self._next:
            return len(done)  # older than the last one: it says nothing of what is lost since
        self._next = ack.next
        for kept in self._kept.values():
            if kept.sent_s is None or kept.seq - ack.next > SEEN_BITS:
                continue
            if now_s - kept.sent_s >= SETTLE_S:
                kept.is_lost = True
        return len(done)
