"""Marks of a run: kept beside its record, shown among its events."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from reports.runs.marks import LONGEST, MARKS_FILE, MOST

Ask = Callable[..., TestClient]
BASE = "/api/runs/drive"
MARK = {"time_ns": 1_767_261_600_500_000_000, "text": "heard a\nnoise"}


def texts(client: TestClient) -> list[str]:
    """Give the words of the notes among the events."""
    events = client.get(f"{BASE}/events").json()["events"]
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    return [event["text"] for event in events if event["kind"] == "note"]


def test_a_mark_is_kept_for_all_who_look(runs: Path, ask: Ask) -> None:
    """It stands among the events at its instant, in one line; another server shows it too; a line
    that is damaged takes none of the others along."""
    client = ask(runs)
    before = texts(client)
    assert client.post(f"{BASE}/marks", json=MARK).status_code == 201
    file = runs / "drive" / MARKS_FILE
    file.write_bytes(file.read_bytes() + b'{"time_ns": 1, "te\n\xff\n')
    assert client.post(f"{BASE}/marks", json={**MARK, "text": "again"}).status_code == 201
    assert sorted(texts(ask(runs))) == sorted([*before, "heard a noise", "again"])
    (shown,) = [
        event
        for event in client.get(f"{BASE}/events").json()["events"]
        if event["text"] == "heard a noise"
    ]
    assert shown["t"] == pytest.approx(MARK["time_ns"] / 1e9)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff", 400),
        (b"[]", 400),
        (b'{"time_ns": "now", "text": "x"}', 400),
        (b'{"time_ns": 5, "text": "x", "more": 1}', 400),
        (json.dumps({**MARK, "text": "  \n"}).encode(), 400),
        (json.dumps({**MARK, "text": "x" * (LONGEST + 1)}).encode(), 400),
        (json.dumps({**MARK, "text": "x" * 5000}).encode(), 413),
    ],
)
def test_what_is_no_mark_is_refused(runs: Path, ask: Ask, body: bytes, status: int) -> None:
    """In words, and nothing is kept."""
    file = runs / "drive" / MARKS_FILE
    before = file.read_bytes() if file.exists() else b""
    answer = ask(runs).post(f"{BASE}/marks", content=body)
    assert answer.status_code == status
    assert "expected" in answer.json()["detail"]
    assert (file.read_bytes() if file.exists() else b"") == before


def test_pages_of_elsewhere_and_unknown_runs_are_refused(runs: Path, ask: Ask) -> None:
    """Marks come from this server's own pages, to runs that there are."""
    client = ask(runs)
    headers = {"origin": "https://evil.example"}
    assert client.post(f"{BASE}/marks", json=MARK, headers=headers).status_code == 403
    assert client.post("/api/runs/nobody/marks", json=MARK).status_code == 404


def test_many_at_once_are_all_kept_and_too_many_are_refused(runs: Path, ask: Ask) -> None:
    """Two that write at the same time lose nothing; a run has an end of room."""
    client, file = ask(runs), runs / "drive" / MARKS_FILE
    file.unlink(missing_ok=True)
    threads = [
        threading.Thread(target=client.post, args=(f"{BASE}/marks",), kwargs={"json": MARK})
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read_bytes().splitlines()) == 20
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0] * MOST)
    assert client.post(f"{BASE}/marks", json=MARK).status_code == 409
    file.unlink()
