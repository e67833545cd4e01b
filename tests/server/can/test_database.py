"""Database files, good and bad."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from server.can.database import load_messages
from server.can.frame import EXTENDED
from server.config_section import Section, Where
from server.errors import ConfigError
from tests.server.can.fakes import CAR, ENGINE, HEAD, SPEED, write_dbc

WHERE = Where("gateway.toml", ("links", "can"), {("links", "can"): 3, ("links", "can", "dbc"): 5})

KCD = """<NetworkDefinition xmlns="http://kayak.2codeornot2code.org/1.0">
 <Document name="x"/><Bus name="B"><Message id="0x291" name="Body" length="8">
 <Signal name="Door" offset="0" length="1"/></Message></Bus></NetworkDefinition>
"""
SYM = """FormatVersion=6.0 // Do not edit this line!
Title="x"

{SIGNALS}
Sig=LampOn unsigned 8

{SENDRECEIVE}

[Lamp]
ID=300h
Len=8
Sig=LampOn 0
"""


def load(*files: str, **keys: object):
    """Load as a link's table names them."""
    table = {"dbc": files[0] if len(files) == 1 else list(files), **keys}
    return load_messages(Section(table, WHERE))


def refusal(*files: str, **keys: object) -> str:
    """The message with which files are refused."""
    with pytest.raises(ConfigError) as caught:
        load(*files, **keys)
    return str(caught.value)


def test_several_formats_together(tmp_path: Path) -> None:
    """DBC, KCD and SYM in one link."""
    files = [
        write_dbc(tmp_path),
        write_dbc(tmp_path, KCD, "body.kcd"),
        write_dbc(tmp_path, SYM, "lamp.sym"),
    ]
    found = {(one.name, one.can_id) for one in load(*files)}
    assert found == {("EngineData", 291), ("SpeedData", 292), ("Body", 0x291), ("Lamp", 0x300)}


def test_width_of_identifiers(tmp_path: Path) -> None:
    """Bit 31 of a DBC's number says 29 bits."""
    text = HEAD + SPEED.replace("292", str(EXTENDED | 0x18FEF100))
    (one,) = load(write_dbc(tmp_path, text))
    assert one.can_id == EXTENDED | 0x18FEF100


def test_messages_without_signals_are_left_out(tmp_path: Path) -> None:
    """And so is Vector's place for signals that are in no message."""
    text = HEAD + SPEED + "BO_ 5 Empty: 8 Car\n\n"
    text += "BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX\n\n"
    assert [one.name for one in load(write_dbc(tmp_path, text))] == ["SpeedData"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """A degree is a degree, whatever editor wrote it."""
    path = tmp_path / "car.dbc"
    path.write_text(CAR.replace("degC", "°C"), encoding=encoding)
    engine = load(str(path))[0].message
    assert engine.get_signal_by_name("OilTemp").unit == "°C"


def test_a_missing_file(tmp_path: Path) -> None:
    """The place is the configuration's: file and line of the key."""
    said = refusal(f"{tmp_path}/nosuch.dbc")
    assert said.startswith("gateway.toml:5: expected a readable database file for links.can.dbc")
    assert said.endswith("nosuch.dbc: No such file or directory")


def test_another_kind_of_file(tmp_path: Path) -> None:
    """The end of the name tells the format."""
    assert "ends with .dbc, .kcd, .sym, .arxml" in refusal(write_dbc(tmp_path, "x", "a.txt"))


def test_no_text_of_that_format(tmp_path: Path) -> None:
    """cantools' words, with the line where it tells one."""
    bad = write_dbc(tmp_path, CAR.replace("BO_ 292", "BO_ oops"), "bad.dbc")
    said = refusal(bad)
    assert re.match(rf"{re.escape(bad)}:\d+: expected a DBC file that cantools can read", said)
    assert CAR.splitlines()[int(said.split(":")[1]) - 1].startswith("BO_ 292")
    assert "that cantools can read" in refusal(write_dbc(tmp_path, "<x", "bad.kcd"))
    assert "that cantools can read" in refusal(write_dbc(tmp_path, "\0\1\2", "bad.sym"))
    assert "that cantools can read" in refusal(write_dbc(tmp_path, "", "bad.arxml"))


def test_overlapping_signals(tmp_path: Path) -> None:
    """Both are named, with the line of one."""
    text = CAR.replace("Gear : 24|4", "Gear : 20|4")
    said = refusal(write_dbc(tmp_path, text))
    assert "OilTemp and Gear overlap in message EngineData" in said or (
        "Gear and OilTemp overlap in message EngineData" in said
    )
    line = text.splitlines()[int(said.split(":")[1]) - 1]
    assert "SG_ OilTemp" in line or "SG_ Gear" in line


def test_a_signal_beyond_its_message(tmp_path: Path) -> None:
    """It is named, with its line."""
    text = CAR.replace("Gear : 24|4", "Gear : 62|4")
    said = refusal(write_dbc(tmp_path, text))
    assert "Gear does not fit in EngineData" in said
    assert "SG_ Gear" in text.splitlines()[int(said.split(":")[1]) - 1]


def test_what_is_not_wanted_may_overlap(tmp_path: Path) -> None:
    """Files that people made by watching a bus are full of that: the key signals is the way out."""
    overlap = write_dbc(tmp_path, CAR.replace("Gear : 24|4", "Gear : 20|4"), "overlap.dbc")
    assert "or choose with the key signals" in refusal(overlap)
    for wanted in ("VehicleSpeed", "Gear", "EngineData.Gear"):
        assert len(load(overlap, signals={wanted: 10})) == 2
    assert "overlap in message" in refusal(overlap, signals={"Gear": 10, "OilTemp": "all"})
    misfit = write_dbc(tmp_path, CAR.replace("Gear : 24|4", "Gear : 62|4"), "misfit.dbc")
    assert "or choose with the key signals" in refusal(misfit)
    assert len(load(misfit, signals={"OilTemp": 10})) == 2
    assert "Gear does not fit" in refusal(misfit, signals={"Gear": 10})


def test_the_multiplexer_of_a_wanted_signal_counts_as_wanted(tmp_path: Path) -> None:
    """It is read, too."""
    text = CAR.replace("Gear : 24|4", "Gear M : 62|4").replace("OilTemp :", "OilTemp m1 :")
    assert "Gear does not fit" in refusal(write_dbc(tmp_path, text), signals={"OilTemp": 10})


def test_an_identifier_of_29_bits_without_its_flag(tmp_path: Path) -> None:
    """The line is told, and the number that should stand there."""
    text = CAR.replace("BO_ 292", "BO_ 274926592")
    said = refusal(write_dbc(tmp_path, text))
    assert text.splitlines()[int(said.split(":")[1]) - 1].startswith("BO_ 274926592")
    assert "add 2147483648: 2422410240" in said


def test_values_of_a_signal_that_there_is_not(tmp_path: Path) -> None:
    """cantools refuses them; the line is told."""
    text = CAR + 'VAL_ 291 Nothing 0 "no" 1 "yes" ;\n'
    said = refusal(write_dbc(tmp_path, text))
    assert "VAL_ 291 Nothing" in said
    assert text.splitlines()[int(said.split(":")[1]) - 1].startswith("VAL_ 291 Nothing")


def test_a_signal_defined_twice_is_refused_where_it_is_chosen(tmp_path: Path) -> None:
    """Two layouts of one name are no layout."""
    text = (HEAD + ENGINE + SPEED).replace("SG_ Gear :", "SG_ OilTemp :")
    said = refusal(write_dbc(tmp_path, text), signals={"OilTemp": 10})
    assert "OilTemp and OilTemp overlap" in said


def test_messages_longer_than_a_frame_are_left_out(tmp_path: Path) -> None:
    """J1939 files have them; no frame ever fits. Checking one of 100,000 bytes would take hours."""
    text = CAR + 'BO_ 400 Long: 100000 Car\n SG_ Name : 0|8@1+ (1,0) [0|0] "" Car\n\n'
    assert [one.name for one in load(write_dbc(tmp_path, text))] == ["EngineData", "SpeedData"]
    said = refusal(write_dbc(tmp_path, text), signals={"Name": 10})
    assert "Name in message Long of 100000 bytes" in said
    assert "SG_ Name" in text.splitlines()[int(said.split(":")[1]) - 1]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("24|4@1+", "24|0@1+", "Gear length 0"),
        ("24|4@1+ (1,0)", "24|4@1+ (0,0)", "factor 0"),
        ("24|4@1+ (1,0)", "24|4@1+ (1e400,0)", "factor inf"),
        ("24|4@1+ (1,0)", "24|4@1+ (1,1e400)", "offset inf"),
        ("24|4@1+", "24|4@1-", "a float of 4 bits"),
    ],
)
def test_numbers_that_make_no_value(tmp_path: Path, old: str, new: str, found: str) -> None:
    """The signal's line is told."""
    text = CAR.replace(f"Gear : {old}", f"Gear : {new}")
    if "float" in found:
        text += "SIG_VALTYPE_ 291 Gear : 1;\n"
    said = refusal(write_dbc(tmp_path, text))
    assert found in said
    assert "SG_ Gear" in text.splitlines()[int(said.split(":")[1]) - 1]
    if "length" not in found:  # that one cantools refuses, wanted or not
        assert load(write_dbc(tmp_path, text), signals={"OilTemp": 1})


def test_a_signal_without_a_name(tmp_path: Path) -> None:
    """KCD lets one write that."""
    assert "a name" in refusal(write_dbc(tmp_path, KCD.replace('"Door"', '" "'), "body.kcd"))


def test_an_error_is_one_line_of_text(tmp_path: Path) -> None:
    """Whatever bytes a file has, a terminal takes no harm."""
    said = refusal(write_dbc(tmp_path, "PK\x03\x04\x1b[2J\0\r\n", "zip.dbc"))
    assert said.isprintable()


def test_a_folder(tmp_path: Path) -> None:
    """Its name may end as a file's."""
    (tmp_path / "car.dbc").mkdir()
    assert "a readable database file" in refusal(f"{tmp_path}/car.dbc")


def test_one_identifier_twice(tmp_path: Path) -> None:
    """In one file or in two: cantools would let the last one win."""
    text = HEAD + ENGINE + SPEED.replace("292", "291")
    said = refusal(write_dbc(tmp_path, text))
    assert "123 is SpeedData here and EngineData in" in said
    assert text.splitlines()[int(said.split(":")[1]) - 1].startswith("BO_ 291 SpeedData")
    other = write_dbc(tmp_path, HEAD + SPEED.replace("292 Speed", "291 Other"), "b.dbc")
    assert "123 is OtherData here" in refusal(write_dbc(tmp_path), other)


def test_one_name_twice(tmp_path: Path) -> None:
    """Two messages of one name could not be told apart."""
    other = write_dbc(tmp_path, HEAD + SPEED.replace("292", "293"), "b.dbc")
    assert "SpeedData is 125 here, 124 in" in refusal(write_dbc(tmp_path), other)


def test_nothing_in_it(tmp_path: Path) -> None:
    """A file without messages is no use."""
    assert "a message with signals" in refusal(write_dbc(tmp_path, HEAD))


def test_without_cantools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What to install is said."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "cantools" else find(name)
    )
    said = refusal(write_dbc(tmp_path))
    assert "pip install 'telerig[can]'" in said
    assert said.startswith("gateway.toml:3:")
