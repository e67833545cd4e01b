"""What the client asks of a device, and how it takes the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.provisioning import protocomm_pb2 as pb
from server.provisioning.client import DeviceClient, Network, WifiState, check_network
from server.provisioning.errors import BadAnswer, ProvisionError, RequestRefused
from server.provisioning.flow import table
from tests.firmware.provisioning.board import PASSPHRASE, Rig
from tests.firmware.provisioning.direct import opened


class Session:
    """A session whose device says what the test wants."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bytes]] = []

    def request(self, endpoint: str, plain: bytes) -> bytes:
        """Give the next answer."""
        self.asked.append((endpoint, plain))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else answer.SerializeToString()


def client(*answers: Any, page: int = 50) -> DeviceClient:
    """Make a client of a scripted device."""
    return DeviceClient(Session(*answers), page)  # type: ignore[arg-type]


def test_a_failed_network_is_forgotten_before_another_is_set() -> None:
    """ESP-IDF takes a new network only after a reset of the state."""
    rig = Rig()
    made = DeviceClient(opened(rig), 50)
    made.set_network("Home", "wrong horse")
    rig.poll(5000)
    assert made.wifi_state() == WifiState("failed", "wrong passphrase")
    made.set_network("Home", PASSPHRASE)
    rig.poll(1000)
    assert made.wifi_state() == WifiState("connected")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (pb.WifiStatus(state=1), WifiState("connecting")),
        (
            pb.WifiStatus(state=1, attempt_failed=pb.AttemptFailed(attempts_remaining=2)),
            WifiState("connecting", attempts_remaining=2),
        ),
        (pb.WifiStatus(state=2), WifiState("disconnected")),
        (pb.WifiStatus(state=3), WifiState("failed", "wrong passphrase")),
        (pb.WifiStatus(state=3, reason=1), WifiState("failed", "network not found")),
        (
            pb.WifiStatus(connected=pb.Connected(ip4_address="10.0.0.7\x1b[2J")),
            WifiState("connected", address="10.0.0.7 [2J"),
        ),
        (
            pb.WifiStatus(connected=pb.Connected(ip4_address="10.0.0.7")),
            WifiState("connected", address="10.0.0.7"),
        ),
    ],
)
def test_states_of_wifi_are_told(status: pb.WifiStatus, state: WifiState) -> None:
    """With reason, address and attempts, and without control characters."""
    assert client(pb.Config(type=pb.Config.STATUS, status=status)).wifi_state() == state


def test_a_scan_asks_for_as_many_as_fit_into_an_answer() -> None:
    """Pages of 4, the last one shorter; strongest first, whatever the order of the device."""
    networks = [pb.Network(ssid=b"n%d" % i, rssi_dbm=-i, auth_mode=i) for i in range(9, -1, -1)]

    def page(start: int, end: int) -> pb.Scan:
        return pb.Scan(result=pb.ScanResult(networks=networks[start:end]))

    made = client(
        pb.Scan(started=pb.Nothing()),
        pb.Scan(status=pb.ScanStatus(finished=True, count=10)),
        page(0, 4),
        page(4, 8),
        page(8, 10),
        page=4,
    )
    found = made.scan()
    assert [network.ssid for network in found] == [f"n{i}" for i in range(10)]
    assert [network.security for network in found[:3]] == ["open", "WEP", "WPA"]
    assert found[9].security == "mode 9"


def test_a_device_that_promises_networks_and_gives_none_does_not_hold_us_up() -> None:
    """An empty page is the end, and a count without limit is not believed."""
    made = client(
        pb.Scan(started=pb.Nothing()),
        pb.Scan(status=pb.ScanStatus(finished=True, count=0xFFFFFFFF)),
        pb.Scan(result=pb.ScanResult()),
    )
    assert made.scan() == []


@pytest.mark.parametrize(
    ("call", "answer", "error", "reason"),
    [
        (DeviceClient.wifi_state, b"\xff\xff", BadAnswer, "expected a protobuf message"),
        (
            DeviceClient.wifi_state,
            pb.Config(applied=pb.Done()),
            BadAnswer,
            "expected status, got applied",
        ),
        (
            DeviceClient.wifi_state,
            pb.Config(status=pb.WifiStatus(status=5)),
            ProvisionError,
            r"status 5 \(internal_error\)",
        ),
        (DeviceClient.scan, pb.Scan(status_code=99), ProvisionError, r"status 99 \(unknown\)"),
        (DeviceClient.forget_network, pb.Control(status=7), ProvisionError, "invalid_session"),
    ],
)
def test_answers_that_are_none_are_told(
    call: Callable[[DeviceClient], Any], answer: Any, error: type[Exception], reason: str
) -> None:
    """Wrong contents, wrong kind, a status other than success: one line each."""
    with pytest.raises(error, match=reason):
        call(client(answer))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"status": "error", "detail": "url: \x1b[2Jexpected"}', "answered"),
        (b'{"status": "error", "detail": "url: expected"}', "url: expected"),
        (b"ok", "answered 'ok'"),
        (b"[]", "answered"),
        (b"\xff", "answered"),
        (b'{"a":' * 5000, "answered"),
        (RequestRefused("custom-data", 404), "takes no gateway"),
    ],
)
def test_a_device_that_does_not_take_the_gateway_is_told(answer: Any, reason: str) -> None:
    """What it said, without its control characters."""
    with pytest.raises(ProvisionError, match=reason) as caught:
        client(answer).set_gateway("http://gw", "car", "key")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("ssid", "passphrase"),
    [("", ""), ("x" * 33, ""), ("é" * 17, ""), ("x", "short"), ("x", "x" * 64)],
)
def test_networks_that_cannot_be_are_refused_before_anything_is_sent(
    ssid: str, passphrase: str
) -> None:
    """Lengths are those of bytes; the passphrase is not shown."""
    with pytest.raises(ProvisionError, match="expected") as caught:
        check_network(ssid, passphrase)
    assert not passphrase or passphrase not in str(caught.value)


def test_the_table_shows_names_that_cannot_disturb_the_terminal() -> None:
    """Numbers from 1, control characters as question marks, hidden ones named."""
    networks = [Network("Home", "", 6, -48, 3), Network("\x1b[2J", "", 11, -70, 0)]
    assert table([*networks, Network("", "", 1, -80, 6)]) == [
        " nr  network   channel   dBm  security",
        "  1  Home            6   -48  WPA2",
        "  2  ?[2J           11   -70  open",
        "  3  (hidden)        1   -80  WPA3",
    ]
    assert table([]) == ["the device hears no network"]
