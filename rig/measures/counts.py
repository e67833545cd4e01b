"""Readings lost, doubled and not published, and errors in the gateway's log.

The gateway numbers every reading that it accepts: 1, 2, 3 … within one boot. So a number that is
missing below the highest one seen (stored, published or acknowledged) is a reading that was
accepted and is not in the store. Rows carry no boot; where the numbers fall back, another boot
begins.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from rig.measures.arrays import Ints, Readings
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
    boots = _boots(stored)
    lost = 0
    highest: list[int] = []
    for index, boot in enumerate(boots):
        top = int(boot.seq.max())
        # Acknowledgements stand in order of time, and so do the boots.
        if len(acks) == len(boots):
            top = max(top, [*acks.values()][index])
        highest.append(top)
        lost += top - len(np.unique(boot.seq))
    if not boots:
        lost = sum(acks.values())
        unseen = published.seq > max(acks.values(), default=0)
        return lost + len(np.unique(published.seq[unseen]))
    return lost + _published_beyond(published, boots, highest)


def _published_beyond(published: Readings, boots: list[Readings], highest: list[int]) -> int:
    """Count the published readings with a number above all that their boot stored."""
    begins = np.array([boot.received_ns.min() for boot in boots])
    boot = np.clip(np.searchsorted(begins, published.received_ns, side="right") - 1, 0, None)
    beyond = published.seq > np.array(highest)[boot]
    numbers = np.stack((boot[beyond], published.seq[beyond]), axis=1)
    return len(np.unique(numbers, axis=0))


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
    columns = (stored.device, stored.boot, stored.seq, stored.signal, stored.time_ns)
    rows = np.stack((*columns, stored.received_ns), axis=1)
    return len(rows) - len(np.unique(rows, axis=0))


def count_unpublished(stored: Readings, published: Readings) -> int | None:
    """Return the stored readings that a client did not get exactly once, and as they were stored.

    What came in before the first reading that the client got does not count: it was not there yet.
    None if it never got one.
    """
    if not len(published):
        return None
    shown = Counter(_whole_rows(published))
    watched = stored.where(stored.received_ns >= published.received_ns.min())
    return sum(shown[row] != 1 for row in set(_whole_rows(watched)))


def _whole_rows(readings: Readings) -> Iterator[tuple[int, ...]]:
    """Yield each reading whole; a value as its bits, for no NaN equals another."""
    bits = readings.value.view(np.int64)
    whose = (readings.device, readings.boot)
    columns = (*whose, readings.seq, readings.signal, readings.time_ns, bits)
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
