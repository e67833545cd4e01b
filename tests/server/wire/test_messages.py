"""Firmware's protobuf against Google's, in both directions, and on malformed bytes."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.wire import messages, pbuf, telemetry_pb2
from server.wire.pbuf import WireError
from tests import micropython
from tests.server.wire.both_ways import DOWNLINK, UPLINK, googles, message, same

SAMPLE = """
from server.wire.messages import *
hello = Hello(firmware="f 1", vin="", profile=bytes(range(256)), reset_reason="power-on",
              templates=[CommandTemplate(name="a", schema="{}"), CommandTemplate()],
              profile_hash=bytes(range(8)), templates_hash=bytes(range(8, 16)))
up = Uplink(device="d\\u00e9", boot=4000000000, hello=hello, packets=[b"", b"xyz" * 77],
            time=TimeBase(row=7, utc_ms=(1 << 63) + 5, source=GNSS), voids=[0, 127, 128, 1 << 31],
            results=[CommandResult(id=1 << 60, status=FAILED, detail="[1]")],
            logs=[LogLine(level=20, text="t", uptime_ms=99)], counters=Counters())
data = up.to_bytes()
print(data.hex())
print(read_uplink(data).to_bytes() == data)
for cut in range(len(data)):
    try:
        read_uplink(data[:cut])
    except WireError as error:
        print(cut, error.reason)
down = Downlink(boot=1, ack=3, need_key=[5], need_hello=True, now_ms=1 << 40,
                commands=[Command(id=1, name="x", parameters="{}", expires_ms=3)])
print(down.to_bytes().hex(), read_downlink(down.to_bytes()).commands[0].parameters)
down = Downlink(need_profile=True, need_templates=True, acked=list(range(2000)),
                refused=[Refusal(reason="x" + "\\u20ac" * 300)] + [Refusal()] * 599)
read = read_downlink(down.to_bytes())
print(read.need_profile, read.need_templates, read.acked[-1], len(read.acked))
print(len(read.refused), len(read.refused[0].reason))
"""


@pytest.mark.parametrize("kind", [UPLINK, DOWNLINK])
def test_every_field_of_the_proto_file_is_in_the_tables(kind: type[pbuf.Message]) -> None:
    """A table has the numbers and names of the message in telemetry.proto, all of them."""
    kinds = [kind]
    while kinds:
        kind = kinds.pop()
        described = getattr(telemetry_pb2, kind.__name__).DESCRIPTOR
        table = {field.number: field.name for field in kind.FIELDS}
        assert table == {field.number: field.name for field in described.fields}
        assert list(table) == sorted(table)
        kinds += [field.kind for field in kind.FIELDS if not isinstance(field.kind, int)]


@settings(max_examples=150)
@given(st.one_of(message(UPLINK), message(DOWNLINK)))
def test_both_libraries_write_the_same_bytes_and_read_them(ours: pbuf.Message) -> None:
    """Our writer gives Google's bytes; our reader gives back what was written."""
    theirs = googles(ours)
    data = ours.to_bytes()
    assert data == theirs.SerializeToString(deterministic=True)
    again = type(ours)()
    again.merge(data)
    assert same(again, ours)


@given(st.binary(max_size=200))
@example(b"\x0a")
@example(b"\x12\x04\xff\xff\xff\xff")
@example(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
@example(b"\x0b\x0c")
@example(b"\x00\x00")
@example(b"\x0a\x01\xff")
@example(b"\x32\x02\x01\x80")
def test_random_bytes_are_read_or_refused_and_never_crash(data: bytes) -> None:
    """Whatever comes, the reader gives a message or raises WireError."""
    for read in (messages.read_uplink, messages.read_downlink):
        with contextlib.suppress(WireError):
            assert isinstance(read(data).to_bytes(), bytes)


@settings(max_examples=80)
@given(message(UPLINK), st.data())
def test_what_our_reader_takes_of_damaged_bytes_google_reads_the_same(
    ours: pbuf.Message, data: st.DataObject
) -> None:
    """After a flipped byte both readers agree, or ours refuses."""
    wire = bytearray(ours.to_bytes() or b"\x0a\x00")
    at = data.draw(st.integers(0, len(wire) - 1))
    wire[at] ^= data.draw(st.integers(1, 255))
    try:
        read = messages.read_uplink(bytes(wire))
    except WireError:
        return
    theirs = telemetry_pb2.Uplink()
    try:
        theirs.ParseFromString(bytes(wire))
    except DecodeError:
        pytest.fail("Google's library refuses what ours took")
    theirs.DiscardUnknownFields()
    assert read.device == theirs.device
    assert read.packets == list(theirs.packets)
    assert read.voids == list(theirs.voids)


def test_unknown_fields_are_skipped() -> None:
    """A message of a newer gateway is read, without what is new in it."""
    new = b"\xa0\x06\x05" + b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4) + b"\xa2\x06\x02hi"
    data = new + messages.Downlink(ack=9).to_bytes() + new
    assert messages.read_downlink(data).ack == 9


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x05abc", "a field of 5 bytes ends behind the message"),
        (b"\x0a\x02\xff\xfe", "device is not UTF-8"),
        (b"\x0a\x41" + b"x" * 65, "device: at most 64 bytes expected, 65 found"),
        (b"\x10\xff\xff\xff\xff\xff\x01", "boot: .* does not fit into 32 bits"),
        (b"\x10\xff", "cut off or longer than 64 bits"),
        (b"\x13", "field 2 has wire type 3"),
        (b"\x2a\x00" * 513, "more than 512 items in packets"),
        (b"\xa0\x06\x05" * 5000, "more than 4096 fields"),
        (b"\x32\x81\x08" + b"\x01" * 1025, "more than 512 items in voids"),
        (bytes(1 << 17) + b"x", "at most 131072 bytes"),
    ],
)
def test_a_malformed_or_oversized_message_is_refused_with_the_reason(
    data: bytes, reason: str
) -> None:
    """The reason names the field or the limit."""
    with pytest.raises(WireError, match=reason):
        messages.read_uplink(data)


def test_a_name_that_is_not_in_the_table_is_refused() -> None:
    """A misspelt field is an error of the program, told at once."""
    with pytest.raises(AttributeError):
        messages.Uplink(devise="x")


def test_micropython_writes_and_reads_the_same_bytes() -> None:
    """One sample, cut at every byte, gives the same lines in both Pythons."""
    lines = micropython.run(SAMPLE)
    assert lines == micropython.run_here(SAMPLE)
    assert telemetry_pb2.Uplink.FromString(bytes.fromhex(lines[0])).device == "dé"
