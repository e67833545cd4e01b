"""How a board starts: set up at the bench, waiting for a serial host, or to be provisioned."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_stubs import logger as logger_module
from firmware_stubs import main
from tests.firmware import worlds
from tests.firmware.fake_board import FakeBoard


class FakeProvisioner:
    """Notes what the logger does with it."""

    made: list[FakeProvisioner]

    def __init__(self, hal: Any) -> None:
        self.done = False
        self.took = b""
        self.told = 0
        FakeProvisioner.made.append(self)

    def start(self) -> None:
        """Nothing."""

    def poll(self) -> int:
        """Nothing is due."""
        return 20

    def console(self, data: bytes) -> None:
        """Keep it."""
        self.took += data

    def accepted(self) -> None:
        """Be done."""
        self.told += 1
        self.done = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeProvisioner]:
    """The provisioners that loggers make."""
    FakeProvisioner.made = []
    monkeypatch.setattr(logger_module, "Provisioner", FakeProvisioner)
    return FakeProvisioner.made


def board_with(*keys: str) -> FakeBoard:
    """Give a board on which only these settings are made."""
    board = worlds.board()
    board.nvs = {key: board.nvs[key] for key in keys}
    return board


GATEWAY = ("wifi.ssid", "wifi.pass", "gw.url", "gw.device", "gw.key")


@pytest.mark.parametrize(
    ("keys", "provisions"),
    [
        ((), True),
        (GATEWAY, False),
        (("gw.device",), False),
        (("wifi.ssid", "wifi.pass"), True),
        ((*GATEWAY, "prov.done"), False),
        (("prov.done",), False),
    ],
)
def test_only_a_board_that_nobody_set_up_waits_to_be_provisioned(
    made: list[FakeProvisioner], keys: tuple[str, ...], provisions: bool
) -> None:
    """Settings from the bench, or a name alone for USB, need no provisioning."""
    board_with(*keys).restart()
    assert bool(made) == provisions


def test_a_board_reset_before_its_first_reading_was_accepted_goes_on_being_provisioned(
    made: list[FakeProvisioner],
) -> None:
    """All settings are there, but they came by provisioning and may be wrong."""
    board = board_with(*GATEWAY)
    board.nvs["prov.salt"] = b"salt"
    board.restart()
    assert len(made) == 1


def test_readings_are_taken_while_it_waits_and_are_the_first_that_the_gateway_gets(
    made: list[FakeProvisioner],
) -> None:
    """The first accepted packet ends provisioning; nothing from before is lost."""
    board = board_with()
    board.restart()
    board.run(30_000)
    assert board.gateway.uplinks == []
    for key in GATEWAY:
        board.nvs_set(key, worlds.board().nvs[key])
    board.wifi_connect("home", "passphrase")
    board.run(30_000)
    assert made[0].told == 1
    assert worlds.all_values(worlds.drained(board), 0x0C) == board.car.told[0x0C]


def test_what_the_host_types_goes_to_provisioning_as_well(made: list[FakeProvisioner]) -> None:
    """A console line of protocomm is no frame."""
    board = board_with()
    board.restart()
    board.console_in = b"proto-ver 1 2d2d2d\n"
    board.run(100)
    assert made[0].took == b"proto-ver 1 2d2d2d\n"


def test_the_boards_own_loop_polls_and_waits() -> None:
    """`main.run` starts the logger and gives the board the time until the next poll."""

    class Enough(Exception):  # noqa: N818
        pass

    class Real(FakeBoard, main.Board):
        waited = 0

        def wait(self, ms: int) -> None:
            self.waited += 1
            self.now_ms += ms
            if self.waited == 50:
                raise Enough

    board = Real(worlds.board().gateway)
    with pytest.raises(Enough):
        main.run(board)
    assert board.now_ms > 1000
    assert board.lines


def test_settings_that_make_no_sense_are_replaced() -> None:
    """A receiver's delay that is no number gives the default; one that is a number counts."""
    for value, expected in ((b"230", 230), (b"x", 60), (b"9999", 60), (b"\xff", 60)):
        board = worlds.board()
        board.nvs["gnss.delay"] = value
        assert board.restart()._clock._gnss_delay_ms == expected
