"""`telerig wires` as it is typed: played, kept as golden, compared, shown; and the pages."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from reports.runs.routes import make_routes
from tests.rig.wires.conftest import EPOCH_NS, MS, words_of

LIMIT_S = 120


def wires(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `telerig wires WORDS`."""
    return subprocess.run(
        words_of("wires", *words),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_played_kept_and_compared(sky: Path, tmp_path: Path, server_url: str) -> None:
    """A golden file is written and found equal; changed by hand, the change is named."""
    runs, golden = tmp_path / "runs", tmp_path / "sky.golden"
    words = ("play", sky, "--runs", runs, "--json")
    played = wires(*words, TELERIG_DATABASE_URL=server_url)
    assert played.returncode == 0, played.stderr
    document = json.loads(played.stdout)
    assert document["passed"]
    folder = document["runs"][0]["record"]
    assert wires("diff", folder, "--golden", golden, "--update").returncode == 0
    equal = wires("diff", folder, "--golden", golden)
    assert (equal.returncode, equal.stdout[:6]) == (0, "equal:"), equal.stderr
    text = golden.read_text()
    golden.write_text(text.replace("1.852", "2.852", 1))
    assert golden.read_text() != text
    different = wires("diff", folder, "--golden", golden)
    assert different.returncode == 1
    assert "GPS_SPEED" in different.stdout
    tolerant = wires("diff", folder, "--golden", golden, "--tolerance", "GPS_SPEED=1")
    assert tolerant.returncode == 0
    ignored = wires("diff", folder, "--golden", golden, "--ignore", "link:gps", "--json")
    assert json.loads(ignored.stdout)["equal"]


def test_what_stands_on_the_wires(sky: Path) -> None:
    """A table for people, a document for scripts."""
    shown = wires("show", sky)
    assert shown.returncode == 0, shown.stderr
    assert "NMEA 0183 (RMC)" in shown.stdout
    (wire,) = json.loads(wires("show", sky, "--json").stdout)["wires"]
    assert (wire["wire"], wire["messages"], wire["plays"]) == ("gps", 10, True)


def test_the_pages_open_a_record_of_wires_alone(sky: Path) -> None:
    """No limits, no truth, no readings: the run is listed, and its bytes are shown."""
    with TestClient(Starlette(routes=make_routes(sky.parent))) as pages:
        rows = pages.get("/api/runs").json()["runs"]
        assert [(row["id"], row["mode"]) for row in rows] == [("sky", "captured")]
        for path in ("", "/track", "/events", "/statistics", "/verdicts"):
            assert pages.get(f"/api/runs/sky{path}").status_code == 200, path
        at: dict[str, Any] = {"at_ns": EPOCH_NS + 500 * MS, "link": "gps"}
        answer = pages.get("/api/runs/sky/wire", params=at)
        assert answer.status_code == 200, answer.text
        assert "GPRMC" in answer.text


def test_the_commands_tell_what_is_wrong(tmp_path: Path) -> None:
    """Each in one line, with exit code 2: nothing to compare, nothing to play."""
    for words in (
        ["diff", tmp_path / "a", tmp_path / "b"],
        ["diff", tmp_path / "a"],
        ["play", tmp_path / "a"],
        ["show", tmp_path / "a"],
        ["import", tmp_path / "a", "--out", tmp_path / "b"],
    ):
        done = wires(*words, *([] if words[0] == "import" else ["--runs", tmp_path]))
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert "expected" in done.stderr
