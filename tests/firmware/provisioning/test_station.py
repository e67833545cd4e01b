"""Wi-Fi as provisioning sees it: scan, join, failures and what is told of them."""

from __future__ import annotations

import pytest

from server.provisioning import protocomm_pb2 as pb
from tests.firmware.provisioning.board import PASSPHRASE, Rig
from tests.firmware.provisioning.direct import apply, opened, scan, set_network, wifi

HOME, PHRASE = b"Home", PASSPHRASE.encode()


def test_the_network_that_works_is_kept() -> None:
    """Connecting, then connected with the network's data; only then are they in NVS."""
    rig = Rig()
    made = opened(rig)
    scan(made, _start())
    assert set_network(made, HOME, PHRASE) == pb.SUCCESS
    assert apply(made) == pb.SUCCESS
    assert wifi(made).state == pb.WifiStatus.CONNECTING
    assert "wifi.ssid" not in rig.board.nvs
    rig.poll(1000)
    status = wifi(made)
    assert status.state == pb.WifiStatus.CONNECTED
    assert status.connected.ssid == HOME
    assert (status.connected.channel, status.connected.auth_mode) == (6, 3)
    assert status.connected.bssid == b"\x02\x00\x00\x00\x00\x01"
    assert rig.board.nvs["wifi.ssid"] == HOME
    assert rig.board.nvs["wifi.pass"] == PHRASE
    assert not rig.board.uncommitted


@pytest.mark.parametrize(
    ("ssid", "passphrase", "reason"),
    [
        (HOME, b"wrong horse", pb.WifiStatus.AUTH_ERROR),
        (b"Nowhere", PHRASE, pb.WifiStatus.NETWORK_NOT_FOUND),
    ],
)
def test_a_network_that_does_not_work_is_told_with_its_reason(
    ssid: bytes, passphrase: bytes, reason: int
) -> None:
    """Three attempts, the ones left are told; then failed, the reason on the wire even when 0."""
    rig = Rig()
    made = opened(rig)
    set_network(made, ssid, passphrase)
    apply(made)
    told = []
    for _ in range(100):
        rig.poll(100)
        status = wifi(made)
        if status.state == pb.WifiStatus.CONNECTION_FAILED:
            break
        assert status.state == pb.WifiStatus.CONNECTING
        if status.HasField("attempt_failed"):
            told.append(status.attempt_failed.attempts_remaining)
    assert list(dict.fromkeys(told)) == [2, 1]
    assert len(rig.board.joins) == 3
    assert status.WhichOneof("detail") == "reason"
    assert status.reason == reason
    assert "wifi.ssid" not in rig.board.nvs


def test_a_network_that_says_nothing_is_given_up_after_a_while() -> None:
    """A radio that neither joins nor fails counts as not found after 20 s an attempt."""
    rig = Rig()
    rig.board.join_takes_ms = 10**9
    made = opened(rig)
    set_network(made, HOME, PHRASE)
    apply(made)
    rig.poll(25_000)
    assert wifi(made).attempt_failed.attempts_remaining == 2
    rig.poll(20_000)
    assert wifi(made).attempt_failed.attempts_remaining == 1
    rig.poll(22_000)
    assert wifi(made).reason == pb.WifiStatus.NETWORK_NOT_FOUND


def test_after_a_failure_another_network_may_be_set() -> None:
    """With or without the reset that ESP-IDF wants."""
    rig = Rig()
    made = opened(rig)
    set_network(made, HOME, b"wrong horse")
    apply(made)
    rig.poll(5000)
    set_network(made, HOME, PHRASE)
    apply(made)
    rig.poll(1000)
    assert wifi(made).state == pb.WifiStatus.CONNECTED


@pytest.mark.parametrize("command", [pb.Control.RESET, pb.Control.REPROVISION])
def test_a_reset_forgets_the_network(command: pb.Control.Type) -> None:
    """Disconnected, nothing in NVS; to apply without a network is an error."""
    rig = Rig()
    made = opened(rig)
    set_network(made, HOME, PHRASE)
    apply(made)
    rig.poll(1000)
    answer = pb.Control.FromString(
        made.request("prov-ctrl", pb.Control(type=command).SerializeToString())
    )
    assert (answer.status, answer.type) == (pb.SUCCESS, command + 1)
    assert wifi(made).state == pb.WifiStatus.DISCONNECTED
    assert "wifi.ssid" not in rig.board.nvs
    assert apply(made) == pb.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("ssid", "passphrase", "bssid"),
    [
        (b"", PHRASE, b""),
        (b"x" * 33, PHRASE, b""),
        (b"\xff\xfe", PHRASE, b""),
        (HOME, b"short", b""),
        (HOME, b"x" * 64, b""),
        (HOME, b"\xff" * 8, b""),
        (HOME, PHRASE, b"12345"),
    ],
)
def test_networks_that_cannot_be_are_refused(ssid: bytes, passphrase: bytes, bssid: bytes) -> None:
    """Names, passphrases and addresses of impossible length or coding: invalid argument."""
    rig = Rig()
    made = opened(rig)
    assert set_network(made, ssid, passphrase, bssid) == pb.INVALID_ARGUMENT
    assert apply(made) == pb.INTERNAL_ERROR
    assert rig.board.joins == []


def test_an_open_network_needs_no_passphrase() -> None:
    """An empty passphrase is passed on."""
    rig = Rig()
    made = opened(rig)
    assert set_network(made, "Café".encode(), b"") == pb.SUCCESS
    apply(made)
    rig.poll(1000)
    assert wifi(made).state == pb.WifiStatus.CONNECTED
    assert rig.board.joins == [("Café", "")]


def test_a_scan_gives_the_strongest_first_and_in_pages() -> None:
    """As many as asked for, from where asked for; more than there are is an error."""
    rig = Rig()
    rig.board.networks = [(f"n{i}", bytes(6), 1 + i % 13, -90 + i, 3) for i in range(70)]
    made = opened(rig)
    scan(made, _start())
    status = scan(made, pb.Scan(type=pb.Scan.GET_STATUS)).status
    assert (status.finished, status.count) == (True, 64)
    page = _page(made, 60, 4)
    assert [n.ssid for n in page.result.networks] == [b"n9", b"n8", b"n7", b"n6"]
    assert [n.rssi_dbm for n in page.result.networks] == [-81, -82, -83, -84]
    assert _page(made, 60, 5).status_code == pb.INTERNAL_ERROR
    assert not _page(made, 60, 5).result.networks
    assert _page(made, 0, 0).status_code == pb.SUCCESS
    assert _page(made, 0, 0xFFFFFFFF).status_code == pb.INTERNAL_ERROR


def test_nothing_heard_is_a_scan_too() -> None:
    """Zero networks, no error."""
    rig = Rig()
    rig.board.networks = []
    made = opened(rig)
    assert scan(made, _start()).status_code == pb.SUCCESS
    assert scan(made, pb.Scan(type=pb.Scan.GET_STATUS)).status.count == 0


def _start() -> pb.Scan:
    request = pb.Scan(type=pb.Scan.START)
    request.start.blocking = True
    return request


def _page(made: object, start: int, count: int) -> pb.Scan:
    request = pb.Scan(type=pb.Scan.GET_RESULT)
    request.get_result.start, request.get_result.count = start, count
    return scan(made, request)  # type: ignore[arg-type]
