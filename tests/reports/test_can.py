"""The page of a run with a CAN bus."""

from __future__ import annotations

from pathlib import Path

from reports.html import render_html
from reports.judged_run import judge_run
from rig.record.streams import CanRow
from rig.record.writer import RecordWriter

SPEED = 0x1000_0001
MANIFEST = {
    "scenario": "bus",
    "seed": 1,
    "mode": "virtual",
    "epoch_ns": 0,
    "phases": [["idle", 0, 10_000_000_000]],
    "plan": {"can": {"VehicleSpeed": 10.0}},
    "signals": {SPEED: {"name": "VehicleSpeed", "unit": "km/h", "resolution": 0.01, "link": "can"}},
    "can": {"bitrate_bps": 500_000},
}


def page(folder: Path, *, with_frames: bool) -> str:
    """Return the page of a record with one value on the bus."""
    with RecordWriter(folder, MANIFEST) as writer:
        writer.sample(1_000_000_000, "can", "VehicleSpeed", 50.0, 50.0)
        if with_frames:
            for number in range(1000):
                writer.can(CanRow(number * 5_000_000, "PCM", 0x130, 0, "\x00" * 8, 111))
        writer.close({"sim_s": 10.0, "wall_s": 1.0})
    return render_html([judge_run(folder)])


def test_the_load_of_the_bus_is_drawn(tmp_path: Path) -> None:
    """Beside the link's own figures; without frames there is nothing to draw."""
    assert "load of the CAN bus over time" in page(tmp_path / "a", with_frames=True)
    assert "load of the CAN bus over time" not in page(tmp_path / "b", with_frames=False)
