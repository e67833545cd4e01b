"""Provisioning over the console's lines."""

from __future__ import annotations

import pytest

from tests.firmware.provisioning.board import Rig


def typed(rig: Rig, data: bytes) -> bytes:
    """Type something and give what the board prints."""
    rig.board.console_out.clear()
    rig.provisioner.console(data)
    rig.poll()
    return bytes(rig.board.console_out)


def test_a_line_is_answered_by_a_line() -> None:
    """The line as understood, the answer in hexadecimal digits, the prompt."""
    printed = typed(Rig(), b"proto-ver 17 2d2d2d\r")
    echo, answer, prompt = printed.split(b"\r\n")
    assert echo == b"proto-ver 17 2d2d2d"
    assert b'"sec_ver": 2' in bytes.fromhex(answer.decode())
    assert prompt == b"\n>> "


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"prov-config 1 00ff", b"error 500 no secure session"),
        (b"prov-session 1 ff", b"error 500 message: "),
        (b"prov-session 1", b"error 500 expected: endpoint, session number"),
        (b"prov-session", b"error 500 expected"),
        (b"prov-session one 00", b"error 500 expected"),
        (b"prov-session 1 0", b"error 500 expected"),
        (b"prov-session 1 zz", b"error 500 expected"),
        (b"prov-session 1 00 00", b"error 500 expected"),
        (b"prov-session 12345678901 00", b"error 500 expected"),
    ],
)
def test_wrong_lines_are_told(line: bytes, told: bytes) -> None:
    """A line `error <status> <reason>`, then the prompt; never nothing."""
    printed = typed(Rig(), line + b"\r\n")
    assert b"\r\n" + told in printed
    assert printed.endswith(b"\r\n\n>> ")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"help\r",
        b"I (312) wifi: ready\r\n",
        b"\xfa\xf5\x01\x05\x00\x99hello\r\n",
        b"proto-ver\xff 1 2d\r",
        b"proto-ver 1 " + b"2d" * 5000 + b"\r",
        b"proto-ver 1 2d2d2d",
    ],
)
def test_what_is_no_command_is_left_alone(data: bytes) -> None:
    """Other text, the logger's frames, lines that are too long or have no end: no answer."""
    assert typed(Rig(), data) == b""


def test_lines_may_come_in_pieces_and_go_out_in_pieces() -> None:
    """A console that takes seven bytes at a time gets all of the answer."""
    rig = Rig()
    rig.board.console_room = 7
    for byte in b"proto-ver 17 2d2d2d\r":
        rig.provisioner.console(bytes([byte]))
    for _ in range(100):
        rig.provisioner.poll()
    assert rig.board.console_out.endswith(b"\r\n\n>> ")
    assert rig.board.console_out.startswith(b"proto-ver 17 2d2d2d\r\n7b22")


def test_sessions_of_console_and_network_exclude_each_other() -> None:
    """The device has one session, whatever the way to it."""
    from tests.firmware.provisioning.direct import opened

    rig = Rig()
    opened(rig)
    assert b"error 503 another client" in typed(rig, b"prov-session 5 00\r")
