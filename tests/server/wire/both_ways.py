"""Hypothesis strategies for the messages of a device, and their copies in Google's classes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from server.wire import messages, pbuf, telemetry_pb2

LIMITS = {pbuf.UINT32: (1 << 32) - 1, pbuf.UINT64: (1 << 64) - 1, pbuf.FIXED64: (1 << 64) - 1}
ENUMS = {"source", "status"}


def message(kind: type[pbuf.Message]) -> st.SearchStrategy[pbuf.Message]:
    """Make messages of a class, with any of its fields set."""
    fields = {field.name: _value(field) for field in kind.FIELDS}
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: kind(**values))


def _value(field: pbuf.Field) -> st.SearchStrategy[Any]:
    one: st.SearchStrategy[Any]
    if not isinstance(field.kind, int):
        one = message(field.kind)
    elif field.kind == pbuf.STRING:
        one = st.text(max_size=min(field.most // 4, 12))
    elif field.kind == pbuf.BYTES:
        one = st.binary(max_size=min(field.most, 40))
    elif field.kind == pbuf.BOOL:
        one = st.booleans()
    elif field.name in ENUMS:
        one = st.integers(0, 3)
    else:
        one = st.integers(0, LIMITS[field.kind])
    return st.lists(one, max_size=3) if field.count else one


def googles(ours: pbuf.Message) -> Any:
    """Copy a message into Google's class of the same name, field by field."""
    theirs = getattr(telemetry_pb2, type(ours).__name__)()
    for field in ours.FIELDS:
        value = getattr(ours, field.name)
        if isinstance(value, list):
            items = [googles(item) if isinstance(item, pbuf.Message) else item for item in value]
            getattr(theirs, field.name).extend(items)
        elif isinstance(value, pbuf.Message):
            getattr(theirs, field.name).CopyFrom(googles(value))
        elif value is not None:
            setattr(theirs, field.name, value)
    return theirs


def same(one: pbuf.Message | None, other: pbuf.Message | None) -> bool:
    """Compare two messages field by field."""
    if one is None or other is None:
        return one is other
    return all(
        _same_value(getattr(one, field.name), getattr(other, field.name)) for field in one.FIELDS
    )


def _same_value(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(
            _same_value(a, b) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, pbuf.Message):
        return same(one, other)
    return bool(one == other)


UPLINK = messages.Uplink
DOWNLINK = messages.Downlink
