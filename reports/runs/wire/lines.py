"""Bytes that come in pieces of any size, as lines with the instants of their ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rig.record.streams import WireChunk

MOST_LINE_BYTES = 8192


class Line(NamedTuple):
    """A line, or another piece that ends with one of the `ends`."""

    from_ns: int
    at_ns: int
    direction: str
    data: bytes


def lines(chunks: Iterable[WireChunk], ends: bytes) -> Iterator[Line]:
    """Yield what ends with one of `ends`, each direction by itself; a last rest is dropped."""
    rests: dict[str, bytearray] = {}
    begun: dict[str, int] = {}
    for chunk in chunks:
        rest = rests.setdefault(chunk.direction, bytearray())
        for byte in chunk.data:
            if not rest:
                begun[chunk.direction] = chunk.time_ns
            rest.append(byte)
            if byte in ends or len(rest) > MOST_LINE_BYTES:
                yield Line(begun[chunk.direction], chunk.time_ns, chunk.direction, bytes(rest))
                rest.clear()
