"""A run that goes on: what comes is told as it comes, and its end with the verdict."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession

from reports.runs.growing import Tail, limits_so_far
from reports.runs.run import Run
from rig.judge.judgement import judge_folder
from rig.judge.limits import Limit
from rig.record.streams import LOG_FILE, Stored
from rig.record.watching import is_watched
from rig.record.writer import RecordWriter

Ask = Callable[..., TestClient]
EPOCH_NS = 1_700_000_000_000_000_000
S = 1_000_000_000
LIVE = "/api/runs/run/live"
MANIFEST: dict[str, Any] = {
    "scenario": "s",
    "seed": 1,
    "mode": "paced",
    "epoch_ns": EPOCH_NS,
    "phases": [
        ["first", EPOCH_NS, EPOCH_NS + 2 * S],
        ["second", EPOCH_NS + 2 * S, EPOCH_NS + 9 * S],
    ],
    "plan": {"obd": {"RPM": 10.0}},
    "truth_columns": ["RPM"],
    "signals": {12: {"name": "RPM", "unit": "rpm", "resolution": 0.25, "link": "obd"}},
    "limits": [
        Limit("obd.latency.p95", "ms", max=5, phase="first", line=3),
        Limit("obd.latency.p95", "ms", max=50, phase="second", line=4),
        Limit("readings.lost", "", equals=0),
    ],
}


class Driver:
    """Writes a run as the rig does, tenth of a second after tenth of a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = RecordWriter(folder, MANIFEST)
        self.count = 0
        self.rows: list[Stored] = []

    def drive(self, tenths: int) -> None:
        for _ in range(tenths):
            self.count += 1
            at_ns = EPOCH_NS + self.count * S // 10
            row = (self.count, 12, at_ns, 800.0 + self.count, at_ns + 9_000_000, 0)
            self.writer.truth(at_ns, [800.5 + self.count])
            self.writer.sample(at_ns, "obd", "RPM", 800.5 + self.count, 800.0 + self.count)
            self.writer.published(at_ns + 20_000_000, [row])
            self.rows.append(Stored("car", *row, at_ns + 50_000_000))
        self.writer.flush()

    def end(self) -> None:
        self.writer.stored(self.rows)
        self.writer.close({"sim_s": 9.0, "wall_s": 9.0})
        judge_folder(self.folder)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    found = Driver(tmp_path / "run")
    yield found
    found.writer.close(None)


def until(socket: WebSocketTestSession, kind: str, **more: Any) -> dict[str, Any]:
    """Return the next message of a kind."""
    for _ in range(2000):
        message: dict[str, Any] = socket.receive_json()
        if message["type"] == kind and all(message.get(k) == v for k, v in more.items()):
            return message
    raise AssertionError(f"no {kind} among 2000 messages")


def test_rows_come_as_they_are_written_and_the_end_has_a_verdict(driver: Driver, ask: Ask) -> None:
    """Readings of the layers asked for, events, the phase, limits so far, and the end."""
    driver.drive(5)
    with ask(driver.folder.parent).websocket_connect(f"{LIVE}?layers=reported,truth") as socket:
        until(socket, "state")
        driver.drive(2)
        found = until(socket, "readings", layer="reported")
        assert found["rows"] == [
            ["RPM", (EPOCH_NS + n * S // 10) / 1e9, 800.0 + n, 0] for n in (6, 7)
        ]
        truth = until(socket, "readings", layer="truth")
        assert [row[2] for row in truth["rows"]] == [806.5, 807.5]
        driver.writer.event(EPOCH_NS + S, "gateway.link", {"name": "obd", "state": "down"})
        driver.writer.flush()
        event = until(socket, "event")["event"]
        assert (event["kind"], event["severity"], event["link"]) == ("link", "bad", "obd")
        assert until(socket, "phase")["name"] == "first"
        driver.drive(14)
        driver.end()
        last = until(socket, "end")
    assert last["verdict"] == "fail"
    assert last["end_s"] == pytest.approx(EPOCH_NS / 1e9 + 9)


def test_while_somebody_follows_the_run_is_watched(driver: Driver, ask: Ask) -> None:
    """The writer is told of a client, and that the last one has gone."""
    with (driver.folder / LOG_FILE).open() as log:
        assert not is_watched(log.fileno())
        client = ask(driver.folder.parent)
        with client.websocket_connect(LIVE) as one:
            until(one, "state")
            assert is_watched(log.fileno())
        for _ in range(100):
            if not is_watched(log.fileno()):
                break
            threading.Event().wait(0.05)
        assert not is_watched(log.fileno())


def test_limits_so_far_say_only_what_will_stay(driver: Driver) -> None:
    """A phase that is over is judged, the one that goes on is under way, and so is the end."""
    driver.drive(5)
    run = Run(driver.folder)
    before = limits_so_far(run)
    assert before is not None
    assert [limit.outcome for limit in before["limits"]] == ["running", "running", "running"]
    assert before["limits"][0].value == pytest.approx(9.0)
    driver.drive(20)
    after = limits_so_far(run)
    assert after is not None
    assert [limit.outcome for limit in after["limits"]] == ["fail", "running", "running"]
    assert after["end_s"] == pytest.approx(EPOCH_NS / 1e9 + 2.5)


def test_a_run_that_goes_on_is_asked_for_like_any_other(driver: Driver, ask: Ask) -> None:
    """Info and lines of what there is so far; a question later has more."""
    client = ask(driver.folder.parent)
    for count in (3, 6):
        driver.drive(3)
        info = client.get("/api/runs/run").json()
        assert (info["live"], info["verdict"], info["end_s"]) == (
            True, "running", pytest.approx(EPOCH_NS / 1e9 + count / 10),
        )  # fmt: skip
        line = client.get("/api/runs/run/series?signal=RPM").json()["series"][0]
        assert line["values"] == [800.0 + n for n in range(1, count + 1)]
    assert client.get("/api/runs/run/series?signal=obd.latency").json()["series"][0]["count"] > 0
    assert client.get("/api/runs").json()["runs"][0]["running"] is True


def test_a_run_may_be_followed_before_it_has_begun(tmp_path: Path, ask: Ask) -> None:
    """The folder is there, the record not yet: the client waits, and is told of the beginning."""
    folder = tmp_path / "20260101T100000-new-1"
    folder.mkdir()
    client = ask(tmp_path)
    assert client.get(f"/api/runs/{folder.name}").json()["live"] is True
    with client.websocket_connect(f"/api/runs/{folder.name}/live") as socket:
        assert until(socket, "state")["connection"] == "connecting"
        driver = Driver(folder)
        until(socket, "begin")
        until(socket, "state", connection="up")
        driver.drive(1)
        assert until(socket, "readings")["rows"][0][0] == "RPM"
        driver.end()
        assert until(socket, "end")["verdict"] == "fail"


def test_a_run_that_is_killed_ends_in_words(driver: Driver, ask: Ask) -> None:
    """No verdict, but what became of it."""
    driver.drive(3)
    with ask(driver.folder.parent).websocket_connect(LIVE) as socket:
        until(socket, "state")
        driver.writer.close(None)
        last = until(socket, "end")
    assert last["verdict"] == "damaged"
    assert "cut off" in last["text"]


def test_a_run_that_is_removed_while_it_is_watched(driver: Driver, ask: Ask) -> None:
    """The socket ends, and says that the run is gone."""
    driver.drive(3)
    with ask(driver.folder.parent).websocket_connect(LIVE) as socket:
        until(socket, "state")
        shutil.rmtree(driver.folder)
        assert "a run in" in until(socket, "end")["text"]
    driver.folder.mkdir()


@pytest.mark.parametrize(
    ("path", "headers", "words"),
    [
        ("/api/runs/none/live", {}, "a run in"),
        (f"{LIVE}?layers=all", {}, "reported, truth"),
        (LIVE, {"origin": "http://evil.example"}, "another site"),
    ],
)
def test_who_may_not_follow_is_told_why(
    driver: Driver, ask: Ask, path: str, headers: dict[str, str], words: str
) -> None:
    """No such run, no such layer, a page of another site."""
    with ask(driver.folder.parent).websocket_connect(path, headers=headers) as socket:
        assert words in until(socket, "end")["text"]


def test_a_backlog_comes_in_pieces(driver: Driver) -> None:
    """Who is late gets all of it, some frames at a time: memory stays bounded."""
    tail = Tail(Run(driver.folder), ["reported"])
    for _ in range(100):
        driver.drive(1)
    sizes = []
    while messages := tail.look():
        sizes.append(sum(len(message["rows"]) for message in messages))
    assert sizes == [40, 40, 20]


def test_a_finished_run_ends_at_once(driver: Driver, ask: Ask) -> None:
    """Nothing to follow: one message, and the socket closes."""
    driver.drive(30)
    driver.end()
    with ask(driver.folder.parent).websocket_connect(LIVE) as socket:
        assert socket.receive_json()["type"] == "end"
