"""Faults that rewrite bytes: how often, how late, in which order, in which direction."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REPLIES = [(0.1 * n + 0.05, f"reply {n:04d}\r".encode()) for n in range(1000)]  # to 100 s


def send_all(world: Any, *, to_device: bool = False) -> None:
    """Write every reply at its instant and run the world to its end."""
    for at_s, data in REPLIES:
        world.send(at_s, data, to_device=to_device)
    world.env.run(until=200.0)


def test_drop_loses_its_share_and_nothing_outside_its_window(world: Any) -> None:
    """20 % of the transmissions of 50 s, whole ones."""
    world.strike("drop", 25.0, 75.0, probability_pct=20.0)
    send_all(world)
    lost = set(REPLIES) - set(world.at_host)
    assert 60 <= len(lost) <= 140
    assert all(25.0 <= at_s <= 75.0 for at_s, _ in lost)
    assert set(world.at_host) <= set(REPLIES)


@pytest.mark.parametrize("kind", ["drop", "truncate", "duplicate", "corrupt"])
def test_no_probability_changes_nothing_and_the_line_is_clean_afterwards(
    world: Any, kind: str
) -> None:
    """0 % is no fault; the hook is gone at the end."""
    world.strike(kind, 1.0, 99.0, probability_pct=0.0)
    send_all(world)
    assert world.at_host == REPLIES
    assert world.line.to_host.faults == []


def test_mute_swallows_one_direction_and_lets_the_other_pass(world: Any) -> None:
    """The adapter hears, and says nothing."""
    world.strike("mute", 0.0, 100.0)
    world.send(5.0, b"010C\r", to_device=True)
    send_all(world)
    assert world.at_device == [(5.0, b"010C\r")]
    assert world.at_host == []


def test_direction_chooses_the_way(world: Any) -> None:
    """A fault towards the device leaves replies alone; `both` strikes both."""
    world.strike("mute", 0.0, 10.0, direction="to_device")
    world.strike("mute", 20.0, 30.0, direction="both", index=1)
    for at_s in (5.0, 25.0):
        world.send(at_s, b"in", to_device=True)
        world.send(at_s, b"out")
    world.env.run(until=40.0)
    assert world.at_device == []
    assert world.at_host == [(5.0, b"out")]


def test_corrupt_flips_single_bits_of_its_share_of_bytes(world: Any) -> None:
    """5 % of the bytes, each by one bit, lengths kept."""
    world.strike("corrupt", 0.0, 200.0, probability_pct=5.0)
    send_all(world)
    pairs = [
        (sent, got)
        for (_, before), (_, after) in zip(REPLIES, world.at_host, strict=True)
        for sent, got in zip(before, after, strict=True)
    ]
    changed = [sent ^ got for sent, got in pairs if sent != got]
    assert 0.03 < len(changed) / len(pairs) < 0.07
    assert all(bits.bit_count() == 1 for bits in changed)
    assert len(set(changed)) == 8


def test_truncate_keeps_a_beginning(world: Any) -> None:
    """Always shorter, always a prefix."""
    world.strike("truncate", 0.0, 200.0, probability_pct=100.0)
    send_all(world)
    whole = dict(REPLIES)
    assert len(world.at_host) < len(REPLIES)  # cut to nothing: lost
    for at_s, data in world.at_host:
        assert whole[at_s].startswith(data)
        assert 0 < len(data) < len(whole[at_s])


def test_duplicate_sends_its_share_twice(world: Any) -> None:
    """Nothing else changes."""
    world.strike("duplicate", 0.0, 200.0, probability_pct=10.0)
    send_all(world)
    assert 1060 <= len(world.at_host) <= 1140
    assert list(dict.fromkeys(world.at_host)) == REPLIES


def test_delay_adds_its_time(world: Any) -> None:
    """Exactly, without jitter, and only in its window."""
    world.strike("delay", 10.0, 20.0, time_s=0.03)
    send_all(world)
    late = {data: at_s for at_s, data in world.at_host}
    for sent_s, data in REPLIES:
        wait_s = 0.03 if 10.0 <= sent_s < 20.0 else 0.0
        assert late[data] == pytest.approx(sent_s + wait_s)


@pytest.mark.parametrize("paced", [False, True])
def test_delay_with_jitter_keeps_the_order_even_at_its_end(
    make_world: Callable[..., Any], paced: bool
) -> None:
    """A wire does not reorder: what was late holds up what follows."""
    world = make_world(paced=paced)
    world.strike("delay", 10.0, 20.0, time_s=0.2, jitter_s=2.0)
    send_all(world)
    assert [data for _, data in world.at_host] == [data for _, data in REPLIES]
    assert world.line.to_host.faults == []
    delays_s = [
        at_s - sent_s for (at_s, _), (sent_s, _) in zip(world.at_host, REPLIES, strict=True)
    ]
    assert 1.5 < max(delays_s) < 2.3
    assert max(delays_s[300:]) < 0.02


def test_stall_holds_everything_and_lets_it_go_at_its_end(world: Any) -> None:
    """Nothing is lost, nothing arrives before the end, the order stays."""
    world.strike("stall", 10.0, 20.0)
    send_all(world)
    assert [data for _, data in world.at_host] == [data for _, data in REPLIES]
    held = [at_s for (at_s, _), (s, _) in zip(world.at_host, REPLIES, strict=True) if 10 < s < 20]
    assert len(held) == 100
    assert all(at_s == pytest.approx(20.0) for at_s in held)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("reorder", "stall"),
        ("stall", "reorder"),
        ("duplicate", "stall"),
        ("stall", "duplicate"),
        ("stall", "truncate"),
    ],
)
def test_no_other_fault_lets_a_transmission_overtake_what_is_held(
    make_world: Callable[..., Any], first: str, second: str
) -> None:
    """Not even by what a line needs for its bytes: neighbours stay neighbours in the burst."""
    world = make_world(paced=True)
    for index, kind in enumerate((first, second)):
        share = {} if kind == "stall" else {"probability_pct": 30.0}
        world.strike(kind, 0.5, 20.0, index=index, **share)
    for number in range(500):
        world.send(1.0 + 0.03 * number, b"%04d:position" % number)
    world.env.run(until=100.0)
    whole = [int(data[:4]) for _, data in world.at_host if len(data) >= 4]
    assert len(whole) > 400
    assert all(later >= before - 1 for before, later in pairwise(whole))


def test_two_faults_on_one_line_end_apart(world: Any) -> None:
    """Each takes away its own hook."""
    world.strike("mute", 10.0, 20.0)
    world.strike("mute", 15.0, 30.0, index=1)
    send_all(world)
    lost = sorted(set(REPLIES) - set(world.at_host))
    assert (lost[0][0], lost[-1][0]) == (pytest.approx(10.05), pytest.approx(29.95))
    assert len(lost) == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["drop", "corrupt", "truncate", "duplicate"]),
    probability_pct=st.floats(0.0, 100.0),
    messages=st.lists(st.binary(min_size=1, max_size=40), max_size=20),
)
def test_any_bytes_pass_any_fault(
    make_world: Callable[..., Any], kind: str, probability_pct: float, messages: list[bytes]
) -> None:
    """No content breaks a fault, and none makes more than twice the bytes."""
    world = make_world()
    world.strike(kind, 0.0, 100.0, probability_pct=probability_pct)
    for number, data in enumerate(messages):
        world.send(1.0 + number, data)
    world.env.run(until=100.0)
    arrived = sum(len(data) for _, data in world.at_host)
    assert arrived <= 2 * sum(map(len, messages))


def test_reorder_swaps_neighbours_that_come_close(world: Any) -> None:
    """Its share of pairs; nothing is lost, nothing travels further than one place."""
    close = [(1.0 + 0.01 * n, b"%04d" % n) for n in range(1000)]
    world.strike("reorder", 0.0, 100.0, probability_pct=20.0)
    for at_s, data in close:
        world.send(at_s, data)
    world.env.run(until=200.0)
    order = [int(data) for _, data in world.at_host]
    assert sorted(order) == list(range(1000))
    assert {abs(place - number) for place, number in enumerate(order)} == {0, 1}
    assert 100 < sum(place != number for place, number in enumerate(order)) / 2 < 230
    assert world.line.to_host.faults == []


def test_reorder_delivers_alone_what_is_alone(world: Any) -> None:
    """A reply to which no other follows comes 50 ms late."""
    world.strike("reorder", 0.0, 100.0, probability_pct=100.0)
    world.send(5.0, b"alone")
    world.send(99.98, b"at its end")
    world.env.run(until=200.0)
    assert world.at_host == [(5.05, b"alone"), (100.0, b"at its end")]


def test_what_was_held_back_meets_the_faults_behind(world: Any) -> None:
    """A mute line stays mute."""
    world.strike("reorder", 0.0, 100.0, probability_pct=100.0)
    world.strike("mute", 1.0, 100.0, index=1)
    world.send(5.0, b"alone")
    world.env.run(until=200.0)
    assert world.at_host == []
