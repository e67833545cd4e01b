"""The API of runs: answers that equal the record, and problems in words."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from reports.runs import cache
from rig.record.reader import RecordReader
from rig.record.streams import MANIFEST_FILE, TRUTH
from rig.record.writer import RecordWriter

Ask = Callable[..., TestClient]
BASE = "/api/runs/drive"


def test_a_line_is_the_record_and_a_part_of_it_is_a_part(runs: Path, ask: Ask) -> None:
    """All points of a signal, then some of a window of it; several signals in one question."""
    client, record = ask(runs), RecordReader(runs / "drive")
    number = next(n for n, info in record.manifest.signals.items() if info.name == "RPM")
    rows = sorted((r.time_ns, r.value) for r in record.stored if r.signal == number)
    line = client.get(f"{BASE}/series?signal=RPM&points=20000").json()["series"][0]
    assert (line["signal"], line["id"], line["unit"], line["raw"]) == ("RPM", number, "rpm", True)
    assert list(zip(line["times_ns"], line["values"], strict=True)) == rows
    start, end = rows[100][0], rows[400][0]
    query = f"signal=RPM,SPEED&layer=stored&layer=wire&points=40&start_ns={start}&end_ns={end}"
    lines = client.get(f"{BASE}/series?{query}").json()["series"]
    assert [(one["signal"], one["layer"]) for one in lines] == [
        ("RPM", "stored"), ("RPM", "wire"), ("SPEED", "stored"), ("SPEED", "wire"),
    ]  # fmt: skip
    assert lines[0]["count"] == 301
    inside = [v for t, v in rows if start <= t <= end]
    assert {min(inside), max(inside)} <= set(lines[0]["values"])
    assert len(lines[0]["values"]) < 80


def test_the_track_is_as_reported_and_as_it_was(runs: Path, ask: Ask) -> None:
    """Positions of the store beside those of the world; few points, but first and last."""
    track = ask(runs).get(f"{BASE}/track?points=50").json()
    record = RecordReader(runs / "drive")
    lat = sorted((r.time_ns, r.value) for r in record.stored if r.signal == 1001)
    assert track["reported"]["count"] == len(lat)
    assert (track["reported"]["times_ns"][0], track["reported"]["lat"][0]) == lat[0]
    assert track["reported"]["times_ns"][-1] == lat[-1][0]
    assert len(track["reported"]["lat"]) <= 50
    assert track["truth"]["count"] == len(record.truth)


def test_a_run_without_gps_or_truth_says_so(tmp_path: Path, ask: Ask) -> None:
    """No positions, no truth: null and empty lines, not an error."""
    signals = {12: {"name": "RPM", "unit": "rpm", "resolution": 0.25, "link": "obd"}}
    made = {"scenario": "s", "seed": 1, "mode": "paced", "epoch_ns": 10**18, "signals": signals,
            "real_links": ["obd"], "plan": {"obd": {"RPM": 1.0}}}  # fmt: skip
    writer = RecordWriter(tmp_path / "drive", made)
    writer.published(10**18 + 9, [(1, 12, 10**18 + 5, float("nan"), 10**18 + 7, 0)])
    writer.close({"sim_s": 1.0})
    client = ask(tmp_path)
    assert client.get(f"{BASE}/track").json() == {"reported": None, "truth": None, "source": None}
    line = client.get(f"{BASE}/series?signal=RPM&layer=reported").json()["series"][0]
    assert (line["count"], line["values"]) == (1, [None])
    info = client.get(BASE).json()
    assert (info["has"]["track"], info["live"]) == (False, False)
    for part in ("events", "statistics", "verdicts", f"wire?at_ns={10**18}"):
        assert client.get(f"{BASE}/{part}").status_code == 200, part


def test_events_are_phases_faults_and_what_the_gateway_said(runs: Path, ask: Ask) -> None:
    """In order of time, with kind and severity; a window leaves out what lies beside it."""
    client, manifest = ask(runs), RecordReader(runs / "drive").manifest
    events = client.get(f"{BASE}/events").json()["events"]
    assert [e["t"] for e in events] == sorted(e["t"] for e in events)
    kinds = [event["kind"] for event in events]
    assert kinds.count("phase") == len(manifest.phases)
    assert kinds.count("fault") == 4
    assert next(e for e in events if e["kind"] == "link")["severity"] == "good"
    late = client.get(f"{BASE}/events?start_ns={manifest.faults[1].start_ns}").json()["events"]
    assert [e["text"] for e in late if e["kind"] == "fault"] == [
        "fault outage (outage) starts", "fault outage (outage) ends",
    ]  # fmt: skip


def test_statistics_are_the_figures_of_the_run(runs: Path, ask: Ask) -> None:
    """Each measure that has a value, each signal's extremes, the links' counters."""
    found = ask(runs).get(f"{BASE}/statistics").json()
    by_name = {m["name"]: m for m in found["measures"]}
    assert by_name["readings.lost"]["value"] == 0
    assert by_name["obd.latency.p95"]["signal"] == "obd.latency"
    rpm = next(s for s in found["signals"] if s["signal"] == "RPM")
    record = RecordReader(runs / "drive")
    values = [r.value for r in record.stored if r.signal == 12]
    assert (rpm["count"], rpm["min"], rpm["max"]) == (len(values), min(values), max(values))  # type: ignore[type-var]
    assert rpm["mean"] == pytest.approx(math.fsum(v for v in values if v is not None) / len(values))
    assert found["counters"]["obd"]["queries"] == 13765


def test_limits_are_judged_where_nobody_has(runs: Path, ask: Ask) -> None:
    """Without a verdict beside the record, /verdicts judges; the Info says that nobody has."""
    client = ask(runs)
    kept = client.get(f"{BASE}/verdicts").json()["limits"]
    (runs / "drive" / "verdict.json").unlink()
    judged = client.get(f"{BASE}/verdicts").json()["limits"]
    keys = ("id", "outcome", "value", "margin")
    assert [[one[key] for key in keys] for one in judged] == [
        [one[k] for k in keys] for one in kept
    ]
    outcomes = {limit["outcome"] for limit in client.get(BASE).json()["limits"]}
    assert outcomes == {"unjudged"}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/runs/none", 404, "a run in"),
        ("/api/runs/a%5Cb", 400, "the name of a run"),
        ("/api/runs/%2e%2e", 400, "the name of a run"),
        (f"{BASE}/series", 400, "names of signals"),
        (f"{BASE}/series?signal=RPM&layer=wrong", 400, "stored, reported"),
        (f"{BASE}/series?signal=RPM&points=1", 400, "from 2 to"),
        (f"{BASE}/series?signal=RPM&start_ns=9&end_ns=5", 400, "not before start_ns"),
        (f"{BASE}/series?signal=RPM&start_ns=1e9", 400, "a whole number"),
        (f"{BASE}/wire", 400, "an instant"),
        (f"{BASE}/wire?at_ns=5&within_ms=0", 400, "from 1 to"),
        (f"{BASE}/journey?at_ns=5", 400, "one signal"),
        (f"{BASE}/journey?signal=NOPE&at_ns=5", 404, "one with readings"),
        ("/api/runs?limit=0", 400, "from 1 to"),
        ("/api/runs?offset=-1", 400, "from 0 to"),
    ],
)
def test_wrong_questions_are_answered_in_words(
    runs: Path, ask: Ask, path: str, status: int, words: str
) -> None:
    """Status, what was expected and what came, as problem+json; never a page of a traceback."""
    answer = ask(runs).get(path)
    assert answer.status_code == status, answer.text
    if words:
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert words in body["detail"]
        assert body["status"] == status
        assert str(runs) not in body["detail"] or status == 404


def test_what_changes_something_wants_an_own_page(runs: Path, ask: Ask) -> None:
    """Another site cannot stop a run; a run of nobody here cannot be stopped by anybody."""
    stopped: list[Path] = []

    def stop(folder: Path) -> bool:
        stopped.append(folder)
        return False

    client = ask(runs, stop=stop)
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert client.post(f"{BASE}/stop", headers=headers).status_code == 403
    assert stopped == []
    assert client.post(f"{BASE}/stop").status_code == 409
    assert stopped == [runs / "drive"]
    assert client.get(f"{BASE}/stop").status_code == 405
    assert ask(runs).post(f"{BASE}/stop").status_code == 409


def test_damaged_runs_show_what_is_left(runs: Path, ask: Ask) -> None:
    """An empty manifest, cut streams, missing files: the rest is there, and the notes say what."""
    folder = runs / "drive"
    for path in folder.glob("*.zst"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 3 // 4])
    client = ask(runs)
    assert client.get(BASE).status_code == 200
    (folder / MANIFEST_FILE).write_bytes(b"")
    info = client.get(BASE).json()
    assert info["damaged"]
    assert any("phases, limits and names are not known" in note for note in info["notes"])
    (folder / TRUTH.file_name).unlink()
    for part in ("series?signal=RPM", "events", "statistics", "verdicts", "track"):
        assert client.get(f"{BASE}/{part}").status_code in (200, 422), part
    figures = client.get(f"{BASE}/series?signal=obd.latency")
    assert figures.status_code in (200, 422)


def test_a_run_that_is_removed_while_it_is_looked_at(runs: Path, ask: Ask) -> None:
    """The next question is answered by 404, and the list goes on without it."""
    client = ask(runs)
    assert client.get(f"{BASE}/series?signal=RPM").status_code == 200
    shutil.rmtree(runs / "drive")
    assert client.get(f"{BASE}/series?signal=RPM").status_code == 404
    assert client.get("/api/runs").json() == {"runs": [], "total": 0}


def test_two_that_look_at_once_get_the_same(runs: Path, ask: Ask) -> None:
    """Two servers build the columns side by side; both answers are right, no half file is left."""
    path = f"{BASE}/series?signal=RPM&signal=obd.latency&points=20000"
    expected = ask(runs).get(path).json()
    shutil.rmtree(runs / "drive" / cache.FOLDER)
    found: list[object] = []
    clients = [ask(runs) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda c=client: found.append(c.get(path).json()))  # type: ignore[misc]
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    names = sorted(path.name for path in (runs / "drive" / cache.FOLDER).iterdir())
    assert names == ["figure", "stored"]


def test_pages_of_the_list(runs: Path, ask: Ask) -> None:
    """`limit` and `offset` cut the list; filters count in `total`; CSV has all of it."""
    for name in ("b", "c"):
        shutil.copytree(runs / "drive", runs / name)
    client = ask(runs)
    page = client.get("/api/runs?limit=2&offset=2").json()
    assert (len(page["runs"]), page["total"]) == (1, 3)
    assert client.get("/api/runs?text=b").json()["total"] >= 1
    assert client.get("/api/runs?outcome=pass").json()["total"] == 0
    table = client.get("/api/runs.csv")
    assert table.text.count("\r\n") == 4
    assert "attachment" in table.headers["content-disposition"]


def test_figures_that_take_a_while_need_not_be_waited_for(runs: Path, ask: Ask) -> None:
    """`wait=0`: signals come at once, courses are pending until they are made."""
    client = ask(runs)
    path = f"{BASE}/series?signal=RPM&signal=obd.latency&layer=stored&wait=0"
    rpm, latency = client.get(path).json()["series"]
    assert rpm["count"] > 100
    assert "pending" not in rpm
    assert (latency["pending"], latency["count"]) == (True, 0)
    whole = client.get(f"{BASE}/series?signal=obd.latency").json()["series"][0]
    assert whole["count"] > 100
    assert client.get(path).json()["series"][1] == whole
