"""Signals of files as entries of the catalogue."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server import catalogue
from server.can.database import load_messages
from server.can.signals import FIRST_ID, catalogue_names, catalogue_signal, signal_id
from server.catalogue import Signal
from server.config_section import Section, Where
from tests.server.can.fakes import CAR, write_dbc


def entries(folder: Path, text: str = CAR) -> dict[str, Signal]:
    """The entries of a file, by name."""
    loaded = load_messages(Section({"dbc": write_dbc(folder, text)}, Where("gateway.toml")))
    names = catalogue_names(loaded)
    return {
        name: catalogue_signal(name, one.name, signal)
        for one in loaded
        for signal in one.message.signals
        for name in [names[one.name, signal.name]]
    }


def test_ids_never_change() -> None:
    """They are stored: these are forever."""
    assert signal_id("EngineSpeed") == 1054538436
    assert signal_id("EngineData.Counter") == 1555658707


@given(st.text())
def test_ids_are_in_their_range(name: str) -> None:
    """Above the built-in ones, and a signed int of 32 bits."""
    assert max(signal.id for signal in catalogue.CATALOGUE) < FIRST_ID
    assert FIRST_ID <= signal_id(name) < 2**31


def test_an_entry(tmp_path: Path) -> None:
    """Unit, step and range are the file's; without a range, what the bits can hold."""
    found = entries(tmp_path)
    speed, oil = found["EngineSpeed"], found["OilTemp"]
    assert (speed.unit, speed.resolution, speed.minimum, speed.maximum) == ("rpm", 0.25, 0, 8000)
    assert (oil.minimum, oil.maximum) == (-168, 87)
    assert speed.source == "can:EngineData"
    assert speed.path == "Vehicle.CAN.EngineData.EngineSpeed"
    assert speed.id == signal_id("EngineSpeed")


def test_shared_names_have_their_message_before(tmp_path: Path) -> None:
    """Both get it, and so does a name of the built-in catalogue."""
    text = CAR.replace("SG_ Gear", "SG_ Counter").replace("291 Gear", "291 Counter")
    text = text.replace("SG_ VehicleSpeed", "SG_ SPEED")
    text = text.replace(" SG_ SPEED", ' SG_ Counter : 24|4@1+ (1,0) [0|0] "" Car\n SG_ SPEED')
    assert sorted(entries(tmp_path, text)) == [
        "EngineData.Counter",
        "EngineSpeed",
        "OilTemp",
        "SpeedData.Counter",
        "SpeedData.SPEED",
    ]


def test_a_path_of_the_file(tmp_path: Path) -> None:
    """The attribute VssPath of a signal is its path."""
    text = (
        CAR + 'BA_DEF_ SG_ "VssPath" STRING ;\nBA_DEF_DEF_ "VssPath" "";\n'
        'BA_ "VssPath" SG_ 292 VehicleSpeed "Vehicle.Speed";\n'
    )
    found = entries(tmp_path, text)
    assert found["VehicleSpeed"].path == "Vehicle.Speed"
    assert found["EngineSpeed"].path == "Vehicle.CAN.EngineData.EngineSpeed"


def test_floats_have_a_step_and_a_range(tmp_path: Path) -> None:
    """Both finite, whatever the factor."""
    text = CAR.replace("VehicleSpeed : 7|16@0+ (0.01,0) [0|300]", "V : 0|32@1- (10,0) [0|0]")
    text += "SIG_VALTYPE_ 292 V : 1;\n"
    entry = entries(tmp_path, text)["V"]
    assert entry.resolution > 0
    assert -1e39 < entry.minimum < 0 < entry.maximum < 1e39
