"""What is kept of a boot: which packets are done with, and the form in the database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import StoreError
from server.ingest.uplink_state import ABOVE_LIMIT, SEQ_LIMIT, Acks, TimeBase, UplinkState
from tests.server.ingest.logger import Logger


@given(st.lists(st.integers(0, 40), max_size=60))
def test_acks_are_a_set_of_numbers(seqs: list[int]) -> None:
    """Exactly the packets that were added are done with; `ack` is the first that is missing."""
    acks, known = Acks(), set()
    for seq in seqs:
        assert acks.add(seq) == (seq not in known)
        known.add(seq)
    assert {seq for seq in range(50) if seq in acks} == known
    assert acks.ack == min(set(range(50)) - known)
    assert acks.above == sorted(seq for seq in known if seq > acks.ack)
    again = Acks(acks.ack, acks.above)
    assert {seq for seq in range(50) if seq in again} == known


def test_acks_are_bounded() -> None:
    """A device whose packets all lie beyond a missing one has given that up."""
    acks = Acks()
    for seq in range(10, 10 + ABOVE_LIMIT):
        acks.add(seq)
    assert acks.ack == 0
    acks.add(10 + ABOVE_LIMIT)
    assert acks.ack == 11 + ABOVE_LIMIT
    assert acks.above == []
    assert not acks.add(SEQ_LIMIT)
    assert not acks.add(-1)


def test_a_state_survives() -> None:
    """A state that was saved goes on as it was: profile, packets, time base, decoder."""
    logger = Logger(3)
    state = UplinkState(3)
    assert state.use(logger.profile)
    assert not state.use(logger.profile)
    state.base = TimeBase(7, 8, 1)
    assert state.decoder is not None
    for packet in logger.drive(100):
        decoded = state.decoder.decode(packet)
        state.decoder.commit(decoded)
        state.acks.add(decoded.seq)
    saved = state.save()
    assert UplinkState.profile_hash(saved) == logger.profile.hash
    again = UplinkState(3)
    again.restore(saved, logger.profile)
    assert again.save() == saved
    without = UplinkState(3)
    without.restore(saved, None)
    assert without.acks.ack == state.acks.ack
    assert without.profile is None


def test_a_damaged_state_is_told() -> None:
    """Bytes that are no state, or one of a later version, are refused in one line."""
    for saved in (b"", b"\x93\x01", b"\x96\x02\xc4\x00\x00\x90\xc0\xc4\x00"):
        with pytest.raises(StoreError, match="state of an uplink"):
            UplinkState.profile_hash(saved)
    logger = Logger(3)
    state = UplinkState(3)
    state.use(logger.profile)
    damaged = state.save()[:-2] + b"\xc4\x01\xff"
    with pytest.raises(StoreError, match="device_boots"):
        UplinkState(3).restore(damaged, logger.profile)
