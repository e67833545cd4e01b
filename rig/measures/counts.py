"""Readings lost, doubled and not published, and errors in the gateway's log.

The gateway numbers every reading that it accepts: 1, 2, 3 … within one boot. So a number that is
missing below the highest one seen (stored, published or acknowledged) is a reading that was
accepted and is not in the store. Rows carry no boot; where the numbers fall back, another boot
begins. A compacted reading that no client saw has no number: it may be any of those that no client
saw.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from rig.measures.arrays import LOCAL, Bools, Ints, Readings
from rig.measures.compacted import MS_NS, UNSEEN
from rig.measures.windows import Window
from rig.record.streams import Event, StoredAt

_BAD_LEVELS = ("error", "critical", "exception", "fatal")
_BAD_TEXT = re.compile(
    r"^Traceback \(most recent call last\)|\b(?:ERROR|CRITICAL|FATAL)\b|\[(?:error|critical)\s*\]"
)


def count_lost(
    stored: Readings, published: Readings, acknowledged: Iterable[StoredAt]
) -> int | None:
    """Return the readings accepted and not in the store; None if none was ever accepted."""
    acks: dict[int, int] = {}
    for row in acknowledged:
        acks[row.boot] = max(acks.get(row.boot, 0), row.upto_seq)
    if not len(stored) and not len(published):
        return sum(acks.values()) or None
    unseen = stored.seq == UNSEEN
    boots = _boots(_once(stored.where(~unseen)))
    spare = int(np.count_nonzero(unseen))
    lost = 0
    highest: list[int] = []
    for index, boot in enumerate(boots):
        top = int(boot.seq.max())
        # Acknowledgements stand in order of time, and so do the boots.
        if len(acks) == len(boots):
            top = max(top, [*acks.values()][index])
        highest.append(top)
        missing = np.setdiff1d(np.arange(1, top + 1), boot.seq)
        lost += len(missing)
        hidden = np.setdiff1d(missing, published.seq) if spare else missing[:0]
        lost -= min(spare, len(hidden))
        spare -= min(spare, len(hidden))
    if not boots:
        lost = sum(acks.values())
        beyond = published.seq > max(acks.values(), default=0)
        shown = len(np.unique(published.seq))
        lost += len(np.unique(published.seq[beyond]))
        return lost - min(spare, max(0, lost - shown))
    return lost + _published_beyond(published, boots, highest)


def count_acknowledged_lost(stored: Readings, acknowledged: Iterable[StoredAt]) -> int | None:
    """Return the readings that were said to be committed and are not in the store.

    Of a gateway that was killed nobody knows what it still held; what it had acknowledged is there.
    None if nothing was acknowledged.
    """
    acks = list(acknowledged)
    if not acks:
        return None
    nothing = stored.where(np.zeros(len(stored), dtype=bool))
    tops: dict[int, int] = {}
    for ack in acks:
        tops[ack.boot] = max(tops.get(ack.boot, 0), ack.upto_seq)
    boots = _boots(_once(stored.where(stored.seq != UNSEEN)))
    if len(boots) != len(tops) or bool(np.any(stored.seq == UNSEEN)):
        return count_lost(stored, nothing, acks)
    return sum(
        len(np.setdiff1d(np.arange(1, top + 1), boot.seq))
        for boot, top in zip(boots, tops.values(), strict=True)
    )


def _published_beyond(published: Readings, boots: list[Readings], highest: list[int]) -> int:
    """Count the published readings with a number above all that their boot stored."""
    begins = np.array([boot.received_ns.min() for boot in boots])
    boot = np.clip(np.searchsorted(begins, published.received_ns, side="right") - 1, 0, None)
    beyond = published.seq > np.array(highest)[boot]
    numbers = np.stack((boot[beyond], published.seq[beyond]), axis=1)
    return len(np.unique(numbers, axis=0))


def _once(stored: Readings) -> Readings:
    """Leave out a reading that stands there again later, in the hot log beside a segment perhaps:
    its number must not look like the beginning of another boot."""
    rows = np.stack((stored.seq, stored.received_ns), axis=1)[::-1]
    _, index = np.unique(rows, axis=0, return_index=True)
    return stored.where(np.sort(len(stored) - 1 - index))


def _boots(stored: Readings) -> list[Readings]:
    """Split rows at each place where the numbers fall back; the earliest boot first."""
    if not len(stored):
        return []
    cuts: Ints = np.flatnonzero(np.diff(stored.seq) < 0) + 1
    edges = [0, *cuts.tolist(), len(stored)]
    parts = [stored.where(np.arange(start, end)) for start, end in pairwise(edges)]
    return sorted(parts, key=lambda part: int(part.received_ns.min()))


def count_doubled(stored: Readings) -> int:
    """Return the rows that stand in the store more than once."""
    if not len(stored):
        return 0
    # Segments keep whole milliseconds.
    # What stands under two starts of the gateway itself is one reading, for it came in once.
    boot = np.where(stored.device == LOCAL, 0, stored.boot)
    columns = (stored.device, boot, stored.seq, stored.signal, stored.time_ns // MS_NS)
    rows = np.stack((*columns, stored.received_ns), axis=1)
    return len(rows) - len(np.unique(rows, axis=0))


def count_unpublished(
    stored: Readings, published: Readings, unwatched: Bools | None = None
) -> int | None:
    """Return the stored readings that a client did not get exactly once, and as they were stored.

    What came in before the first reading that the client got does not count, for it was not there
    yet, nor what is `unwatched` because the gateway was killed. None if it never got one.
    """
    if not len(published):
        return None
    is_watched = stored.received_ns >= published.received_ns.min()
    if unwatched is not None:
        is_watched &= ~unwatched
    watched = stored.where(is_watched)
    compacted = watched.is_compacted
    return _not_shown_once(watched.where(~compacted), published) + _not_shown_once(
        watched.where(compacted), published, step_ns=MS_NS
    )


def _not_shown_once(stored: Readings, published: Readings, step_ns: int = 1) -> int:
    if not len(stored):
        return 0
    shown = Counter(_whole_rows(published, step_ns))
    return sum(shown[row] != 1 for row in set(_whole_rows(stored, step_ns)))


def _whole_rows(readings: Readings, step_ns: int) -> Iterator[tuple[int, ...]]:
    """Yield each reading whole; a value as its bits, for no NaN equals another."""
    bits = readings.value.view(np.int64)
    whose = (readings.device, readings.boot)
    columns = (*whose, readings.seq, readings.signal, readings.time_ns // step_ns, bits)
    return zip(
        *(column.tolist() for column in (*columns, readings.received_ns, readings.state)),
        strict=True,
    )


def is_error_line(line: str) -> bool:
    """Return whether a line of the log is of level error or above, or opens a traceback."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return _BAD_TEXT.search(line) is not None
        return str(entry.get("level", "")).lower() in _BAD_LEVELS
    return _BAD_TEXT.search(line) is not None


def is_exception_line(line: str) -> bool:
    """Return whether a line of the log brings a traceback: of what nobody had foreseen."""
    if line.startswith("{"):
        try:
            return "exception" in json.loads(line)
        except ValueError:
            pass
    return line.startswith("Traceback (most recent call last)")


def most_waiting(published: Readings, acknowledged: Sequence[StoredAt], window: Window) -> int:
    """Return the most readings of the gateway's own links that were published and not committed.

    At each commit of `window`, as a client sees it: those that arrived before it, less those that
    an earlier one had acknowledged.
    """
    most = 0
    known: dict[int, int] = {}
    arrived = np.sort(published.shown_ns)
    ended = 0
    for ack in acknowledged:
        came = int(np.searchsorted(arrived, ack.time_ns))
        if ack.boot not in known:
            ended += sum(known.values())
            known = {ack.boot: 0}
        if window.holds(np.array([ack.time_ns]))[0]:
            most = max(most, came - ended - known[ack.boot])
        known[ack.boot] = ack.upto_seq
    return most


def count_board_events(events: Iterable[Event], what: str, window: Window) -> int:
    """Return the "resets" or "crashes" of boards in `window`; a board's first start is no reset."""
    found = []
    started = set()
    for event in events:
        if event.kind == "esp32" and event.detail["name"] in ("start", "crash"):
            crash, board = event.detail["name"] == "crash", event.detail["phase"]
            if crash == (what == "crashes") and (crash or board in started):
                found.append(event.time_ns)
            started.add(board)
    return int(np.count_nonzero(window.holds(np.array(found, dtype=np.int64))))
