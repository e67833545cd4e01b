"""Airtime accounts."""

from __future__ import annotations

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from sim.meshtastic.airtime import Airtime


def at(env: simpy.Environment, time_s: float) -> None:
    """Let time pass."""
    env.timeout(time_s - env.now)
    env.run(until=time_s + 1e-9)


def test_a_minute_of_listening_is_the_channels_utilisation() -> None:
    """Six seconds heard and sent within a minute are 10 %, and they are gone a minute later."""
    env = simpy.Environment()
    airtime = Airtime(env)
    at(env, 5)
    airtime.log_received(4000)
    at(env, 15)
    airtime.log_sent(2000)
    assert airtime.channel_utilisation_pct() == pytest.approx(10.0)
    assert airtime.tx_utilisation_pct() == pytest.approx(2 / 36)
    at(env, 61)
    assert airtime.channel_utilisation_pct() == pytest.approx(2 / 0.6)
    at(env, 71)
    assert airtime.channel_utilisation_pct() == 0.0
    assert airtime.tx_utilisation_pct() == pytest.approx(2 / 36)
    at(env, 3600)
    assert airtime.tx_utilisation_pct() == 0.0
    assert (airtime.sent_ms, airtime.received_ms) == (2000, 4000)


def test_a_reboot_forgets() -> None:
    """Utilisation starts at zero, and so does uptime."""
    env = simpy.Environment()
    airtime = Airtime(env)
    at(env, 100)
    airtime.log_sent(1000)
    airtime.reboot()
    assert airtime.tx_utilisation_pct() == airtime.channel_utilisation_pct() == 0.0
    assert airtime.uptime_s == 0.0


def test_background_senders_hold_back() -> None:
    """From 25 % of the channel (40 % if impolite) and from half of the duty cycle on."""
    env = simpy.Environment()
    airtime = Airtime(env)
    assert airtime.allows_background(10)
    airtime.log_received(16_000)
    assert not airtime.allows_background(10)
    assert airtime.allows_background(10, polite=False)
    at(env, 100)
    airtime.log_sent(180_000)
    at(env, 200)
    assert not airtime.allows_background(10)
    assert airtime.allows_background(100)


def test_silent_minutes_are_the_firmwares() -> None:
    """The ring is walked by index: right when it has not wrapped."""
    env = simpy.Environment()
    airtime = Airtime(env)
    at(env, 59 * 60)
    airtime.log_sent(200_000)
    airtime.log_sent(200_000)
    assert airtime.tx_utilisation_pct() > 10
    assert airtime.silent_minutes(10) == 0
    assert airtime.silent_minutes(0) == 60


@given(
    st.lists(
        st.tuples(st.floats(0, 400), st.integers(1, 9000), st.booleans()), min_size=1, max_size=60
    )
)
def test_utilisation_is_the_sum_of_the_buckets_in_the_window(
    events: list[tuple[float, int, bool]],
) -> None:
    """Against a plain list of all packets, at every instant."""
    env = simpy.Environment()
    airtime = Airtime(env)
    log: list[tuple[int, int, bool]] = []
    for gap_s, airtime_ms, sent in events:
        at(env, env.now + gap_s)
        (airtime.log_sent if sent else airtime.log_received)(airtime_ms)
        log.append((int(env.now), airtime_ms, sent))
        now = int(env.now)
        channel_ms = sum(ms for when, ms, _ in log if now // 10 - when // 10 < 6)
        sent_ms = sum(ms for when, ms, own in log if own and now // 60 - when // 60 < 60)
        assert airtime.channel_utilisation_pct() == pytest.approx(channel_ms / 600)
        assert airtime.tx_utilisation_pct() == pytest.approx(sent_ms / 36_000)
