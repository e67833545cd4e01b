"""Counting the fields of a protobuf message before it is parsed."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from server.answers import Refusal
from server.ingest.fields import check_fields
from server.wire.telemetry_pb2 import Readings, Uplink

_columns = st.lists(
    st.builds(
        dict,
        signal=st.text(max_size=200),
        first_time_ns=st.integers(-(2**63), 2**63 - 1),
        step_ns=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        values=st.binary(max_size=300),
    ),
    max_size=5,
)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.text(max_size=20), _columns)
def test_whole_messages_pass(
    boot: int, seq: int, vin: str, columns: list[dict[str, object]]
) -> None:
    """Every message that Google's library writes passes, with just as many fields as it has."""
    message = Readings(boot=boot, seq=seq, vin=vin)
    for column in columns:
        message.columns.add(**column)
    body = message.SerializeToString()
    fields = (boot > 0) + (seq > 0) + (vin != "") + len(columns)
    check_fields(body, fields)
    if fields:
        with pytest.raises(Refusal, match=f"at most {fields - 1} fields"):
            check_fields(body, fields - 1)


@given(st.binary(max_size=100))
def test_what_is_refused_is_no_message(body: bytes) -> None:
    """What the library reads is not refused, but for groups, which no message of ours has."""
    refused = False
    try:
        check_fields(body, 1000)
    except Refusal:
        refused = True
    with contextlib.suppress(DecodeError):
        for message in (Readings(), Uplink()):
            message.ParseFromString(body)
            assert not refused or any(byte & 7 in (3, 4) for byte in body)


def test_fixed_fields_and_long_tags() -> None:
    """Fields of four and eight bytes, and fields with great numbers, are stepped over."""
    fixed = b"\x0d\0\0\0\0" + b"\x09" + bytes(8) + b"\xfa\xff\xff\xff\x0f\x03abc"
    check_fields(fixed, 3)
    with pytest.raises(Refusal):
        check_fields(fixed[:-1], 3)
