"""Courses of figures: what is drawn is what the verdict rests on."""

from __future__ import annotations

import numpy as np
import pytest

from reports.runs.figures import FAMILIES, figure_of, figure_units
from reports.runs.info import info_of
from reports.runs.limits import limits_of
from reports.runs.run import Run
from rig.measures.arrays import percentile
from rig.measures.measures import measure
from rig.measures.names import MEASURE_NAMES, all_names
from rig.measures.windows import window_of
from rig.record.reader import RecordReader


def inside(
    run: Run, name: str, phase: str | None = None, except_faults: bool = False
) -> np.ndarray:
    column = run.column(name)
    window = window_of(run.manifest, phase, except_faults, name.split(".")[0])
    assert window is not None
    return column.value[window.holds(column.time_ns)]


def test_percentiles_of_a_course_are_the_figures_of_the_verdict(real_drive: Run) -> None:
    """The p95 of the drawn latencies, in a limit's window, is the value that was judged."""
    measures = measure(RecordReader(real_drive.folder))
    for name, phase, except_faults in (
        ("obd.latency", None, True),
        ("gps.latency", None, False),
        ("can.latency", "start", False),
        ("can.latency.stored", None, False),
        ("gps.latency.published", "town", False),
        ("gps.position_error", None, False),
        ("can.time_error", None, False),
    ):
        judged = measures.get(f"{name}.p95", phase, except_faults)
        assert judged is not None
        drawn = percentile(inside(real_drive, name, phase, except_faults), "p95")
        assert drawn == pytest.approx(judged.value, rel=1e-6), name


def test_worst_of_a_course_is_the_worst_that_was_judged(real_drive: Run) -> None:
    """Outages, ages, recoveries, errors: the largest drawn is the largest measured."""
    measures = measure(RecordReader(real_drive.folder))
    for name in ("can.age", "gps.fidelity", "obd.truth_error", "obd.recovery"):
        judged = measures.get(f"{name}.max")
        assert judged is not None
        values = (
            real_drive.column(name).value if name == "obd.recovery" else inside(real_drive, name)
        )
        assert values.max() == pytest.approx(judged.value, rel=1e-6, abs=1e-9), name
    seconds = inside(real_drive, "can.rate")
    assert seconds.sum() / 11 == pytest.approx(measures.get("can.rate").value, rel=0.02)  # type: ignore[union-attr]
    assert inside(real_drive, "can.coverage").min() > 90


def test_the_end_of_what_adds_up_is_the_figure(real_board: Run) -> None:
    """Compression so far is, at the end, the compression; the queue's top is its maximum."""
    measures = measure(RecordReader(real_board.folder))
    for name in ("compression_ratio", "suppression_ratio", "bits_per_reading"):
        judged = measures.get(f"esp32.{name}")
        assert judged is not None
        course = real_board.column(f"esp32.{name}")
        assert len(course.value) > 20
        assert course.value[-1] == pytest.approx(judged.value)
    longest = measures.get("esp32.queue_max")
    assert longest is not None
    assert real_board.column("esp32.queue").value.max() == longest.value


def test_errors_and_delays_are_those_of_the_readings(real_drive: Run) -> None:
    """Error: stored less true. Delay: received less measured."""
    truth = dict(zip(*real_drive.part("samples")["true"]["LAT"][:2], strict=True))
    stored, error = real_drive.column("LAT"), real_drive.column("LAT", "error")
    value_at = dict(zip(stored.time_ns.tolist(), stored.value.tolist(), strict=True))
    assert len(error.time_ns) > 50
    for time_ns, off in zip(error.time_ns.tolist(), error.value.tolist(), strict=True):
        assert off == pytest.approx(value_at[time_ns] - truth[time_ns], abs=1e-12)
    delay = real_drive.column("LAT", "delay")
    assert delay.value.min() > 0
    assert delay.value.max() < 500


def test_every_measure_has_a_course_or_is_a_number() -> None:
    """Each name that a limit may have is drawn in a family's course, or in none at all."""
    drawn = {name: figure_of(name) for name in all_names()}
    assert drawn["obd.latency.published.p99"] == "obd.latency.published"
    assert drawn["can.bus_load.max"] == "can.bus_load"
    assert drawn["obd.coverage.worst"] == "obd.coverage"
    assert drawn["esp32.queue_max"] == "esp32.queue"
    assert drawn["readings.lost"] is drawn["gateway.cpu"] is drawn["obd.stale.wrong.max"] is None
    assert figure_of("nonsense.p95") is None
    families = {name.split(".", 1)[1] for name in drawn.values() if name}
    assert families == set(FAMILIES) - {"stale"}
    assert len(MEASURE_NAMES) > len(FAMILIES)


def test_limits_are_drawn_where_they_hold(real_drive: Run) -> None:
    """Bounds in the course's unit, one window for each phase, the judge's values, the line."""
    limits = limits_of(real_drive, real_drive.verdicts())
    by_name = {limit.id: limit for limit in limits}
    first = by_name["limit-0"]
    assert (first.name, first.signal, first.max, first.warn_max) == (
        "obd.latency.p95", "obd.latency", 60.0, 40.0,
    )  # fmt: skip
    assert first.except_faults
    assert len(first.spans) == 2
    phases = {p.name: (p.start_ns / 1e9, p.end_ns / 1e9) for p in real_drive.manifest.phases}
    of_can = [limit for limit in limits if limit.name == "can.latency.p95"]
    assert [(one.start_s, one.end_s) for one in of_can] == [phases["start"], phases["town"]]
    broken = next(limit for limit in limits if limit.name == "gps.latency.p95")
    assert broken.outcome == "fail"
    assert broken.margin_pct is not None
    assert broken.margin_pct < 0
    lines = (real_drive.folder.parents[1] / "scenarios" / "short_drive.scenario.yaml").read_text()
    assert "gps.latency.p95" in lines.splitlines()[broken.line - 1]
    assert next(one for one in limits if one.name == "gateway.cpu").outcome == "skipped"
    lost = next(one for one in limits if one.name == "readings.lost")
    assert (lost.min, lost.max, lost.signal) == (0, 0, None)


def test_what_a_run_is_names_all_that_can_be_asked_for(real_drive: Run, real_board: Run) -> None:
    """Signals, courses, layers, faults with detection and recovery, command and file."""
    info = info_of(real_drive)
    names = {signal["name"] for signal in info["signals"]}
    assert {"RPM", "LAT", "EngineSpeed", "BOOST", "obd.latency", "can.bus_load"} <= names
    assert set(figure_units(real_drive.manifest)) <= names
    assert info["has"]["layers"] == ["stored", "reported", "wire", "truth", "error", "delay"]
    assert info["verdict"] == "fail"
    assert info["command"].startswith("telerig run ")
    assert 2 <= sum(s["default"] for s in info["signals"] if not s.get("derived")) <= 8
    pulled, tunnel = info["faults"]
    assert (pulled.name, pulled.kind, pulled.link) == ("pulled", "hang_up", "obd")
    assert pulled.detected_s is not None
    assert 0 < pulled.detected_s - pulled.start_s < 0.5
    assert pulled.required_s == 7.0
    recovery = measure(RecordReader(real_drive.folder)).get("obd.recovery.max")
    assert recovery is not None
    assert pulled.recovered_s == pytest.approx(pulled.end_s + recovery.value, abs=1e-5)
    assert tunnel.detected_by.startswith("link gps degraded")
    assert tunnel.required_s is None
    board = {s["name"]: s for s in info_of(real_board)["signals"]}
    assert board["RPM"]["group"] == "esp32"
    assert "esp32.compression_ratio" in board
