"""Uplinks are decoded in the order of their coming, and those that would be late are sent away."""

from __future__ import annotations

import contextlib

import pytest

from server.errors import StoreFull
from server.ingest.decoding import ALWAYS_TAKEN, LONGEST_WAIT_S, Decoding


class _Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ns(self) -> int:
        return round(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s


def _work(decoding: Decoding, clock: _Clock, count: int, each_s: float) -> None:
    """Let `count` uplinks in at once; one is done each `each_s`."""
    with contextlib.ExitStack() as first:
        others = [contextlib.ExitStack() for _ in range(count - 1)]
        for stack in (first, *others):
            stack.enter_context(decoding.let_in())
        for stack in others:
            clock.now_s += each_s
            stack.close()
        clock.now_s += each_s


def _fill(decoding: Decoding, held: contextlib.ExitStack, most: int) -> int:
    """Let in as many as there is room for, `most` at the most."""
    for count in range(most):
        try:
            held.enter_context(decoding.let_in())
        except StoreFull:
            return count
    return most


@pytest.mark.parametrize(("each_s", "room"), [(0.005, 1000), (0.025, 200), (1.0, ALWAYS_TAKEN)])
def test_as_many_are_let_in_as_are_done_in_time(each_s: float, room: int) -> None:
    """The slower uplinks are done, the fewer may wait; a few always may."""
    clock = _Clock()
    decoding = Decoding(clock)
    for _ in range(8):
        _work(decoding, clock, ALWAYS_TAKEN, each_s)
    with contextlib.ExitStack() as held:
        found = _fill(decoding, held, 2 * room)
        assert found == pytest.approx(max(room, LONGEST_WAIT_S / each_s), rel=0.02)
        with pytest.raises(StoreFull, match="uplinks are under way") as refused:
            held.enter_context(decoding.let_in())
        assert not refused.value.one_device  # 503, not 429: it is not this device's fault
    assert decoding.refused >= 1
    assert decoding.under_way == 0


def test_after_an_overload_there_is_room_again() -> None:
    """What was slow once is forgotten as uplinks are done quickly again."""
    clock = _Clock()
    decoding = Decoding(clock)
    for _ in range(8):
        _work(decoding, clock, ALWAYS_TAKEN, 1.0)
    for _ in range(16):
        _work(decoding, clock, ALWAYS_TAKEN, 0.002)
    with contextlib.ExitStack() as held:
        assert _fill(decoding, held, 2000) == 2000


def test_an_idle_hour_is_no_slowness() -> None:
    """Time in which nothing is under way does not count."""
    clock = _Clock()
    decoding = Decoding(clock)
    for _ in range(200):
        clock.now_s += 3600.0
        _work(decoding, clock, 1, 0.002)
    with contextlib.ExitStack() as held:
        assert _fill(decoding, held, 2000) == 2000
