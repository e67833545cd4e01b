"""Columns hold what the record's rows hold: kept or not, damaged or not, growing or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zstandard

from reports.runs import cache
from reports.runs.columns import Collector
from reports.runs.names import Names
from reports.runs.run import Run
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import STORED, Stored
from rig.record.writer import RecordWriter

PARTS = ("stored", "reported", "samples", "truth")


def test_columns_are_the_rows_of_the_record(runs: Path) -> None:
    """Each reading, published and stored, is in the column of its signal, in order of time."""
    run, record = Run(runs / "drive"), RecordReader(runs / "drive")
    for layer, rows in (("stored", record.stored), ("reported", record.published)):
        columns = run.part(layer)[layer]
        expected: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            expected.setdefault(run.names.signals[row.signal].name, []).append(
                (row.time_ns, row.value)
            )
        assert set(columns) == set(expected)
        for name, pairs in expected.items():
            column = columns[name]
            pairs.sort(key=lambda pair: pair[0])
            assert column.time_ns.tolist() == [time_ns for time_ns, _ in pairs]
            assert column.value.tolist() == [value for _, value in pairs]
    samples = [s for s in record.samples if s.signal == "RPM"]
    assert run.column("RPM", "wire").value.tolist() == [s.wire for s in samples]
    truth = [row[1 + record.manifest.truth_columns.index("RPM")] for row in record.truth]
    assert run.column("RPM", "truth").value.tolist() == truth


def test_what_is_kept_is_what_was_read(runs: Path) -> None:
    """The second process finds the columns beside the record, equal to the first one's."""
    first = {part: Run(runs / "drive").part(part) for part in PARTS}
    assert sorted(p.name for p in (runs / "drive" / cache.FOLDER).iterdir()) == sorted(PARTS)
    second = Run(runs / "drive")
    for part in PARTS:
        assert isinstance(next(iter(second.part(part).values())), cache.KeptColumns)
        for layer, columns in first[part].items():
            assert set(second.part(part)[layer]) == set(columns)
            for name, column in columns.items():
                for a, b in zip(column, second.part(part)[layer][name], strict=True):
                    assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (layer, name)


def test_kept_columns_count_no_more_when_the_record_changes(runs: Path) -> None:
    """A stream that is another one is read again."""
    folder = runs / "drive"
    before = len(Run(folder).column("RPM").time_ns)
    path = folder / STORED.file_name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert 0 <= len(Run(folder).column("RPM").time_ns) < before


@pytest.mark.parametrize("spoil", ["cut", "flip", "head", "empty", "foreign"])
def test_damaged_columns_are_made_anew(runs: Path, ask: object, spoil: str) -> None:
    """Whatever happened to the file, the answer is that of the record."""
    path = "/api/runs/drive/series?signal=RPM&layer=stored&points=20000"
    good = ask(runs).get(path).json()  # type: ignore[operator]
    kept = runs / "drive" / cache.FOLDER / "stored"
    data = kept.read_bytes()
    middle = len(data) * 2 // 3
    kept.write_bytes(
        {
            "cut": data[:-10],
            "flip": data[:middle] + bytes(byte ^ 0xFF for byte in data[middle:]),
            "head": data[:40] + b"}" + data[41:],
            "empty": b"",
            "foreign": b"PK\x03\x04" + data,
        }[spoil]
    )
    answer = ask(runs).get(path)  # type: ignore[operator]
    assert answer.status_code == 200, answer.text
    assert answer.json() == good


def test_a_folder_that_cannot_be_written_is_shown_all_the_same(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a read-only folder costs the cache, and leaves no half file."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    found = Run(runs / "drive").column("RPM")
    assert len(found.time_ns) > 100
    assert list((runs / "drive" / cache.FOLDER).iterdir()) == []
    monkeypatch.setattr(cache.tempfile, "mkstemp", full)
    assert len(Run(runs / "drive").column("RPM").time_ns) == len(found.time_ns)


def test_damage_in_a_stream_costs_its_frame_alone(tmp_path: Path, drive: object) -> None:
    """What stands in other frames is shown, and the run says what is missing."""
    folder = tmp_path / "run"
    shutil.copytree(drive(600.0, 3, "long"), folder)  # type: ignore[operator]
    whole = len(Run(folder).column("RPM").time_ns)
    shutil.rmtree(folder / cache.FOLDER)
    path = folder / STORED.file_name
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(bytes(data))
    run = Run(folder)
    assert 0 < len(run.column("RPM").time_ns) < whole
    assert any(STORED.file_name in note for note in run.notes)
    assert any(STORED.file_name in note for note in _noted_again(folder))


def _noted_again(folder: Path) -> list[str]:
    run = Run(folder)
    run.part("stored")
    return run.notes


def test_a_growing_run_is_read_on(tmp_path: Path) -> None:
    """What is flushed later is in the column later; nothing is read or shown twice."""
    writer = RecordWriter(
        tmp_path / "run",
        {
            "scenario": "s", "seed": 1, "mode": "paced", "epoch_ns": 0,
            "signals": {12: {"name": "RPM", "unit": "rpm", "resolution": 0.25, "link": "obd"}},
        },
    )  # fmt: skip
    run = Run(tmp_path / "run")
    assert run.running
    for number in range(1, 4):
        writer.published(number * 100, [(number, 12, number * 10, 5.0 * number, number * 11, 0)])
        writer.flush()
        assert run.column("RPM").time_ns.tolist() == [n * 10 for n in range(1, number + 1)]
    assert not (tmp_path / "run" / cache.FOLDER).exists()
    assert run.is_current
    writer.stored([Stored("car", n, 12, n * 10, 5.0 * n, n * 11, 0, n * 20) for n in (1, 2, 3)])
    writer.close({"sim_s": 1.0})
    assert not run.is_current
    done = Run(tmp_path / "run")
    assert (done.finished, done.running) == (True, False)
    assert done.column("RPM", "stored").value.tolist() == [5.0, 10.0, 15.0]


def test_no_number_and_states_are_kept(tmp_path: Path) -> None:
    """A value that was lost is no number, and its state is with it, cached or not."""
    signals = {12: {"name": "RPM", "unit": "rpm", "resolution": 0.25, "link": "obd"}}
    made = {"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": 0, "signals": signals}
    writer = RecordWriter(tmp_path / "run", made)
    rows = [Stored("car", 1, 12, 30, None, 31, 3, 40), Stored("car", 2, 12, 20, 7.0, 32, 0, 40)]
    writer.stored(rows)
    writer.close({"sim_s": 1.0})
    for _ in range(2):
        column = Run(tmp_path / "run").column("RPM")
        assert column.time_ns.tolist() == [20, 30]
        assert column.state.tolist() == [0, 3]
        assert np.isnan(column.value[1])


def test_rows_of_another_form_are_told_of(tmp_path: Path) -> None:
    """Rows that are no rows of their stream are left out in words."""
    (tmp_path / STORED.file_name).write_bytes(zstandard.compress(b'{"no": "row"}\n'))
    names = Names(Manifest(scenario="s", seed=1, mode="virtual", epoch_ns=0))
    collector = Collector(tmp_path, "stored", names)
    collector.update()
    assert collector.columns == {"stored": {}, "received": {}}
    assert "no rows of its stream" in collector.damage
