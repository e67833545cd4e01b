"""The way to the device over Bluetooth, against a stand-in (tests/server/provisioning/gatt.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from bleak.exc import BleakError

from server.provisioning.client import DeviceClient
from server.provisioning.errors import DeviceUnreachable, ProvisionError, RequestRefused
from server.provisioning.session import SecureSession
from server.provisioning.transport_ble import BleakBluetooth, BleTransport
from tests.firmware.provisioning.board import PASSPHRASE, Rig
from tests.firmware.provisioning.direct import PASSWORD, USER
from tests.server.provisioning.gatt import Air, Peripheral


@pytest.fixture
def peripheral() -> Peripheral:
    """A board with named characteristics."""
    return Peripheral(Rig())


@pytest.fixture
def transport(peripheral: Peripheral) -> Iterator[BleTransport]:
    """A transport that hears it as PROV_1."""
    made = BleTransport("PROV_1", Air(peripheral))
    yield made
    made.close()
    assert not peripheral.is_connected


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.promise("D13")
def test_a_whole_run_over_characteristics(described: bool) -> None:
    """Endpoints are found by their names, or by ESP-IDF's ids; no answer is over 512 bytes."""
    rig = Rig()
    rig.board.networks = [("n" * 30 + f"{i:02}", bytes(6), 1, -i, 3) for i in range(30)]
    rig.board.networks.append(("Home", bytes(6), 1, -90, 3))
    peripheral = Peripheral(rig, described=described)
    transport = BleTransport("PROV_1", Air(peripheral))
    session = SecureSession(transport, USER, PASSWORD)
    session.open()
    client = DeviceClient(session, transport.networks_per_answer)
    client.set_gateway("http://gw:8000", "car-1", "key")
    assert len(client.scan()) == 31
    client.set_network("Home", PASSPHRASE)
    rig.poll(1000)
    assert client.wifi_state().state == "connected"
    transport.close()
    assert peripheral.longest > 400


def test_a_failed_write_is_a_refusal(transport: BleTransport) -> None:
    """While the connection holds, an error of the device means no."""
    with pytest.raises(RequestRefused, match="Unlikely Error"):
        transport.exchange("prov-config", b"x")


def test_a_wrong_password_over_bluetooth(transport: BleTransport) -> None:
    """Told like over HTTP."""
    with pytest.raises(ProvisionError, match="refused user"):
        SecureSession(transport, USER, "wrong").open()


def test_a_lost_connection_is_told(peripheral: Peripheral, transport: BleTransport) -> None:
    """With the next step."""
    transport.exchange("proto-ver", b"---")
    peripheral.fails = BleakError("disconnected")
    with pytest.raises(DeviceUnreachable, match="is Bluetooth switched on here"):
        transport.exchange("proto-ver", b"---")


def test_an_endpoint_that_is_not_there_is_a_refusal(transport: BleTransport) -> None:
    """As 404 over HTTP."""
    with pytest.raises(RequestRefused) as caught:
        transport.exchange("other", b"x")
    assert caught.value.status == 404


def test_a_device_that_is_not_heard_is_told() -> None:
    """After the scan."""
    transport = BleTransport("PROV_2", Air(None))
    with pytest.raises(DeviceUnreachable, match="heard none"):
        transport.exchange("proto-ver", b"---")
    transport.close()


def test_a_device_without_the_service_is_told(peripheral: Peripheral) -> None:
    """Some other Bluetooth thing of that name."""
    del peripheral.services[1]
    transport = BleTransport("PROV_1", Air(peripheral))
    with pytest.raises(DeviceUnreachable, match="expected the provisioning service"):
        transport.exchange("proto-ver", b"---")
    transport.close()


def test_without_bleak_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported only when it is used."""
    monkeypatch.setitem(sys.modules, "bleak.exc", None)
    transport = BleTransport("PROV_1", BleakBluetooth())
    with pytest.raises(DeviceUnreachable, match=r"pip install 'telerig\[provision\]'"):
        transport.exchange("proto-ver", b"---")
