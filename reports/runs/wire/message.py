"""One message on the wire: when, which way, its bytes, and what they say."""

from __future__ import annotations

import msgspec

TO_HOST, TO_DEVICE = ">", "<"
MOST_BYTES = 2048


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a message that has a meaning.

    Attributes:
        name: what it is called on the wire.
        value: a number; None where it is none, then `text` says it.
        signal: the series that it becomes; a pointer over the field lights it up.
    """

    name: str
    value: float | None = None
    unit: str = ""
    text: str = ""
    signal: str | None = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message.

    Attributes:
        t: when its last byte had arrived, Unix seconds.
        at_ns: the same, exact.
        from_ns: when its first bytes arrived.
        direction: ">" to the gateway, "<" to the device.
        raw: its bytes as latin-1 text, at most `MOST_BYTES` of them.
        size: how many bytes there are.
        kind: "PID answer", "RMC", ...
        text: what it says, in a line.
        fields: its parts that mean something.
        error: what is wrong with it.
    """

    t: float
    at_ns: int
    from_ns: int
    direction: str
    raw: str
    size: int
    kind: str
    text: str = ""
    fields: list[Field] = []
    error: str = ""


def message(
    from_ns: int,
    at_ns: int,
    direction: str,
    data: bytes,
    kind: str,
    text: str = "",
    fields: list[Field] | None = None,
    error: str = "",
) -> Message:
    """Return a message of `data`."""
    raw = data[:MOST_BYTES].decode("latin-1")
    return Message(
        at_ns / 1e9, at_ns, from_ns, direction, raw, len(data), kind, text, fields or [], error
    )
