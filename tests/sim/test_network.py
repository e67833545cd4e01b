"""An IP network as TCP sees it: late, never wrong."""

from __future__ import annotations

import math
import random

import pytest

from sim.network import (
    Impairment,
    KeepAlive,
    Way,
    next_retransmission_s,
    retransmissions_s,
)


def test_each_loss_doubles_the_wait() -> None:
    """RFC 6298, 5.5: 0.2, 0.4, 0.8 s."""
    losses = iter([True, True, True, False])
    assert retransmissions_s(lambda: next(losses)) == pytest.approx(1.4)
    assert retransmissions_s(lambda: False) == 0.0


def test_what_is_sent_again_after_the_loss_is_over_gets_through() -> None:
    """However many draws say lost: the first retransmission after the end is the last one."""
    assert retransmissions_s(lambda: True, lossy_for_s=1.0) == pytest.approx(0.2 + 0.4 + 0.8)


def test_what_was_sent_is_sent_again_at_known_instants() -> None:
    """At 10, 10.2, 10.6, 11.4, 13 s …"""
    for not_before_s, at_s in ((10.0, 10.0), (10.1, 10.2), (10.6, 10.6), (11.5, 13.0)):
        assert next_retransmission_s(10.0, not_before_s) == pytest.approx(at_s)


def test_more_segments_get_lost_more_often() -> None:
    """One of ten is enough."""
    impairment = Impairment(random.Random(1), loss=0.1)
    small = sum(impairment.loses(100) for _ in range(2000))
    large = sum(impairment.loses(14_600) for _ in range(2000))
    assert small == pytest.approx(200, abs=50)
    assert large == pytest.approx(2000 * (1 - 0.9**10), abs=80)


def test_the_wrongs_of_a_way_add_up_and_are_undone_apart() -> None:
    """By identity: two may be equal."""
    way, rng = Way(), random.Random(1)
    assert way.is_good
    undo = [way.impair(Impairment(rng, latency_s=1.0)) for _ in range(2)]
    cut = way.impair(Impairment(rng, is_cut=True))
    assert way.delay_s(0) == 2.0
    assert way.loses(0)
    cut()
    assert not way.loses(0)
    undo[0]()
    assert way.delay_s(0) == 1.0
    undo[1]()
    assert way.is_good


def test_a_client_that_probes_gives_up_after_its_probes() -> None:
    """One that does not never asks."""
    probing = KeepAlive(is_on=True, idle_s=5.0, interval_s=2.0, probes=3)
    assert probing.gives_up_s == 11.0
    assert [probing.next_probe_s(10.0, at_s) for at_s in (10.0, 15.0, 15.1, 20.0)] == [
        15.0,
        15.0,
        17.0,
        21.0,
    ]
    assert KeepAlive().gives_up_s == KeepAlive().next_probe_s(0.0, 1.0) == math.inf
