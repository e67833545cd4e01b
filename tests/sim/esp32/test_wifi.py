"""Wi-Fi: joining, refusals, outages that are noticed late, weak signals."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import simpy

from sim.esp32.wifi import (
    AUTH_FAILED,
    BEACON_TIMEOUT_S,
    CONNECTED,
    CONNECTING,
    IDLE,
    NOT_FOUND,
    OPEN,
    Air,
    Network,
    Station,
    WifiSetup,
)


class Radio:
    """A station under an air of its own."""

    def __init__(self, setup: WifiSetup) -> None:
        self.env = simpy.Environment()
        self.air = Air(setup)
        self.changes: list[tuple[float, int]] = []
        self.station = Station(self.env, self.air, random.Random(1), self._changed)

    def _changed(self) -> None:
        self.changes.append((self.env.now, self.station.state))

    def joined(self) -> Radio:
        self.station.connect("telerig", "drive safely")
        self.env.run(until=self.env.now + 3.0)
        assert self.station.state == CONNECTED
        return self


@pytest.fixture
def make_radio() -> Callable[..., Radio]:
    """Keywords make the set-up."""
    return lambda **setup: Radio(WifiSetup(**setup))


def test_joining_takes_its_time(make_radio: Any) -> None:
    """Within the set-up's bounds."""
    radio = make_radio(associate_s=(1.0, 2.0))
    radio.joined()
    assert [state for _, state in radio.changes] == [CONNECTING, CONNECTED]
    assert 1.0 <= radio.changes[1][0] <= 2.0


@pytest.mark.parametrize(
    ("ssid", "passphrase", "state"),
    [("telerig", "wrong", AUTH_FAILED), ("elsewhere", "drive safely", NOT_FOUND)],
)
def test_what_cannot_be_joined_says_why(
    make_radio: Any, ssid: str, passphrase: str, state: int
) -> None:
    """A wrong passphrase, or a network that is not there."""
    radio = make_radio()
    radio.station.connect(ssid, passphrase)
    radio.env.run(until=10.0)
    assert radio.station.state == state


def test_an_open_network_takes_any_passphrase(make_radio: Any) -> None:
    """There is nothing to compare it with."""
    radio = make_radio(networks=(Network(authmode=OPEN, passphrase=""),))
    radio.station.connect("telerig", "whatever")
    radio.env.run(until=10.0)
    assert radio.station.state == CONNECTED


def test_a_station_notices_an_outage_late_and_does_not_come_back_by_itself(make_radio: Any) -> None:
    """As ESP-IDF: the firmware has to connect again."""
    radio = make_radio().joined()
    begin_s = radio.env.now
    radio.air.change(out=True)
    assert radio.station.one_way_s() is None
    radio.env.run(until=begin_s + BEACON_TIMEOUT_S - 0.1)
    assert radio.station.state == CONNECTED
    radio.env.run(until=begin_s + BEACON_TIMEOUT_S + 0.1)
    assert radio.station.state == IDLE
    radio.air.change(out=False)
    radio.env.run(until=begin_s + 60.0)
    assert radio.station.state == IDLE


def test_a_short_outage_goes_by_unnoticed(make_radio: Any) -> None:
    """The access point was back before the station gave it up."""
    radio = make_radio().joined()
    radio.air.change(out=True)
    radio.env.run(until=radio.env.now + BEACON_TIMEOUT_S / 2)
    radio.air.change(out=False)
    radio.env.run(until=radio.env.now + 60.0)
    assert radio.station.state == CONNECTED


def test_giving_up_while_joining_ends_it(make_radio: Any) -> None:
    """No connection comes up behind the firmware's back."""
    radio = make_radio()
    radio.station.connect("telerig", "drive safely")
    radio.station.disconnect()
    radio.env.run(until=10.0)
    assert radio.station.state == IDLE


def test_a_weak_signal_loses_more_and_is_slower(make_radio: Any) -> None:
    """Nothing is lost where it is strong; much is at the edge; beyond it all is."""
    radio = make_radio().joined()
    strong = [radio.station.one_way_s() for _ in range(500)]
    radio.air.change(fade_db=30.0)
    weak = [radio.station.one_way_s() for _ in range(500)]
    radio.air.change(fade_db=35.0)
    assert None not in strong
    assert 0.3 < weak.count(None) / 500 < 0.7
    assert min(way for way in weak if way) > min(way for way in strong if way)
    assert radio.station.one_way_s() is None


def test_the_declared_loss_is_what_is_lost(make_radio: Any) -> None:
    """Of each way."""
    radio = make_radio(loss=0.2).joined()
    ways = [radio.station.one_way_s() for _ in range(2000)]
    assert 0.17 < ways.count(None) / 2000 < 0.23


def test_a_scan_gives_what_is_heard_the_strongest_first(make_radio: Any) -> None:
    """What is too far away is not in it."""
    near, far, gone = Network("near", rssi_dbm=-40), Network("far", rssi_dbm=-80), Network(
        "gone", rssi_dbm=-95
    )  # fmt: skip
    radio = make_radio(networks=(far, gone, near))
    found = radio.station.scan()
    assert [network[0] for network in found] == ["near", "far"]
    _ssid, bssid, channel, rssi, authmode = found[0]
    assert (len(bssid), channel, authmode) == (6, 6, 3)
    assert -50 < rssi < -30
