"""What devices send is read in the order of its coming, and what would be late is sent away."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from server.errors import StoreFull
from server.ingest.turns import ALWAYS_TAKEN, LONGEST_WAIT_S, TURNS_TOGETHER, Turns
from tests.server.hand_clock import HandClock


def _work(turns: Turns, clock: HandClock, count: int, each_s: float) -> None:
    """Let `count` messages in at once; one is done each `each_s`."""
    with contextlib.ExitStack() as first:
        others = [contextlib.ExitStack() for _ in range(count - 1)]
        for stack in (first, *others):
            stack.enter_context(turns.let_in())
        for stack in others:
            clock.now_s += each_s
            stack.close()
        clock.now_s += each_s


def _fill(turns: Turns, held: contextlib.ExitStack, most: int) -> int:
    """Let in as many as there is room for, `most` at the most."""
    for count in range(most):
        try:
            held.enter_context(turns.let_in())
        except StoreFull:
            return count
    return most


@pytest.mark.parametrize(("each_s", "room"), [(0.005, 1000), (0.025, 200), (1.0, ALWAYS_TAKEN)])
def test_as_many_are_let_in_as_are_done_in_time(each_s: float, room: int) -> None:
    """The slower messages are done, the fewer may wait; a few always may."""
    clock = HandClock()
    turns = Turns(clock)
    for _ in range(8):
        _work(turns, clock, ALWAYS_TAKEN, each_s)
    with contextlib.ExitStack() as held:
        found = _fill(turns, held, 2 * room)
        assert found == pytest.approx(max(room, LONGEST_WAIT_S / each_s), rel=0.02)
        with pytest.raises(StoreFull, match="messages are under way") as refused:
            held.enter_context(turns.let_in())
        assert not refused.value.one_device  # 503, not 429: it is not this device's fault
    assert turns.refused >= 1
    assert turns.under_way == 0


def test_after_an_overload_there_is_room_again() -> None:
    """What was slow once is forgotten as messages are done quickly again."""
    clock = HandClock()
    turns = Turns(clock)
    for _ in range(8):
        _work(turns, clock, ALWAYS_TAKEN, 1.0)
    for _ in range(16):
        _work(turns, clock, ALWAYS_TAKEN, 0.002)
    with contextlib.ExitStack() as held:
        assert _fill(turns, held, 2000) == 2000


def test_an_idle_hour_is_no_slowness() -> None:
    """Time in which nothing is under way does not count."""
    clock = HandClock()
    turns = Turns(clock)
    for _ in range(200):
        clock.now_s += 3600.0
        _work(turns, clock, 1, 0.002)
    with contextlib.ExitStack() as held:
        assert _fill(turns, held, 2000) == 2000


def test_those_that_end_together_count_for_the_time_that_they_took() -> None:
    """A hundred share a commit: between two of them is no time, and then a lot."""
    clock = HandClock()
    turns = Turns(clock)
    for _ in range(100):
        with contextlib.ExitStack() as group:
            for _ in range(100):
                group.enter_context(turns.let_in())
            clock.now_s += 0.1
    with contextlib.ExitStack() as held:
        assert _fill(turns, held, 10_000) == pytest.approx(LONGEST_WAIT_S / 0.001, rel=0.02)


async def test_the_loop_sees_to_its_connections_between_turns() -> None:
    """All are let in before many are read, so that it is known how many wait."""
    turns = Turns(HandClock())
    read: list[int] = []

    async def message(number: int) -> None:
        with turns.let_in():
            async with turns.turn():
                read.append(number)

    count = 4 * TURNS_TOGETHER
    messages = [asyncio.create_task(message(number)) for number in range(count)]
    await asyncio.sleep(0)
    assert (len(read), turns.under_way) == (TURNS_TOGETHER, count - TURNS_TOGETHER + 1)
    await asyncio.gather(*messages)
    assert read == list(range(count))
    assert turns.under_way == 0


async def test_who_goes_away_leaves_its_turn_to_the_next() -> None:
    """A connection that ends while its message waits holds nobody up."""
    turns = Turns(HandClock())
    entered = asyncio.Event()

    async def message() -> None:
        with turns.let_in():
            async with turns.turn():
                entered.set()
                await asyncio.sleep(0)

    async with turns.turn():
        gone, stays = (asyncio.create_task(message()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
    await asyncio.wait_for(stays, 5.0)
    assert entered.is_set()
    assert turns.under_way == 0
