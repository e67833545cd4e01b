"""Small records made by hand, for measures that can be checked with a pencil."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rig.measures.measures import Measures, measure
from rig.record.reader import RecordReader
from rig.record.streams import Stored
from rig.record.writer import RecordWriter

EPOCH_NS = 1_700_000_000_000_000_000
SIGNALS = {
    12: {"name": "RPM", "unit": "rpm", "resolution": 0.25, "link": "obd"},
    13: {"name": "SPEED", "unit": "km/h", "resolution": 1.0, "link": "obd"},
    1001: {"name": "LAT", "unit": "°", "resolution": 1e-7, "link": "gps"},
    1002: {"name": "LON", "unit": "°", "resolution": 1e-7, "link": "gps"},
    1005: {"name": "GPS_HEADING", "unit": "°", "resolution": 0.01, "link": "gps", "wraps": 360.0},
    2001: {"name": "BOOST", "unit": "psi", "resolution": 0.145, "link": ""},
}
RPM, SPEED, LAT, LON, HEADING, BOOST = SIGNALS


def at(seconds: float) -> int:
    """The world's UTC at a virtual second."""
    return EPOCH_NS + round(seconds * 1e9)


class Bench:
    """Writes one record: samples, and readings that go through a gateway without fault."""

    def __init__(self, folder: Path, **manifest: Any) -> None:
        values = {
            "scenario": "bench",
            "seed": 1,
            "mode": "virtual",
            "epoch_ns": EPOCH_NS,
            "phases": [["calm", at(0), at(10)], ["hard", at(10), at(20)]],
            "signals": SIGNALS,
        }
        self.writer = RecordWriter(folder, values | manifest)
        self.result: dict[str, Any] = {"sim_s": 20.0, "wall_s": 0.5}
        self.seq = 0
        self.rows: list[Stored] = []

    def sample(
        self, time_s: float, source: str, signal: str, true: float, wire: float | None
    ) -> None:
        self.writer.sample(at(time_s), source, signal, true, wire)

    def reading(
        self,
        signal: int,
        value: float,
        *,
        measured_s: float,
        received_s: float,
        committed_s: float | None = None,
        arrived_s: float | None = None,
        seq: int | None = None,
        state: int = 0,
        store: bool = True,
    ) -> None:
        """Accept a reading; stored and published 0.5 s and 0.1 s after it came in."""
        self.seq = self.seq + 1 if seq is None else seq
        committed_s = received_s + 0.5 if committed_s is None else committed_s
        arrived_s = received_s + 0.1 if arrived_s is None else arrived_s
        row = (self.seq, signal, at(measured_s), value, at(received_s), state)
        self.writer.published(at(arrived_s), [row])
        if store:
            self.rows.append(Stored("car-1", *row, at(committed_s)))

    def stale(self, time_s: float, link: str, *signals: int) -> None:
        """Hear from the live stream which signals of a link are stale."""
        self.writer.event(at(time_s), "gateway.stale", {"link": link, "signals": signals})

    def poll(
        self, signal: int, times_s: Iterable[float], delay_s: float = 0.03, value: float = 800.0
    ) -> None:
        """Sample at each instant, and receive `delay_s` later what was sampled."""
        name = SIGNALS[signal]["name"]
        for time_s in times_s:
            self.sample(time_s, str(SIGNALS[signal]["link"]), str(name), value, value)
            self.reading(signal, value, measured_s=time_s, received_s=time_s + delay_s)

    def measures(self) -> Measures:
        self.writer.stored(self.rows)
        self.writer.close(self.result)
        return measure(RecordReader(self.writer.folder))


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """Make a bench; its keywords go into the manifest."""
    numbers = iter(range(100))
    return lambda **manifest: Bench(tmp_path / f"run{next(numbers)}", **manifest)
