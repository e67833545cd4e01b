"""Packets until the base has them."""

from __future__ import annotations

from server.mesh.uplink.outbox import SETTLE_S, Outbox
from server.wire.air import MOST_BACK, Ack


def ack(next: int, *seen: int) -> Ack:
    """Make an acknowledgement: all below `next`, and these."""
    return Ack(1, 2, 0, next, sum(1 << (seq - next - 1) for seq in seen))


def filled(count: int, *, sent_s: float | None = 0.0) -> Outbox:
    """Make an outbox with so many packets, all sent at once."""
    outbox = Outbox()
    for seq in range(count):
        outbox.put(seq, bytes((seq,)))
        kept = outbox.get(seq)
        assert kept is not None
        if sent_s is not None:
            outbox.sent(kept, sent_s)
    return outbox


def test_the_newest_goes_before_older_ones() -> None:
    """Where the car is now matters most; an alarm before that."""
    outbox = filled(3, sent_s=None)
    fresh = outbox.fresh()
    assert fresh is not None
    assert fresh.seq == 2
    outbox.put(3, b"alarm", is_urgent=True)
    outbox.put(4, b"later")
    urgent = outbox.fresh()
    assert urgent is not None
    assert urgent.seq == 3


def test_what_an_acknowledgement_lacks_comes_again_oldest_first() -> None:
    """Only what was sent long enough before it, so that it could be in it."""
    outbox = filled(5)
    assert outbox.acknowledged(ack(1, 3), SETTLE_S - 1) == 2
    assert outbox.lost() is None
    outbox.acknowledged(ack(1, 3), SETTLE_S)
    lost = outbox.lost()
    assert lost is not None
    assert lost.seq == 1
    outbox.sent(lost, SETTLE_S)
    second = outbox.lost()
    assert second is not None
    assert second.seq == 2
    assert outbox.back(4) == 3


def test_what_an_acknowledgement_cannot_name_is_not_taken_for_lost() -> None:
    """It has room for the 32 numbers behind the first gap."""
    outbox = filled(60)
    outbox.acknowledged(ack(0, *range(1, 33)), 100.0)
    first = outbox.lost()
    assert first is not None
    assert first.seq == 0
    outbox.sent(first, 100.0)
    assert outbox.lost() is None
    assert len(outbox) == 28


def test_the_oldest_is_given_up_beyond_what_back_can_say() -> None:
    """128 numbers at most; the counter says how many were lost for good."""
    outbox = filled(MOST_BACK + 1)
    assert (len(outbox), outbox.given_up, outbox.fill) == (MOST_BACK + 1, 0, 1.0)
    outbox.put(MOST_BACK + 1, b"")
    assert (len(outbox), outbox.given_up) == (MOST_BACK + 1, 1)
    assert outbox.back(MOST_BACK + 1) == MOST_BACK


def test_an_acknowledgement_again_changes_nothing() -> None:
    """Replayed, or late and older than the last one."""
    outbox = filled(10)
    outbox.acknowledged(ack(8), SETTLE_S - 1)
    assert outbox.acknowledged(ack(8), SETTLE_S - 1) == 0
    assert outbox.acknowledged(ack(2, 4), 100.0) == 0
    assert (outbox.acked, len(outbox), outbox.lost()) == (8, 2, None)
    outbox.acknowledged(ack(8), 101.0)
    assert outbox.lost() is not None
