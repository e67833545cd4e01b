"""Which real devices went away in mid-run, when, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sim.mesh_setup import BASE_LINE, MESH

GONE, BACK = "gone", "back"
SETTLING_NS = 500_000_000  # a hang-up is told a moment after the switch, and not before it

Note = Callable[[int, str, Mapping[str, Any]], None]


@dataclass(slots=True)
class Outage:
    """A time for which a device was away.

    Attributes:
        start_ns: UTC, when it was noticed.
        end_ns: when it was back; 0: it never was.
        reason: what the port said.
        is_wanted: True where the rig itself had switched it off.
    """

    start_ns: int
    reason: str
    is_wanted: bool
    end_ns: int = 0


@dataclass(slots=True)
class Presence:
    """Keeps what happens to real devices; called in the world's thread.

    Args:
        places: link -> its place, for people.
        note: takes (UTC ns, kind, details) for the record.
    """

    places: Mapping[str, str]
    note: Note
    outages: dict[str, list[Outage]] = field(default_factory=dict)
    _off_ns: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def event(self, link: str, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        """A port says that something happened to it."""
        if kind == GONE:
            outage = Outage(time_ns, str(detail.get("reason", "")), self._is_off(link, time_ns))
            self.outages.setdefault(link, []).append(outage)
        elif kind == BACK and self.outages.get(link):
            self.outages[link][-1].end_ns = time_ns
        place = self.places.get(link, "")
        self.note(time_ns, "bench", {"name": kind, "phase": link, "place": place, **detail})

    def switched_off(self, link: str) -> None:
        """The rig switches a device off just now."""
        self._off_ns.setdefault(link, []).append((time.time_ns(), 0))

    def switched_on(self, link: str, settle_s: float) -> None:
        """The rig has switched it on; for a moment more it may be away."""
        spans = self._off_ns.get(link)
        if spans:
            spans[-1] = spans[-1][0], time.time_ns() + round(settle_s * 1e9)

    def result(self) -> dict[str, list[dict[str, Any]]]:
        """Return link -> the times for which its device was away though it should not be.

        The base station's radio is one of the link `mesh`.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for line, place in self.places.items():
            found.setdefault(MESH if line == BASE_LINE else line, []).extend(
                {"start_ns": o.start_ns, "end_ns": o.end_ns, "reason": o.reason, "place": place}
                for o in self.outages.get(line, ())
                if not o.is_wanted
            )
        return found

    def _is_off(self, link: str, time_ns: int) -> bool:
        return any(
            start <= time_ns + SETTLING_NS and (not end or time_ns <= end)
            for start, end in self._off_ns.get(link, ())
        )
