"""What is marked as stale, when, and whether it should be: as a client of the live stream sees it.

The gateway sends the complete list of a link's stale signals whenever it changes.

* unmarked: a planned signal is overdue three periods after its newest reading arrived. The time
  from there to the mark, or to the next reading where none comes before.
* wrong: a mark ends when a new reading of the signal comes in. The time from that reading's arrival
  to the end of the mark.

A signal that never arrived is not judged here; coverage tells that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rig.measures.matching import Matched
from rig.measures.windows import Span, Window
from rig.record.streams import Event

STALE_EVENT = "gateway.stale"
OVERDUE_PERIODS = 3
_NS_PER_S = 1e9

Marks = Mapping[str, Mapping[int, Sequence[Span]]]
"""Link -> signal id -> when it was marked, in order."""


def marks_of(events: Iterable[Event], end_ns: int, kills_ns: Sequence[int] = ()) -> Marks:
    """Return when each signal was marked as stale; a mark that is still there ends at `end_ns`.

    At a kill of the gateway every mark ends, for its clients know nothing of it any more.
    """
    marks: dict[str, dict[int, list[Span]]] = {}
    begun: dict[tuple[str, int], int] = {}
    kills = sorted(kills_ns)

    def end_all(until_ns: float) -> None:
        while kills and kills[0] <= until_ns:
            kill_ns = kills.pop(0)
            for (link, signal), start_ns in begun.items():
                marks.setdefault(link, {}).setdefault(signal, []).append((start_ns, kill_ns))
            begun.clear()

    for event in events:
        if event.kind != STALE_EVENT:
            continue
        end_all(event.time_ns)
        link, listed = str(event.detail["link"]), set(event.detail["signals"])
        for key in [key for key in begun if key[0] == link and key[1] not in listed]:
            spans = marks.setdefault(link, {}).setdefault(key[1], [])
            spans.append((begun.pop(key), event.time_ns))
        for signal in listed:
            begun.setdefault((link, signal), event.time_ns)
    end_all(np.inf)
    for (link, signal), start_ns in begun.items():
        span = (start_ns, max(start_ns, end_ns))
        marks.setdefault(link, {}).setdefault(signal, []).append(span)
    return marks


def unmarked_s(
    link: str,
    published: Mapping[str, Matched],
    plan: Mapping[str, float | None],
    marks: Marks,
    window: Window,
    kills_ns: Sequence[int] = (),
) -> float | None:
    """Return the longest time in `window` for which a planned signal was overdue and not marked.

    At a kill of the gateway its clients lose their connection, and take nothing for fresh that is
    from before it: there a wait ends. None where nothing that is planned was ever published.
    """
    longest: list[float] = []
    for name, rate_hz in plan.items():
        matched = published.get(name)
        if matched is None or not rate_hz or not len(matched.readings):
            continue
        allowed_ns = round(OVERDUE_PERIODS / rate_hz * _NS_PER_S)
        overdue = Window(tuple(_overdue(matched, allowed_ns, window, kills_ns)))
        bare = overdue.without(_spans(marks, link, matched))
        longest.append(_longest_s(bare.spans, window))
    return max(longest, default=None)


def wrongly_marked_s(
    link: str, published: Mapping[str, Matched], marks: Marks, window: Window
) -> float | None:
    """Return the longest time in `window` for which a mark outlived the arrival of a new reading.

    None where nothing was ever published.
    """
    if not published:
        return None
    spans = [span for matched in published.values() for span in _outlived(matched, marks, link)]
    return _longest_s(spans, window)


def _overdue(
    matched: Matched, allowed_ns: int, window: Window, kills_ns: Sequence[int]
) -> Iterable[Span]:
    arrived = np.sort(matched.readings.shown_ns)
    end_ns = max((end for _, end in window.spans), default=0)
    edges = np.append(arrived, max(end_ns, int(arrived[-1])))
    for index in np.flatnonzero(np.diff(edges) > allowed_ns).tolist():
        begin_ns, end_ns = int(edges[index]), int(edges[index + 1])
        end_ns = min((kill for kill in kills_ns if begin_ns <= kill < end_ns), default=end_ns)
        if begin_ns + allowed_ns < end_ns:
            yield begin_ns + allowed_ns, end_ns


def _outlived(matched: Matched, marks: Marks, link: str) -> Iterable[Span]:
    order = np.argsort(matched.readings.received_ns, kind="stable")
    received = matched.readings.received_ns[order]
    arrived = matched.readings.shown_ns[order]
    for start_ns, end_ns in _spans(marks, link, matched):
        # What came in before the mark may arrive after it.
        index = int(np.searchsorted(received, start_ns, side="right"))
        if index < len(arrived) and int(arrived[index]) < end_ns:
            yield int(arrived[index]), end_ns


def _spans(marks: Marks, link: str, matched: Matched) -> Sequence[Span]:
    if not len(matched.readings):
        return ()
    return marks.get(link, {}).get(int(matched.readings.signal[0]), ())


def _longest_s(spans: Iterable[Span], window: Window) -> float:
    lengths = [
        min(end, window_end) - max(start, window_start)
        for start, end in spans
        for window_start, window_end in window.spans
    ]
    return max(0, 0, *lengths) / _NS_PER_S
