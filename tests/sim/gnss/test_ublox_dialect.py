"""A u-blox chip obeys PUBX and UBX-CFG, answers polls, and acknowledges or refuses."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import pyubx2
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss import PROFILES
from sim.gnss.commands import NmeaCommand, UbxCommand, ubx_frame
from sim.gnss.dialects import COLD, HOT, WARM
from sim.gnss.ublox_dialect import UbloxDialect
from tests.sim.gnss.noted_controls import NotedControls

CFG, MON, NAV = 0x06, 0x0A, 0x01


class Chip:
    """A dialect with noted controls."""

    def __init__(self, profile: str = "ublox_m8") -> None:
        self.dialect = UbloxDialect(PROFILES[profile])
        self.controls = NotedControls()

    def send(self, message_class: int, message_id: int, payload: bytes = b"") -> list[bytes]:
        command = UbxCommand(message_class, message_id, payload)
        return self.dialect.obey(command, self.controls)

    def nmea(self, text: str) -> list[bytes]:
        return self.dialect.obey(NmeaCommand(tuple(text.split(","))), self.controls)

    def poll(self, message_class: int, message_id: int, payload: bytes = b"") -> Any:
        """The parsed answer; polls of class CFG are acknowledged behind it."""
        first, *rest = self.send(message_class, message_id, payload)
        if message_class == CFG:
            assert rest == [_ack(message_id)]
        return pyubx2.UBXReader.parse(first, validate=pyubx2.VALCKSUM)


def _ack(message_id: int, good: bool = True) -> bytes:
    return ubx_frame(0x05, int(good), bytes((CFG, message_id)))


def _u2(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def _u4(value: int) -> bytes:
    return struct.pack("<I", value)


def _prt(port: int, baud: int, inputs: int, outputs: int) -> bytes:
    return struct.pack("<BBHIIHHHH", port, 0, 0, 0x8D0, baud, inputs, outputs, 0, 0)


@pytest.mark.parametrize(
    ("message_id", "payload", "asked", "good"),
    [
        (0x08, _u2(100, 1, 1), [("rate", 10.0)], True),
        (0x08, _u2(100, 2, 1), [("rate", 5.0)], True),
        (0x08, _u2(10, 1, 1), [("rate", 100.0)], False),
        (0x08, _u2(100, 0, 1), [], False),
        (0x08, b"\x00", [], False),
        (0x00, _prt(1, 115200, 7, 3), [("baud", 115200), ("output", True, True)], True),
        (0x00, _prt(1, 115200, 7, 1), [("baud", 115200), ("output", False, True)], True),
        (0x00, _prt(3, 0, 7, 0), [], True),
        (0x00, _prt(9, 0, 7, 0), [], False),
        (0x00, _prt(1, 1, 7, 3), [], False),
        (0x01, bytes((0xF0, 3, 0)), [("GSV", 0)], True),
        (0x01, bytes((0xF0, 4, 0, 5, 0, 0, 0, 0)), [("RMC", 5)], True),
        (0x01, bytes((0x01, 7, 1)), [("NAV-PVT", 1)], True),
        (0x01, bytes((0x01, 0x26, 255)), [("NAV-TIMELS", 255)], True),
        (0x01, bytes((0x01, 0x99, 1)), [("", 1)], False),
        (0x8A, bytes(4) + _u4(0x30210001) + _u2(200), [], False),
        (0x09, bytes(13), [], True),
        (0x3E, b"\x00\x00\x20\x00", [], False),
        (0x77, b"", [], False),
    ],
)
def test_a_configuration_is_done_or_refused(
    message_id: int, payload: bytes, asked: list[Any], good: bool
) -> None:
    """A frame of class CFG is answered with ACK-ACK when it was done, else with ACK-NAK."""
    chip = Chip()
    assert chip.send(CFG, message_id, payload) == [_ack(message_id, good)]
    assert chip.controls.asked == asked


@pytest.mark.parametrize(
    ("profile", "version", "firmware"),
    [
        ("ublox_m8", b"ROM CORE 3.01 (107888)", b"PROTVER=18.00"),
        ("ublox_m9", b"EXT CORE 4.04 (7f89f7)", b"PROTVER=32.01"),
    ],
)
def test_each_generation_tells_its_version(profile: str, version: bytes, firmware: bytes) -> None:
    """MON-VER carries software, hardware, and the protocol version that decides what gpsd asks."""
    answer = Chip(profile).poll(MON, 0x04)
    assert answer.swVersion.rstrip(b"\0") == version
    extensions = [value for name, value in vars(answer).items() if name.startswith("extension")]
    assert firmware in [text.rstrip(b"\0") for text in extensions]


def test_the_port_is_told_and_kept() -> None:
    """A poll of CFG-PRT names UART1, its baud and its protocols, also after they were set."""
    chip = Chip()
    before = chip.poll(CFG, 0x00)
    assert (before.portID, before.baudRate, before.outUBX, before.outNMEA) == (1, 9600, 1, 1)
    chip.send(CFG, 0x00, _prt(1, 38400, 7, 1))
    after = chip.poll(CFG, 0x00, b"\1")
    assert (after.baudRate, after.outUBX, after.outNMEA, after.inNMEA) == (38400, 1, 0, 1)


def test_another_port_is_kept_and_changes_nothing_here() -> None:
    """What is set for USB is read back, and the line of UART1 stays as it is."""
    chip = Chip()
    payload = _prt(3, 0, 1, 1)
    chip.send(CFG, 0x00, payload)
    assert chip.send(CFG, 0x00, b"\3") == [ubx_frame(CFG, 0x00, payload), _ack(0x00)]
    assert chip.controls.asked == []
    assert chip.poll(CFG, 0x00, b"\2").portID == 2


def test_a_stick_is_at_usb() -> None:
    """A USB stick tells port 3 and takes its own column of CFG-MSG."""
    chip = Chip("ublox_m8_usb")
    assert chip.poll(CFG, 0x00).portID == 3
    chip.send(CFG, 0x01, bytes((0x01, 7, 0, 9, 0, 2, 0, 0)))
    assert chip.controls.asked == [("NAV-PVT", 2)]


def test_without_ubx_output_nothing_is_acknowledged() -> None:
    """A port that lets out NMEA alone still obeys, silently."""
    chip = Chip()
    assert chip.send(CFG, 0x00, _prt(1, 9600, 7, 2)) == []
    assert chip.send(CFG, 0x01, bytes((0xF0, 3, 0))) == []
    assert chip.controls.asked[-1] == ("GSV", 0)
    assert chip.send(MON, 0x04) == []


def test_a_protocol_that_is_not_let_in_is_not_heard() -> None:
    """After the input mask closes UBX or NMEA, commands of it change nothing."""
    chip = Chip()
    chip.send(CFG, 0x00, _prt(1, 9600, 1, 3))
    chip.controls.asked.clear()
    chip.nmea("PUBX,40,GSV,0,0,0,0,0,0")
    chip.send(CFG, 0x00, _prt(1, 9600, 2, 3))
    chip.controls.asked.clear()
    assert chip.send(CFG, 0x01, bytes((0xF0, 3, 0))) == []
    assert chip.controls.asked == []
    chip.nmea("PUBX,40,GSV,0,0,0,0,0,0")
    assert chip.controls.asked == [("GSV", 0)]


def test_intervals_and_rate_are_read_back() -> None:
    """Polls of CFG-MSG and CFG-RATE tell what was set."""
    chip = Chip()
    chip.send(CFG, 0x01, bytes((0x01, 7, 4)))
    chip.send(CFG, 0x08, _u2(200, 1, 1))
    answer = chip.poll(CFG, 0x01, bytes((0x01, 7)))
    assert (answer.rateUART1, answer.rateUSB) == (4, 0)
    assert chip.poll(CFG, 0x08).measRate == 200
    assert chip.send(CFG, 0x01, bytes((0x01, 0x99))) == [_ack(0x01, False)]


def test_polls_of_navigation_messages() -> None:
    """NAV-PVT asked for without data comes with the next epoch; unknown classes are ignored."""
    chip = Chip()
    assert chip.send(NAV, 0x07) == []
    assert chip.send(NAV, 0x99) == []
    assert chip.send(0x77, 0x07) == []
    assert chip.controls.asked == [("once", "NAV-PVT")]


@pytest.mark.parametrize(
    ("cleared", "kind"), [(b"\x00\x00", HOT), (b"\x01\x00", WARM), (b"\xff\xff", COLD)]
)
def test_restarts_are_not_acknowledged(cleared: bytes, kind: int) -> None:
    """CFG-RST carries its kind and is never answered."""
    chip = Chip()
    assert chip.send(CFG, 0x04, cleared + b"\x02\x00") == []
    assert chip.controls.asked == [("restart", kind)]


def test_pubx() -> None:
    """PUBX,41 sets baud and protocols, PUBX,40 a sentence on UART1; neither is answered."""
    chip = Chip()
    chip.nmea("PUBX,41,1,0007,0003,38400,0")
    chip.nmea("PUBX,40,GSV,0,0,0,0,0,0")
    chip.nmea("PUBX,41,1,0007,0001,38400,0")
    assert chip.controls.asked == [
        ("baud", 38400), ("output", True, True), ("GSV", 0),
        ("baud", 38400), ("output", False, True),
    ]  # fmt: skip
    chip.controls.asked.clear()
    for ignored in ("PUBX,00", "PUBX,41,3,0007,0003,38400,0", "PUBX,40,NAV-PVT,1,1,1,1,1,0"):
        assert chip.nmea(ignored) == []
    assert chip.controls.asked == []


WORDS = st.sampled_from(["PUBX", "40", "41", "GSV", "", "0", "1", "-1", "9" * 21, "1e9", "ffff"])


@given(st.sampled_from(["ublox_m8", "ublox_m9"]), st.lists(WORDS, min_size=1, max_size=12))
def test_any_fields(profile: str, fields: list[str]) -> None:
    """No combination of fields raises."""
    chip = Chip(profile)
    chip.dialect.obey(NmeaCommand(tuple(fields)), chip.controls)


FRAMES = st.tuples(
    st.sampled_from([0x01, 0x06, 0x0A, 0x99]),
    st.sampled_from([0x00, 0x01, 0x04, 0x07, 0x08, 0x13, 0x24, 0x31, 0x3E, 0x8A, 0x8B, 0x99]),
    st.binary(max_size=64),
)


@given(st.sampled_from(["ublox_m8", "ublox_m9"]), st.lists(FRAMES, max_size=8))
def test_any_frames(profile: str, frames: list[tuple[int, int, bytes]]) -> None:
    """No row of frames raises, and what is answered is well formed."""
    chip = Chip(profile)
    for frame in frames:
        for answer in chip.send(*frame):
            assert pyubx2.UBXReader.parse(answer, validate=pyubx2.VALCKSUM) is not None
