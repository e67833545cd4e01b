"""How events are said to clients: the frames of the gateway's own live stream.

Older systems' words are in `server.compat`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.catalogue import SHORT_NAMES, by_id
from server.errors import CatalogueError
from server.live.events import Event, Notice, Readings
from server.live.frames import encode

PREFIXES_LIMIT = 10_000


class Words(Protocol):
    """The words of one kind of clients. One object is one kind: what it said is kept by it."""

    def say(self, event: Event) -> Sequence[bytes]:
        """Give the messages, JSON texts, that an event becomes."""

    def dropped(self, count: int) -> bytes:
        """Give the message that so many were left out for a slow client; empty: none."""


class Rows:
    """All readings of an event in one message: least work for both ends."""

    def say(self, event: Event) -> Sequence[bytes]:
        """Give one message."""
        if isinstance(event, Readings):
            return (
                b'{"type":"readings","n":%d,"device":%b,"boot":%d,"readings":%b}'
                % (event.last, encode(event.device), event.boot, event.pack()),
            )
        return (_notice(event),)

    def dropped(self, count: int) -> bytes:
        """Give the count."""
        return b'{"type":"dropped","count":%d}' % count


class Points:
    """One message for each reading, never several in one."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, int, int], bytes] = {}

    def say(self, event: Event) -> Sequence[bytes]:
        """Give a message for each reading."""
        if not isinstance(event, Readings):
            return (_notice(event),)
        device, boot, prefixes = event.device, event.boot, self._prefixes
        texts: list[bytes] = []
        add = texts.append
        for n, (seq, signal, time_ns, value, received_ns, state) in zip(
            event.numbered(), event.rows, strict=True
        ):
            prefix = prefixes.get((device, boot, signal))
            if prefix is None:
                prefix = self._prefix(device, boot, signal)
            add(
                b'{"type":"reading","n":%d,%b,"seq":%d,"time_ns":%d,"value":%b,'
                b'"received_ns":%d,"state":%d}'
                % (n, prefix, seq, time_ns, number(value), received_ns, state)
            )
        return texts

    def dropped(self, count: int) -> bytes:
        """Give the count."""
        return b'{"type":"dropped","count":%d}' % count

    def _prefix(self, device: str, boot: int, signal: int) -> bytes:
        if len(self._prefixes) >= PREFIXES_LIMIT:
            self._prefixes.clear()
        content = {
            "device": device,
            "boot": boot,
            "signal": signal,
            "name": SHORT_NAMES.get(signal, str(signal)),
            "unit": unit_of(signal),
        }
        prefix = self._prefixes[device, boot, signal] = encode(content)[1:-1]
        return prefix


def unit_of(signal: int) -> str:
    """Give the unit of a signal; empty where the catalogue does not have it."""
    try:
        return by_id(signal).unit
    except CatalogueError:
        return ""


def number(value: float | None) -> bytes:
    """Give a value as JSON; what is not finite is null."""
    if value is None or value - value != 0:  # nan and inf are what this is not 0 for
        return b"null"
    return repr(value).encode()


def _notice(event: Event) -> bytes:
    assert isinstance(event, Notice)
    return b'{"n":%d,%b' % (event.first, encode(event.content)[1:])


ROWS = Rows()
POINTS = Points()
FORMS: dict[str, Words] = {"rows": ROWS, "points": POINTS}
