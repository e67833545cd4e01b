"""MTK and SiRF chips obey the commands that gateways and gpsd send them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss import PROFILES
from sim.gnss.commands import NmeaCommand, UbxCommand
from sim.gnss.dialects import COLD, HOT, WARM, dialect
from sim.gnss.fields import sentence
from tests.sim.gnss.noted_controls import NotedControls

DONE, FAILED, UNSUPPORTED = b",3*", b",2*", b",1*"


CHIPS = {"ublox": PROFILES["ublox_m8"], "mtk": PROFILES["mt3339"], "sirf": PROFILES["sirf"]}


def _nmea(family: str, text: str) -> tuple[list[tuple[Any, ...]], bytes]:
    controls = NotedControls()
    answers = dialect(CHIPS[family]).obey(NmeaCommand(tuple(text.split(","))), controls)
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


def test_sirf_stays_with_nmea() -> None:
    """gpsd's probe for the binary protocol changes nothing: the firmware has NMEA alone."""
    assert _nmea("sirf", "PSRF100,0,38400,8,1,0") == ([], b"")


WORDS = st.sampled_from(
    ["PMTK220", "PMTK251", "PMTK314", "PMTK9", "PMTK", "PMTKx", "PUBX", "40", "41", "PSRF100",
     "PSRF101", "PSRF103", "GSV", "", "0", "1", "-1", "999999999999999999999", "1e9", "x"]
)  # fmt: skip


@given(st.sampled_from(sorted(CHIPS)), st.lists(WORDS, min_size=1, max_size=22))
def test_any_fields(family: str, fields: list[str]) -> None:
    """No combination of fields raises."""
    dialect(CHIPS[family]).obey(NmeaCommand(tuple(fields)), NotedControls())


@given(st.sampled_from(["mtk", "sirf"]), st.integers(0, 255), st.binary(max_size=64))
def test_other_chips_are_deaf_to_ubx(family: str, number: int, payload: bytes) -> None:
    """No UBX frame is answered or obeyed by a chip of another vendor."""
    controls = NotedControls()
    assert dialect(CHIPS[family]).obey(UbxCommand(6, number, payload), controls) == []
    assert controls.asked == []
