"""Provisioning from the first word to the first reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from server.provisioning.client import Network
from server.provisioning.errors import DeviceUnreachable, ProvisionError
from server.provisioning.flow import Outcome, Provisioning, User, Wanted
from server.provisioning.gateway_api import Credentials, GatewayUnreachable
from tests.firmware.provisioning.board import PASSPHRASE, Rig
from tests.firmware.provisioning.direct import DirectTransport


@dataclass
class Registry:
    """A gateway; its first reading is there after so many questions."""

    after: int = 2
    known: bool = False
    older: tuple[int, ...] = ()
    registered: list[tuple[str, str | None]] = field(default_factory=list)
    revoked: list[int | None] = field(default_factory=list)
    asked: int = 0
    away: bool = False
    stuck: bool = False

    def register(self, device: str, vin: str | None) -> Credentials:
        """Mint a key."""
        self.registered.append((device, vin))
        return Credentials(device, f"key-of-{device}", 7, 1000, self.known, self.older)

    def revoke(self, credentials: Credentials) -> None:
        """End the key."""
        if self.away:
            raise GatewayUnreachable("away")
        self.revoked.append(credentials.key_id)

    def end_older(self, credentials: Credentials) -> None:
        """End other keys."""
        if self.stuck:
            raise GatewayUnreachable("away")
        self.revoked += credentials.older

    def has_reading(self, credentials: Credentials) -> bool:
        """Count the questions."""
        self.asked += 1
        if self.away:
            raise GatewayUnreachable("away")
        return self.asked > self.after


class Desk:
    """A board, a person, a gateway and a clock."""

    def __init__(
        self,
        registry: Registry | None = None,
        change: Callable[[int, str, bytes], bytes] = lambda step, way, data: data,
        **wanted: object,
    ) -> None:
        self.rig = Rig()
        self.transport = DirectTransport(self.rig, change)
        self.lines: list[str] = []
        self.asked: list[str] = []
        self.chosen = 0
        self.now_s = 0.0
        self.on_sleep: Callable[[], None] = lambda: None
        values = {"user": "wifiprov", "password": "abcd1234", "passphrase": PASSPHRASE} | wanted
        self.flow = Provisioning(
            self.transport,
            Wanted(**values),  # type: ignore[arg-type]
            User(self.lines.append, self._choose, self._ask),
            registry,
            sleep=self._sleep,
            monotonic=lambda: self.now_s,
        )

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.rig.poll(int(seconds * 1000))
        self.on_sleep()

    def _choose(self, networks: Sequence[Network]) -> Network:
        return networks[self.chosen]

    def _ask(self, ssid: str) -> str:
        self.asked.append(ssid)
        return PASSPHRASE

    def run(self) -> Outcome:
        """Do all of it."""
        return self.flow.run()


@pytest.mark.promise("P18")
def test_from_factory_state_to_the_first_reading() -> None:
    """Registered, told, in its network, first reading seen; each step is a line."""
    registry = Registry()
    desk = Desk(registry, ssid="Home", gateway_url="http://gw:8000", device="car-1", vin="V")
    outcome = desk.run()
    assert outcome.connected
    assert outcome.first_reading
    assert (outcome.device, outcome.key_id) == ("car-1", 7)
    assert registry.registered == [("car-1", "V")]
    assert registry.revoked == []
    assert desk.rig.board.nvs["gw.key"] == b"key-of-car-1"
    assert desk.rig.board.nvs["wifi.ssid"] == b"Home"
    assert desk.lines == [
        "device: provisioning v1.1, security 2 patch 1; session open as wifiprov",
        "gateway: car-1 is registered (key 7)",
        "device: sends to http://gw:8000 from now on",
        "Wi-Fi: joining Home",
        "Wi-Fi: connected",
        "gateway: waiting for the first reading (if this computer is still in the device's own "
        "network, go back to yours now)",
        "gateway: the first reading is there",
    ]


@pytest.mark.parametrize(
    ("stuck", "line"),
    [
        (False, "gateway: older keys are ended: 5, 6"),
        (True, "warning: older keys still work: 5, 6; revoke them"),
    ],
)
def test_older_keys_end_with_the_first_reading(stuck: bool, line: str) -> None:
    """Not before; where that fails the user hears which."""
    registry = Registry(known=True, older=(5, 6), stuck=stuck)
    desk = Desk(registry, ssid="Home", gateway_url="http://gw:8000", device="car-1")
    desk.on_sleep = lambda: None if registry.asked > 2 else _none_yet(registry)
    desk.run()
    assert desk.lines[-1] == line
    assert desk.lines[1] == "gateway: car-1 has a new key (key 7)"
    assert registry.revoked == ([] if stuck else [5, 6])


def _none_yet(registry: Registry) -> None:
    assert registry.revoked == []


def test_a_network_is_chosen_from_the_table() -> None:
    """Without --ssid the device scans; an open network needs no passphrase, another one does."""
    desk = Desk(passphrase=None)
    assert desk.run().ssid == "Home"
    assert desk.asked == ["Home"]
    assert "  1  Home           6   -48  WPA2" in desk.lines
    open_one = Desk(passphrase=None)
    open_one.chosen = 1
    assert open_one.run().ssid == "Café"
    assert open_one.asked == []


def test_a_scan_alone_changes_nothing() -> None:
    """The networks are shown, and that is all."""
    desk = Desk(scan_only=True, ssid="Home", passphrase=None)
    outcome = desk.run()
    assert [network.ssid for network in outcome.networks] == ["Home", "Café"]
    assert not outcome.connected
    assert desk.rig.board.joins == []
    assert desk.asked == []


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"ssid": "Home", "passphrase": "wrong horse"}, "wrong passphrase; give the right"),
        ({"ssid": "Nowhere"}, "network not found; check the name"),
    ],
)
def test_a_network_that_does_not_work_is_told_and_the_key_is_taken_back(
    wanted: dict[str, object], reason: str
) -> None:
    """The device forgets the network, so that the next try finds it ready."""
    registry = Registry()
    desk = Desk(registry, gateway_url="http://gw:8000", device="car-1", **wanted)
    with pytest.raises(ProvisionError, match=reason):
        desk.run()
    assert registry.revoked == [7]
    assert not desk.flow.outcome.connected
    again = Desk(ssid="Home")
    again.rig = desk.rig
    again.transport.rig = desk.rig
    again.transport.cookie = desk.transport.cookie
    assert again.run().connected


def test_a_key_that_cannot_be_taken_back_is_told() -> None:
    """A gateway that went away in between: the user hears which key to revoke."""
    registry = Registry()
    desk = Desk(
        registry, gateway_url="http://gw:8000", device="car-1", ssid="Home", passphrase="wrong one"
    )
    desk.on_sleep = lambda: setattr(registry, "away", True)
    with pytest.raises(ProvisionError, match="wrong passphrase"):
        desk.run()
    assert "warning: key 7 of car-1 was made and not used; revoke it at the gateway" in desk.lines


def test_a_device_that_never_joins_is_given_up() -> None:
    """After the time-out, with the next step."""
    desk = Desk(ssid="Home", timeout_s=10.0)
    desk.rig.board.join_takes_ms = 10**9
    with pytest.raises(ProvisionError, match="did not join 'Home' within 10 s"):
        desk.run()


def test_a_first_reading_that_does_not_come_is_told() -> None:
    """The device is in the network and keeps its key: only the gateway does not hear of it."""
    registry = Registry(after=10**9)
    desk = Desk(registry, ssid="Home", gateway_url="http://gw:8000", device="car-1", timeout_s=30.0)
    with pytest.raises(ProvisionError, match="no reading of it reached the gateway within 30 s"):
        desk.run()
    assert desk.flow.outcome.connected
    assert desk.flow.outcome.first_reading is False
    assert registry.revoked == []


def test_an_unreachable_gateway_is_asked_again() -> None:
    """While this computer goes from the device's network back to its own."""
    registry = Registry(after=0, away=True)
    desk = Desk(registry, ssid="Home", gateway_url="http://gw:8000", device="car-1")

    def back() -> None:
        registry.away = desk.now_s < 20

    desk.on_sleep = back
    assert desk.run().first_reading
    assert desk.now_s >= 20


def test_a_key_by_hand_is_told_to_the_device_and_nothing_is_asked() -> None:
    """No registrar is needed, and none is waited for."""
    desk = Desk(ssid="Home", gateway_url="http://gw:8000", device="car-1", device_key="by-hand")
    outcome = desk.run()
    assert outcome.first_reading is None
    assert desk.rig.board.nvs["gw.key"] == b"by-hand"


def test_a_gateway_on_this_computer_is_warned_about() -> None:
    """For the device, 127.0.0.1 is the device."""
    desk = Desk(Registry(), ssid="Home", gateway_url="http://127.0.0.1:8000", device="car-1")
    desk.run()
    assert any("is the device itself" in line for line in desk.lines)


def test_a_device_that_is_out_of_reach_for_a_moment_is_found_again() -> None:
    """An answer that was lost costs a new session, not the run."""
    lost = []

    def change(step: int, way: str, data: bytes) -> bytes:
        if way == "back" and step == 7 and not lost:
            lost.append(step)
            return b""
        return data

    desk = Desk(ssid="Home", change=change)
    desk.rig.board.join_takes_ms = 3000
    assert desk.run().connected
    assert lost
    assert any("lost the device for a moment" in line for line in desk.lines)


def test_a_device_whose_network_closed_after_its_first_reading_is_done() -> None:
    """The device is faster than we are: the gateway's word counts."""
    registry = Registry(after=0)
    desk = Desk(registry, ssid="Home", gateway_url="http://gw:8000", device="car-1")
    ask = desk.transport.exchange

    def closed(endpoint: str, body: bytes) -> bytes:
        if desk.now_s > 0:
            raise DeviceUnreachable("closed")
        return ask(endpoint, body)

    desk.transport.exchange = closed  # type: ignore[method-assign]
    outcome = desk.run()
    assert outcome.connected
    assert outcome.first_reading


def test_a_device_reset_in_the_middle_is_told() -> None:
    """It has forgotten session and network: the run ends soon, with a line and the next step."""
    desk = Desk(ssid="Home")
    desk.rig.board.join_takes_ms = 10**9
    desk.on_sleep = lambda: desk.rig.reset() if desk.now_s == 2 else None
    with pytest.raises(ProvisionError, match="it may have restarted"):
        desk.run()
    assert desk.now_s < 10


def test_an_impossible_network_is_refused_before_a_key_is_made() -> None:
    """Nothing to take back."""
    registry = Registry()
    desk = Desk(registry, ssid="x" * 40, gateway_url="http://gw:8000", device="car-1")
    with pytest.raises(ProvisionError, match="--ssid: expected 1 to 32 bytes"):
        desk.run()
    assert registry.registered == []
