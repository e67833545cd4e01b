"""DBC files as the rig reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.can.database import DatabaseError, load_database
from sim.can.frame import CanFrame

pytest.importorskip("cantools", reason="the package cantools is not installed")

DBC = """\
VERSION ""
NS_ :
BS_:
BU_: ECM
BO_ 144 Engine: 8 ECM
 SG_ Speed : 7|16@0+ (0.25,0) [0|16383] "rpm" Vector__XXX
 SG_ Temp : 23|8@0+ (1,-40) [-40|215] "degC" Vector__XXX
 SG_ EngineCounter : 63|8@0+ (1,0) [0|255] "" Vector__XXX
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A DBC of one message."""
    path = tmp_path / "one.dbc"
    path.write_text(DBC, encoding="ascii")
    return str(path)


def test_signals_have_the_step_and_the_unit_of_the_file(path: str) -> None:
    """A step is the factor."""
    info = load_database((path,)).info("Speed")
    assert (info.name, info.unit, info.resolution, info.link) == ("Speed", "rpm", 0.25, "can")


def test_what_belongs_to_the_frame_is_not_wanted_by_itself(path: str) -> None:
    """A counter tells nothing of the car; who names it gets it."""
    database = load_database((path,))
    assert database.told_names == ("Speed", "Temp")
    assert "EngineCounter" in database.signal_names


def test_the_wanted_signals_of_a_frame_are_decoded(path: str) -> None:
    """Of a frame that the file knows; a remote one, a short one and a strange one have none."""
    decode = load_database((path,)).decoder(frozenset({"Speed"}))
    assert decode(CanFrame(0x90, bytes.fromhex("1F40520000000007"))) == {"Speed": 2000.0}
    assert decode(CanFrame(0x91, bytes(8))) == {}
    assert decode(CanFrame(0x90, bytes(8), is_extended=True)) == {}
    assert decode(CanFrame(0x90, is_remote=True)) == {}
    assert decode(CanFrame(0x90, b"\x1f")) == {}


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    """With what is wrong in it."""
    path = tmp_path / "bad.dbc"
    path.write_text("BO_ what", encoding="ascii")
    with pytest.raises(DatabaseError, match=r"bad\.dbc: expected a DBC file"):
        load_database((str(path),))
