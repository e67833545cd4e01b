"""A receiver survives whatever is written into it and finds the commands in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.gnss.commands import (
    MAX_UBX_PAYLOAD_BYTES,
    CommandReader,
    NmeaCommand,
    UbxCommand,
    ubx_frame,
)
from sim.gnss.fields import sentence

BUFFER_LIMIT_BYTES = MAX_UBX_PAYLOAD_BYTES + 600


def test_a_sentence_and_a_frame_are_found_between_garbage() -> None:
    """Noise before, between and after costs no command and is counted."""
    reader = CommandReader()
    poll = ubx_frame(0x0A, 0x04, b"")
    got = list(reader.feed(b"\x00\xffzz" + sentence("PMTK220,100") + b"?!" + poll + b"\r\n"))
    assert got == [NmeaCommand(("PMTK220", "100")), UbxCommand(0x0A, 0x04, b"")]
    assert reader.ignored_bytes >= 6


def test_known_ubx_checksum() -> None:
    """The poll of MON-VER is the one that u-center sends: B5 62 0A 04 00 00 0E 34."""
    assert ubx_frame(0x0A, 0x04, b"").hex(" ") == "b5 62 0a 04 00 00 0e 34"


def test_wrong_checksums_are_ignored() -> None:
    """A damaged command does nothing."""
    damaged = ubx_frame(6, 8, b"\x64\x00\x01\x00\x01\x00")[:-1] + b"\x00"
    assert not list(CommandReader().feed(b"$PMTK220,100*00\r\n$PMTK220,100\r\n" + damaged))


def test_a_sentence_cut_short_does_not_eat_the_next() -> None:
    """A new `$` begins a new sentence even without the end of the last one."""
    got = list(CommandReader().feed(b"$PMTK2" + sentence("PMTK000")))
    assert got == [NmeaCommand(("PMTK000",))]


def test_a_false_start_of_a_frame_is_left_after_its_checksum_fails() -> None:
    """Sync bytes by chance, with a length behind them, do not swallow the next command for good."""
    reader = CommandReader()
    got = list(reader.feed(b"\xb5\x62\x01\x02\x0a\x00" + sentence("PMTK000") * 2))
    assert NmeaCommand(("PMTK000",)) in got


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    """No input raises, and what is kept is bounded."""
    reader = CommandReader()
    for piece in pieces:
        for command in reader.feed(piece):
            assert isinstance(command, NmeaCommand | UbxCommand)
        assert len(reader._buffer) < BUFFER_LIMIT_BYTES


FIELDS = st.lists(st.text("ABCXYZ0123456789.-", max_size=8), min_size=1, max_size=20)
COMMANDS = st.one_of(
    st.builds(NmeaCommand, FIELDS.map(tuple)),
    st.builds(UbxCommand, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300)),
)


@given(st.lists(COMMANDS, max_size=8), st.integers(1, 40))
def test_commands_come_through_in_any_pieces(
    commands: list[NmeaCommand | UbxCommand], piece_bytes: int
) -> None:
    """What is framed rightly is read back, however the line cuts it."""
    raw = b"".join(
        sentence(",".join(command.fields))
        if isinstance(command, NmeaCommand)
        else ubx_frame(command.message_class, command.message_id, command.payload)
        for command in commands
    )
    reader = CommandReader()
    got = []
    for start in range(0, len(raw), piece_bytes):
        got.extend(reader.feed(raw[start : start + piece_bytes]))
    assert got == commands
