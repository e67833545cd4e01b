"""The DBC file: readable by cantools as strictly as it can, and faithful to what is published."""

from __future__ import annotations

import re

import cantools
import pytest
from cantools.database.can import Database, Message

from sim.broadcast import DBC_PATH, load_database
from sim.broadcast.readings import READ

# Example frames and what they must mean. Sources are in the comments of the DBC.
PUBLISHED = [
    ("EngineSpeedStatus", "0000C20161A30000", {"EngineSpeed": 838, "EngineState": "Running"}),
    ("Pedals", "90007D00007FF3F7", {"AcceleratorPedal": 0.0, "BrakeSwitch": "Off"}),
    ("SteeringWheel", "00D50000800080AA", {"SteeringAngleRight": "Yes"}),
    ("WheelSpeeds", "803980408000804B", {"WheelSpeedFL": 0.57, "WheelSpeedRR": 0.75}),
    ("TorqueIntervention", "00FC00FB0FFE8FFE", {"TorqueLimitUpper": "NoRequest"}),
    ("Service", "00000000000010C4", {"DistanceToService": 4292}),
]


@pytest.fixture(scope="module")
def database() -> Database:
    return load_database()


def test_reads_strictly(database: Database) -> None:
    """cantools' strict reader finds no overlapping signals and nothing outside its message."""
    assert isinstance(cantools.database.load_file(DBC_PATH, strict=True), Database)
    assert 20 <= len(database.messages) <= 30


@pytest.mark.parametrize(("name", "data", "expected"), PUBLISHED)
def test_published_examples(
    database: Database, name: str, data: str, expected: dict[str, object]
) -> None:
    """Frames that were published decode to what a standing car would say."""
    values = database.get_message_by_name(name).decode(bytes.fromhex(data))
    assert isinstance(values, dict)
    for signal, value in expected.items():
        wanted = value if isinstance(value, str) else pytest.approx(value)
        got = values[signal]
        assert (str(got) if isinstance(value, str) else got) == wanted


def test_every_message_says_how_certain_it_is(database: Database) -> None:
    """A message has a comment with its source, a cycle time, a sender and its certainty."""
    for message in database.messages:
        assert message.comment, message.name
        assert message.cycle_time, message.name
        assert message.senders, message.name
        assert message.dbc is not None
        assert message.dbc.attributes["Certainty"].value in (0, 1, 2)


def test_signal_names_are_unique(database: Database) -> None:
    """A signal can be named without its message."""
    names = [signal.name for message in database.messages for signal in message.signals]
    assert len(names) == len(set(names))


def test_every_signal_is_read(database: Database) -> None:
    """Every signal but counters, checksums and multiplexers has a reading, and no other has."""
    names = {
        signal.name
        for message in database.messages
        for signal in message.signals
        if not signal.is_multiplexer
        and signal.name not in (f"{message.name}Counter", f"{message.name}Checksum")
    }
    assert set(READ) == names


def test_has_what_decoders_get_wrong(database: Database) -> None:
    """Signed, Motorola, Intel, multiplexed signals, value tables and crossed bytes are there."""
    signals = [signal for message in database.messages for signal in message.signals]
    assert any(signal.is_signed for signal in signals)
    assert {signal.byte_order for signal in signals} == {"big_endian", "little_endian"}
    assert any(signal.multiplexer_ids for signal in signals)
    assert any(signal.conversion.choices for signal in signals)
    assert any(signal.length % 8 and signal.length > 8 for signal in signals)


def test_vss_paths(database: Database) -> None:
    """VSS paths are unique and look like paths."""
    paths = [
        str(signal.dbc.attributes["VssPath"].value)
        for message in database.messages
        for signal in message.signals
        if signal.dbc is not None and "VssPath" in signal.dbc.attributes
    ]
    assert len(paths) > 40
    assert len(paths) == len(set(paths))
    assert all(re.fullmatch(r"Vehicle(\.[A-Z][A-Za-z0-9]*)+", path) for path in paths)


def test_unavailable_is_out_of_range(database: Database) -> None:
    """The number for "not available" is none that a value can have."""
    for message in database.messages:
        for signal in message.signals:
            for number, name in (signal.conversion.choices or {}).items():
                if str(name) in ("NotAvailable", "NoRequest") and _has_range(message, signal.name):
                    wire = number * signal.conversion.scale + signal.conversion.offset
                    assert signal.maximum is not None
                    assert wire > signal.maximum, signal.name


def _has_range(message: Message, name: str) -> bool:
    """Enumerations have no other values than their entries."""
    signal = message.get_signal_by_name(name)
    return len(signal.conversion.choices or {}) < 3 or signal.length > 3
