"""The starts of a gateway in one record: what is counted for each of them, and what a kill takes.

A gateway numbers its readings from 1 at each start. Rows of the record tell the start (0, 1, …);
the manifest's result has the boot numbers in that order, by which acknowledgements are told apart.
A record from before there were kills has none: then the numbers themselves tell
(`rig.measures.counts`).

What `gateway_kill` takes are readings that were published and not yet committed. Clients that were
connected have to come back: until they do they see nothing, and know it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from rig.measures.arrays import LOCAL, Bools, Ints, Readings
from rig.measures.compacted import UNSEEN
from rig.measures.windows import Span, Window
from rig.record.manifest import FaultWindow, Manifest
from rig.record.streams import Event, StoredAt

KILL = "gateway_kill"
PAUSE = "gateway_pause"
DATABASE_FAULTS = ("database_down", "database_slow", "database_full")
BACK_EVENT = "gateway.back"
SLACK_NS = 1_000_000_000  # in wall time what was committed at the kill may not have been said
COMMITTING_NS = 5_000_000_000  # a slow database's commit, from the receipt on
GATHERING_NS = 6_000_000  # what happens within 5 ms goes to clients together; instants are in ms
GATHERED_AGE_NS = 1_000_000_000  # from measured to gathered, of a receiver whose line is slow
_NS_PER_S = 1e9
_FIRST_NS, _LAST_NS = 0, int(np.iinfo(np.int64).max)

Count = Callable[[Readings, Readings, Sequence[StoredAt]], int | None]
"""Counts something of one start: (stored, published, acknowledgements)."""


def kills_of(manifest: Manifest) -> list[FaultWindow]:
    """Return the times for which the gateway was killed, in order."""
    return [fault for fault in manifest.faults if fault.kind == KILL]


def unwatched(readings: Readings, manifest: Manifest, events: Iterable[Event]) -> Bools:
    """Return which readings no client needs to have seen, because the gateway was killed.

    They came in between a kill and the greeting of the client that had come back. Or they are of a
    device of its own, whose readings are published after their commit, and the kill came between.
    Of a compacted reading that no client saw, this may be so if it is for one that came in between
    those that were seen before and after it. Or they are the gateway's own, and were committed just
    before the kill, while what clients are told was gathered.
    """
    spans = _away_spans(manifest, events)
    late_ns = COMMITTING_NS if manifest.mode == "virtual" else COMMITTING_NS + SLACK_NS
    before = [(start_ns - late_ns, start_ns) for start_ns, _ in spans]
    earliest_ns, latest_ns = _receipts(readings)
    is_own = readings.device == LOCAL
    found: Bools = _meet(earliest_ns, latest_ns, spans)
    found |= ~is_own & _meet(earliest_ns, latest_ns, before)
    for kill in kills_of(manifest):
        stood = [f.start_ns for f in manifest.faults
                 if f.kind == PAUSE and f.start_ns <= kill.start_ns <= f.end_ns]  # fmt: skip
        found |= is_own & _gathered(readings, min([kill.start_ns, *stood]))
    return found


def _gathered(readings: Readings, ended_ns: int) -> Bools:
    """Return which readings were perhaps stored, and not sent yet, when the gateway ran last.

    Nobody knows when a compacted one was committed: it is one of the newest of its start, of which
    no client saw a later one.
    """
    seen = readings.seq != UNSEEN
    age_ns = ended_ns - readings.shown_ns
    found: Bools = seen & (age_ns >= 0) & (age_ns < GATHERING_NS)
    age_ns = ended_ns - readings.time_ns
    for index in np.flatnonzero(~seen & (age_ns >= 0) & (age_ns < GATHERED_AGE_NS)):
        own = seen & (readings.device == LOCAL) & (readings.boot == readings.boot[index])
        own &= readings.signal == readings.signal[index]
        found[index] = not (readings.time_ns[own] > readings.time_ns[index]).any()
    return found


def _receipts(readings: Readings) -> tuple[Ints, Ints]:
    """Return between which instants each reading came in: those of the next ones of its signal
    that were seen, where nobody knows its own.

    Without one, the gateway's own are taken for received when they were measured; what a device
    sends may have waited there for any time.
    """
    earliest_ns, latest_ns = readings.received_ns.copy(), readings.received_ns.copy()
    seen = readings.seq != UNSEEN
    if seen.all():
        return earliest_ns, latest_ns
    group = np.stack((readings.device, readings.boot, readings.signal))
    order = np.lexsort((readings.time_ns, *group))
    for way, bounds_ns, unknown_ns in ((1, earliest_ns, _FIRST_NS), (-1, latest_ns, _LAST_NS)):
        rows = order[::way]
        nearest = np.maximum.accumulate(np.where(seen[rows], np.arange(len(rows)), 0))
        neighbour = rows[nearest]
        known = seen[neighbour] & (group[:, neighbour] == group[:, rows]).all(axis=0)
        unbound_ns = np.where(readings.device == LOCAL, readings.received_ns, unknown_ns)[rows]
        bounds_ns[rows] = np.where(known, readings.received_ns[neighbour], unbound_ns)
    return earliest_ns, latest_ns


def _away_spans(manifest: Manifest, events: Iterable[Event]) -> list[Span]:
    slack_ns = SLACK_NS if manifest.mode == "paced" else 0
    backs = [event.time_ns for event in events
             if event.kind == BACK_EVENT and "gateway" not in event.detail]  # fmt: skip
    return [
        (kill.start_ns - slack_ns, min((b for b in backs if b >= kill.end_ns), default=_LAST_NS))
        for kill in kills_of(manifest)
    ]


def _meet(earliest_ns: Ints, latest_ns: Ints, spans: Iterable[Span]) -> Bools:
    """Return which of the times from one instant to another have a part in one of the spans."""
    found: Bools = np.zeros(len(earliest_ns), dtype=bool)
    for start_ns, end_ns in spans:
        found |= (latest_ns >= start_ns) & (earliest_ns < end_ns)
    return found


def count_by_start(
    boots: Sequence[int],
    stored: Readings,
    published: Readings,
    acknowledged: Sequence[StoredAt],
    count: Count,
) -> int | None:
    """Return the sum of what is counted for each start; None where it is None for all of them."""
    if not boots:
        return count(stored, published, acknowledged)
    counts = [
        count(
            stored.where(stored.boot == start),
            published.where(published.boot == start),
            [ack for ack in acknowledged if ack.boot == boot],
        )
        for start, boot in enumerate(boots)
    ]
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def oldest_lost_s(
    stored: Readings, published: Readings, faults: Sequence[FaultWindow]
) -> float | None:
    """Return the longest time for which a reading had been there before a kill took it.

    From its receipt to the kill, less the time for which the gateway stood still: what waits for
    its commit is lost, and must not wait for long. A reading that is lost and was not killed has an
    infinite one. None if nothing was published.
    """
    if not len(published):
        return None
    kept = set(_numbers(stored))
    ends = [fault.start_ns for fault in faults if fault.kind == KILL]
    pauses = [  # of the process that is killed: the next one runs
        (pause.start_ns, min([pause.end_ns, *(end for end in ends if end >= pause.start_ns)]))
        for pause in faults
        if pause.kind == PAUSE
    ]
    oldest_ns = 0
    for number, received_ns in zip(
        _numbers(published), published.received_ns.tolist(), strict=True
    ):
        if number not in kept:
            end_ns = min((end for end in ends if end >= received_ns), default=None)
            if end_ns is None:
                return math.inf
            running = Window(((received_ns, end_ns),)).without(pauses)
            oldest_ns = max(oldest_ns, sum(end - start for start, end in running.spans))
    return oldest_ns / _NS_PER_S


def store_recovery_s(manifest: Manifest, acknowledged: Iterable[StoredAt]) -> float | None:
    """Return the longest time from the end of a fault of the database to the next commit.

    None if there was no such fault.
    """
    ends = [fault.end_ns for fault in manifest.faults if fault.kind in DATABASE_FAULTS]
    commits = sorted(ack.time_ns for ack in acknowledged)
    waits = [
        min((commit - end for commit in commits if commit >= end), default=np.inf) for end in ends
    ]
    return float(max(waits)) / _NS_PER_S if waits else None


def _numbers(readings: Readings) -> Iterator[tuple[int, int]]:
    return zip(readings.boot.tolist(), readings.seq.tolist(), strict=True)
