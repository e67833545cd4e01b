from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.record.streams import Stored
from rig.record.writer import RecordWriter

EPOCH_NS = 1_700_000_000_000_000_000


def manifest(**values: Any) -> dict[str, Any]:
    return {
        "scenario": "bench",
        "seed": 3,
        "mode": "virtual",
        "epoch_ns": EPOCH_NS,
        "phases": [["calm", EPOCH_NS, EPOCH_NS + 10_000_000_000]],
        "truth_columns": ["RPM", "SPEED"],
    } | values


def fill(writer: RecordWriter, count: int = 20, rpm: float = 812.25, boot: int = 5) -> None:
    """Write `count` rows into each stream."""
    for i in range(count):
        t = EPOCH_NS + i * 100_000_000
        writer.truth(t, [rpm, 0.1 * i])
        writer.sample(t + 1, "obd", "RPM", rpm + 0.1, rpm)
        writer.wire("obd", t, False, b"010C1\r")
        writer.wire("obd", t + 9_000_000, True, b"7E8 04 41 0C 0C B1 \r\r>\x00\xff")
        writer.wire("gps", t, True, b"$GNRMC,100000.00,A*57\r\n")
        row = (i + 1, 12, t + 1, rpm, t + 9_000_000, 0)
        writer.published(t + 50_000_000, [row])
        writer.stored([Stored("car-1", *row, t + 60_000_000)])
        writer.stored_at(boot, i + 1, t + 70_000_000)
    writer.event(EPOCH_NS, "fault", {"name": "drop", "phase": "start"})
    writer.log("a line")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a small record and return its folder; keywords go to `fill` and the manifest."""

    def make(
        name: str, *, count: int = 20, rpm: float = 812.25, boot: int = 5, **values: Any
    ) -> Path:
        writer = RecordWriter(tmp_path / name, manifest(**values))
        fill(writer, count, rpm, boot)
        writer.close({"sim_s": 2.0, "wall_s": 0.1})
        return tmp_path / name

    return make
