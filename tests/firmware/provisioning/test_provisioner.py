"""Provisioning from factory state to the first accepted reading."""

from __future__ import annotations

import json

from firmware_stubs.provisioning.provisioner import forget, needed
from server.provisioning import protocomm_pb2 as pb
from tests.firmware.provisioning.board import PASSPHRASE, Board, Rig
from tests.firmware.provisioning.direct import apply, opened, set_network, wifi

GATEWAY = json.dumps({"url": "http://gw:8000", "device": "car-1", "key": "k"}).encode()


def provisioned() -> Rig:
    """Give a board that has all settings and is in its network."""
    rig = Rig()
    made = opened(rig)
    made.request("custom-data", GATEWAY)
    set_network(made, b"Home", PASSPHRASE.encode())
    apply(made)
    rig.poll(1000)
    return rig


def test_the_access_point_has_a_name_of_its_own() -> None:
    """PROV_ and digits that stay the same for this board, or the name that was given."""
    rig = Rig()
    name = rig.board.ap_name
    assert name is not None
    assert name.startswith("PROV_")
    assert len(name) == 11
    rig.reset()
    assert rig.board.ap_name == name
    assert Rig(settings={"name": "desk"}).board.ap_name == "desk"


def test_the_first_accepted_reading_ends_it() -> None:
    """Soon after, so that the client hears of Wi-Fi, the network closes and all is done."""
    rig = provisioned()
    assert needed(rig.board)
    rig.provisioner.accepted()
    assert not needed(rig.board)
    rig.poll(1000)
    assert not rig.provisioner.done
    assert rig.board.ap_name is not None
    rig.poll(2500)
    assert rig.provisioner.done
    assert rig.board.ap_name is None
    assert rig.provisioner.poll() > 0


def test_it_goes_on_until_then() -> None:
    """Wi-Fi alone does not end it: the gateway may still be refused and set anew."""
    rig = provisioned()
    rig.poll(60_000)
    assert not rig.provisioner.done
    opened(rig)


def test_a_reset_in_the_middle_loses_the_session_and_keeps_what_was_committed() -> None:
    """A network that was set and not joined is gone; the gateway's data are there."""
    rig = Rig()
    made = opened(rig)
    made.request("custom-data", GATEWAY)
    set_network(made, b"Home", PASSPHRASE.encode())
    rig.reset()
    assert rig.board.nvs["gw.url"] == b"http://gw:8000"
    assert "wifi.ssid" not in rig.board.nvs
    again = opened(rig)
    assert wifi(again).state == pb.WifiStatus.DISCONNECTED


def test_a_reset_before_the_first_reading_joins_again_and_can_still_be_provisioned() -> None:
    """The network that worked is joined; the access point is open as well."""
    rig = provisioned()
    rig.reset()
    rig.poll(1000)
    assert rig.board.joins == [("Home", PASSPHRASE)]
    assert wifi(opened(rig)).state == pb.WifiStatus.CONNECTED


def test_a_board_can_be_made_to_forget() -> None:
    """Back to factory state: all but salt and verifier are gone."""
    rig = provisioned()
    rig.provisioner.accepted()
    forget(rig.board)
    assert sorted(rig.board.nvs) == ["prov.salt", "prov.verifier"]
    assert needed(Board(nvs=rig.board.nvs))


def test_an_unstarted_provisioner_does_nothing() -> None:
    """Before start() the console is not looked at and a poll is harmless."""
    from firmware_stubs.provisioning.provisioner import Provisioner

    board = Board()
    provisioner = Provisioner(board)
    provisioner.console(b"proto-ver 1 2d\r")
    assert provisioner.poll() > 0
    assert board.nvs == {}
