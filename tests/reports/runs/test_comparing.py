"""GET /api/runs/{run}/divergence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from reports.runs.run import Run
from rig.record.compare import compare
from rig.record.reader import RecordReader


@pytest.fixture
def pair(runs: Path) -> Path:
    """A folder with a made-up drive and its copy."""
    shutil.copytree(runs / "drive", runs / "again")
    return runs


def test_equal_traces(pair: Path, ask: Callable[..., TestClient]) -> None:
    """The same record twice differs nowhere."""
    answer = ask(pair).get("/api/runs/drive/divergence", params={"against": "again"})
    assert answer.json() == {"differs": False}


def test_the_first_row_that_differs(
    real_drive: Run, real_board: Run, ask: Callable[..., TestClient]
) -> None:
    """As `rig.record.compare` finds it, with its place in words."""
    client = ask(real_drive.folder.parent)
    answer = client.get(
        f"/api/runs/{real_drive.id}/divergence", params={"against": real_board.id}
    ).json()
    found = compare(RecordReader(real_drive.folder), RecordReader(real_board.folder))
    assert found is not None
    assert answer["differs"] is True
    assert (answer["stream"], answer["row"], answer["time_ns"]) == (
        found.stream,
        found.row,
        found.time_ns,
    )
    seconds = real_drive.manifest.seconds(found.time_ns)
    assert answer["where"].startswith(f"at {seconds:.3f} s")


def test_nothing_to_compare_with(pair: Path, ask: Callable[..., TestClient]) -> None:
    """No other run, an unknown one, one without a manifest: said in words."""
    client = ask(pair)
    assert client.get("/api/runs/drive/divergence").status_code == 400
    unknown = client.get("/api/runs/drive/divergence", params={"against": "nobody"})
    assert unknown.status_code == 404
    assert "nobody" in unknown.text
    (pair / "again" / "run.json").write_text("{", encoding="utf-8")
    damaged = client.get("/api/runs/drive/divergence", params={"against": "again"})
    assert 400 <= damaged.status_code < 500
    assert "run.json" in damaged.json()["detail"]
