"""`telerig run --pace --view`: a run that is watched while it goes on, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import websockets

from rig.record.frames import FrameFile
from rig.record.reader import RecordReader
from rig.record.streams import LOG_FILE, TRUTH
from rig.record.watching import Watch, is_running
from rig.runner.request import Request
from rig.runner.runner import Runner
from rig.scenario import load_scenario
from tests.rig.conftest import TELERIG, TelerigCommand, clean_environment

WATCHED = """\
rig: 1
name: watched
needs: [gps]
seed: 5
world:
  gps: {profile: ublox_m8, rate: 5 Hz, baud: 115200}
phases:
  - {idle: 5 s}
limits:
  gps.rate: {min: 1/s}
  readings.lost: {equals: 0}
"""
LIMIT_S = 90.0


def test_a_pace_wants_wall_time(telerig: TelerigCommand, tiny: Path) -> None:
    """Virtual time has no pace, nothing has a pace of 0, and a port wants pages."""
    telerig("run", tiny, "--pace", "2", "--mode", "virtual").complaint(2, "--pace", "virtual")
    telerig("run", tiny, "--pace", "0").complaint(2, "--pace", "above 0")
    telerig("run", tiny, "--pace", "2", "--twice").complaint(2, "--twice", "paced")
    telerig("run", tiny, "--port", "8051").complaint(2, "--port", "--view")


@contextlib.contextmanager
def started(folder: Path, environment: Mapping[str, str], *words: str) -> Iterator[Any]:
    """Run the command beside a block; gives (process, URL of the page of its run)."""
    path = folder / "watched.scenario.yaml"
    path.write_text(WATCHED, encoding="utf-8")
    process = subprocess.Popen(
        [*TELERIG, "run", str(path), "--view", "--port", "0", *words],
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        guard = threading.Timer(LIMIT_S, process.kill)
        guard.start()
        try:
            line = process.stdout.readline()
            found = re.search(r"watch it at (http://127\.0\.0\.1:\d+/)run/(\S+)", line)
            assert found is not None, line + process.stdout.read()
            yield process, found[1], found[2]
        finally:
            process.kill()
            guard.cancel()


async def follow(url: str, run: str, on_message: Any) -> list[dict[str, Any]]:
    """Return what the socket of a run says until its end."""
    found = []
    address = f"{url.replace('http', 'ws', 1)}api/runs/{run}/live"
    async with websockets.connect(address) as socket:
        async for text in socket:
            found.append(json.loads(text))
            on_message(found[-1])
    return found


def test_a_run_is_watched_in_the_browser_while_it_goes_on(
    tmp_path: Path, child_coverage: Mapping[str, str], server_url: str
) -> None:
    """Its address is printed, its readings come while it drives, and its end has the verdict."""
    environment = {**child_coverage, "TELERIG_DATABASE_URL": server_url}
    # Slow enough for a gateway that starts on a busy machine.
    with started(tmp_path, environment, "--pace", "2") as (process, url, run):
        found = asyncio.run(follow(url, run, lambda _: None))
        rest = process.stdout.read()
        assert process.wait() == 0, rest
    kinds = [message["type"] for message in found]
    assert kinds[-1] == "end"
    assert kinds.count("readings") > 5
    assert found[-1]["verdict"] == "pass"
    record = RecordReader(tmp_path / "runs" / run)
    assert record.manifest.mode == "paced"
    assert "--pace 2" in record.manifest.command
    assert record.trace_sha256() == record.manifest.trace_sha256
    shown = {(row[1], row[2]) for m in found if m["type"] == "readings" for row in m["rows"]}
    published = {(row.time_ns / 1e9, row.value) for row in record.published}
    assert shown <= published
    assert len(shown) > len(published) / 2
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)  # no terminal: the pages end with the run


def test_a_run_is_stopped_from_the_page(
    tmp_path: Path, child_coverage: Mapping[str, str], server_url: str
) -> None:
    """POST /stop ends it; the record is there as far as it came."""
    environment = {**child_coverage, "TELERIG_DATABASE_URL": server_url}
    with started(tmp_path, environment, "--pace", "1") as (process, url, run):
        stopped: list[int] = []

        def stop(message: dict[str, Any]) -> None:
            if message["type"] == "state" and message["connection"] == "up" and not stopped:
                request = urllib.request.Request(f"{url}api/runs/{run}/stop", method="POST")
                stopped.append(urllib.request.urlopen(request, timeout=5).status)

        found = asyncio.run(follow(url, run, stop))
        rest = process.stdout.read()
        assert process.wait() == 1
    assert stopped == [200]
    assert found[-1]["verdict"] == "damaged"
    assert "stopped from the page" in rest
    assert not RecordReader(tmp_path / "runs" / run).finished


def test_a_virtual_run_that_is_watched_has_the_trace_of_one_that_is_not(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are in the files while it goes on, and its trace is the same."""
    long_enough = tmp_path / "look.scenario.yaml"
    long_enough.write_text(
        "rig: 1\nneeds: [obd]\nphases: [{idle: 5 min}]\nlimits: {readings.lost: {equals: 0}}\n"
    )
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    seen: list[int] = []

    def watch(_: Request, folder: Path) -> None:
        threading.Thread(target=look, args=(folder,), daemon=True).start()

    def look(folder: Path) -> None:
        while not (folder / LOG_FILE).exists():
            time.sleep(0.01)
        with Watch(folder):
            file = FrameFile(folder, TRUTH)
            while is_running(folder):
                if file.scan():
                    seen.append(len(file.frames))
                time.sleep(0.01)

    scenario = load_scenario(long_enough)
    request = Request(scenario, scenario.seed, "virtual")
    with Runner(tmp_path / "runs", on_start=watch) as runner:
        watched = runner.run(request)
    with Runner(tmp_path / "runs") as runner:
        alone = runner.run(request)
    assert watched.trace_sha256 == alone.trace_sha256 != ""
    frames = FrameFile(watched.folder, TRUTH)
    frames.scan()
    assert len(frames.frames) > 1
    assert seen
    assert seen[0] < len(frames.frames)
