"""Each family of chips obeys the commands that gateways and gpsd send it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss.commands import NmeaCommand, UbxCommand, ubx_frame
from sim.gnss.dialects import COLD, HOT, WARM, dialect
from sim.gnss.fields import sentence

DONE, FAILED, UNSUPPORTED = b",3*", b",2*", b",1*"


class Controls:
    """Notes what a dialect asks of the receiver."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def set_baud(self, baud: int) -> None:
        self.asked.append(("baud", baud))

    def set_rate(self, rate_hz: float) -> bool:
        self.asked.append(("rate", rate_hz))
        return rate_hz <= 10.0

    def set_every(self, name: str, epochs: int) -> bool:
        self.asked.append((name, epochs))
        return name != "GBS"

    def reset_sentences(self) -> None:
        self.asked.append(("reset",))

    def restart(self, kind: int) -> None:
        self.asked.append(("restart", kind))


def _nmea(family: Any, text: str) -> tuple[list[tuple[Any, ...]], bytes]:
    controls = Controls()
    answers = dialect(family).obey(NmeaCommand(tuple(text.split(","))), controls)
    return controls.asked, b"".join(answers)


def _ubx(message_id: int, payload: bytes, message_class: int = 6) -> tuple[list[Any], bytes]:
    controls = Controls()
    answers = dialect("ublox").obey(UbxCommand(message_class, message_id, payload), controls)
    return controls.asked, b"".join(answers)


@pytest.mark.parametrize(
    ("text", "asked", "flag"),
    [
        ("PMTK220,100", [("rate", 10.0)], DONE),
        ("PMTK220,50", [("rate", 20.0)], FAILED),
        ("PMTK220", [], FAILED),
        ("PMTK220,0", [], FAILED),
        ("PMTK300,1000,0,0,0,0", [("rate", 1.0)], DONE),
        ("PMTK314,-1", [("reset",)], DONE),
        ("PMTK314,1,1", [], FAILED),
        ("PMTK000", [], DONE),
        ("PMTK999,1", [], UNSUPPORTED),
    ],
)
def test_mtk_acknowledges(text: str, asked: list[Any], flag: bytes) -> None:
    """An MTK answers PMTK001 with the command's number and how it went."""
    got, answer = _nmea("mtk", text)
    assert got == asked
    assert answer.startswith(b"$PMTK001," + str(int(text[4:7])).encode())
    assert flag in answer


def test_mtk_chooses_sentences() -> None:
    """The well-known "RMC and GGA only" of PMTK314 sets each place of the list."""
    got, answer = _nmea("mtk", "PMTK314,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0")
    assert got == [
        ("GLL", 0), ("RMC", 1), ("VTG", 0), ("GGA", 1), ("GSA", 0), ("GSV", 0), ("ZDA", 0),
    ]  # fmt: skip
    assert answer == sentence("PMTK001,314,3")


def test_mtk_changes_baud_without_an_answer() -> None:
    """PMTK251 takes effect at once; nonsense rates are ignored, 0 is the rate out of the box."""
    assert _nmea("mtk", "PMTK251,115200") == ([("baud", 115200)], b"")
    assert _nmea("mtk", "PMTK251,0") == ([("baud", 9600)], b"")
    assert _nmea("mtk", "PMTK251,7") == ([], b"")


def test_mtk_tells_its_firmware() -> None:
    """PMTK605 is answered with PMTK705."""
    assert _nmea("mtk", "PMTK605")[1].startswith(b"$PMTK705,AXN")


@pytest.mark.parametrize(
    ("family", "text", "kind"),
    [
        ("mtk", "PMTK101", HOT),
        ("mtk", "PMTK102", WARM),
        ("mtk", "PMTK104", COLD),
        ("sirf", "PSRF101,0,0,0,0,0,0,12,1", HOT),
        ("sirf", "PSRF101,0,0,0,0,0,0,12,4", COLD),
    ],
)
def test_restarts(family: str, text: str, kind: int) -> None:
    """Restart commands carry their kind."""
    assert _nmea(family, text)[0] == [("restart", kind)]


def test_sirf() -> None:
    """PSRF100 sets the baud, PSRF103 a sentence's interval; neither is answered."""
    assert _nmea("sirf", "PSRF100,1,38400,8,1,0") == ([("baud", 38400)], b"")
    assert _nmea("sirf", "PSRF103,05,00,01,01") == ([("VTG", 1)], b"")
    assert _nmea("sirf", "PSRF103,99,00,01,01") == ([], b"")


def test_pubx() -> None:
    """PUBX,41 sets the baud, PUBX,40 a sentence on UART1; neither is answered."""
    assert _nmea("ublox", "PUBX,41,1,0007,0003,38400,0") == ([("baud", 38400)], b"")
    assert _nmea("ublox", "PUBX,40,GSV,0,0,0,0,0,0") == ([("GSV", 0)], b"")
    assert _nmea("ublox", "PUBX,00") == ([], b"")


def _u2(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _u4(value: int) -> bytes:
    return value.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("message_id", "payload", "asked", "good"),
    [
        (0x08, _u2(100) + _u2(1) + _u2(1), [("rate", 10.0)], True),
        (0x08, _u2(10) + _u2(1) + _u2(1), [("rate", 100.0)], False),
        (0x08, b"\x00", [], False),
        (0x00, bytes(8) + _u4(115200) + bytes(8), [("baud", 115200)], True),
        (0x00, bytes(8) + _u4(1) + bytes(8), [], False),
        (0x01, bytes((0xF0, 3, 0)), [("GSV", 0)], True),
        (0x01, bytes((0xF0, 4, 0, 5, 0, 0, 0, 0)), [("RMC", 5)], True),
        (0x01, bytes((0x01, 7, 1)), [], False),
        (0x8A, bytes(4) + _u4(0x30210001) + _u2(200), [("rate", 5.0)], True),
        (0x8A, bytes(4) + _u4(0x40520001) + _u4(38400), [("baud", 38400)], True),
        (0x8A, bytes(4) + _u4(0x30210001) + b"\x01", [], False),
        (0x09, bytes(13), [], True),
        (0x3E, b"\x00\x00\x20\x00", [], False),
    ],
)
def test_ubx_cfg(message_id: int, payload: bytes, asked: list[Any], good: bool) -> None:
    """A configuration frame is done and acknowledged, or refused with NAK."""
    got, answer = _ubx(message_id, payload)
    assert got == asked
    assert answer == ubx_frame(0x05, int(good), bytes((6, message_id)))


def test_ubx_version_and_silence() -> None:
    """MON-VER is answered; frames of other classes are not."""
    assert b"EXT CORE" in _ubx(0x04, b"", message_class=0x0A)[1]
    assert _ubx(0x07, b"", message_class=0x01) == ([], b"")
    assert _ubx(0x04, b"\xff\xff\x02\x00") == ([("restart", COLD)], b"")


WORDS = st.sampled_from(
    ["PMTK220", "PMTK251", "PMTK314", "PMTK9", "PMTK", "PMTKx", "PUBX", "40", "41", "PSRF100",
     "PSRF101", "PSRF103", "GSV", "", "0", "1", "-1", "999999999999999999999", "1e9", "x"]
)  # fmt: skip


@given(st.sampled_from(["ublox", "mtk", "sirf"]), st.lists(WORDS, min_size=1, max_size=22))
def test_any_fields(family: Any, fields: list[str]) -> None:
    """No combination of fields raises."""
    dialect(family).obey(NmeaCommand(tuple(fields)), Controls())


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=64))
def test_any_frame(message_class: int, message_id: int, payload: bytes) -> None:
    """No frame raises."""
    _ubx(message_id, payload, message_class)
    _ubx(message_id, payload)
