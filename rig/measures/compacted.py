"""Stored readings out of segments, which keep neither number nor instant of receipt.

Both are known from the live stream, whose readings have them: a compacted reading is the published
one of the same device, start, signal, value and state that was measured in the same millisecond
(segments keep no finer instants). Where the store has such a reading more often than it was
published, the surplus is given the same number: it is there twice. A reading that no client saw
has the number `UNSEEN`, and its instant measured stands for that of its receipt.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from rig.measures.arrays import Ints, Readings

MS_NS = 1_000_000
UNSEEN = 0

Content = tuple[int, int, int, int, int, int]
"""Device, boot, signal, millisecond, bits of the value (no NaN equals another), state."""


def complete(stored: Readings, published: Readings) -> Readings:
    """Give stored readings, those out of segments with their numbers and instants of receipt.

    These come first, in the order in which a client saw them, the unseen ones before; the others
    follow as they are.
    """
    hot, compacted = stored.where(~stored.is_compacted), stored.where(stored.is_compacted)
    shown = _shown(published, hot)
    taken: dict[Content, int] = defaultdict(int)
    found: Ints = np.full(len(compacted), -1, dtype=np.int64)
    for index, content in enumerate(_contents(compacted)):
        places = shown.get(content)
        if places:
            found[index] = places[min(taken[content], len(places) - 1)]
            taken[content] += 1
    order = np.argsort(found, kind="stable")
    compacted, found = compacted.where(order), found[order]
    seen = found >= 0
    seq, received_ns = np.full(len(found), UNSEEN, dtype=np.int64), compacted.time_ns.copy()
    seq[seen], received_ns[seen] = published.seq[found[seen]], published.received_ns[found[seen]]
    return dataclasses.replace(compacted, seq=seq, received_ns=received_ns).followed_by(hot)


def _shown(published: Readings, hot: Readings) -> dict[Content, list[int]]:
    """Give the places of each content in the published readings, each reading once.

    Readings that stand in the hot log have their numbers, and count only where all of one content
    do: then whatever a segment has of it is there twice.
    """
    numbered = set(_numbers(hot))
    known: set[tuple[int, ...]] = set()
    shown: dict[Content, list[int]] = defaultdict(list)
    in_hot: dict[Content, list[int]] = defaultdict(list)
    contents = zip(_contents(published), _numbers(published), strict=True)
    for place, (content, number) in enumerate(contents):
        if number not in known:
            known.add(number)
            (in_hot if number in numbered else shown)[content].append(place)
    return {**in_hot, **shown}


def _contents(readings: Readings) -> Iterator[Content]:
    columns = (
        readings.device,
        readings.boot,
        readings.signal,
        readings.time_ns // MS_NS,
        readings.value.view(np.int64),
        readings.state,
    )
    return zip(*(column.tolist() for column in columns), strict=True)


def _numbers(readings: Readings) -> Iterator[tuple[int, ...]]:
    columns = (readings.device, readings.boot, readings.seq, readings.received_ns)
    return zip(*(column.tolist() for column in columns), strict=True)
