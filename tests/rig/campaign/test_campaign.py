"""Real campaigns: a broken gateway is found; kills and full disks cost nothing; others drive."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rig.campaign.conduct import Budget, Conductor
from rig.campaign.crew import ExecutorCrew, LocalCrew, crew_at
from rig.campaign.document import Document, kind_of
from rig.campaign.draw import draw
from rig.campaign.errors import CampaignError
from rig.campaign.ledger import (
    DIVERGENCE_FILE,
    DONE_FILE,
    RECORD_FOLDER,
    SMALLEST_FILE,
    Ledger,
    Plan,
)
from rig.campaign.task import Task
from rig.record.reader import RecordReader
from rig.runner.request import Request
from rig.runner.runner import Runner
from rig.scenario import load_scenario

COMMAND = [sys.executable, "-c", "from rig.cli import main; raise SystemExit(main())", "campaign"]
WAIT_S = 240.0  # on a machine that does much else


def _pulls_first(document: Document) -> bool:
    """Whether the receiver's cable is pulled in a run, and nothing before that may do the same."""
    faults = [(kind_of(fault), fault["on"]) for fault in document["faults"]]
    return faults[0] == ("hang_up", "gps") and all(on != "gateway" for _, on in faults)


@pytest.mark.timeout(600)
def test_a_broken_gateway_is_found_and_shrunk(
    tmp_path: Path, base: Path, mutations: None, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that never connects again: one fault is left, as a file that fails, and the wire shows
    where a run without it goes another way."""
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    seed = next(seed for seed in range(1000) if _pulls_first(draw(seed, 1, [base])))
    plan = Plan(seed=seed, bases=(str(base),), preload="mutations:never_reconnects")
    with Ledger(tmp_path / "c", plan, {}) as ledger:
        crew = LocalCrew(ledger.work, 2)
        try:
            Conductor(ledger, crew, Budget(runs=1), alike=1).conduct()
        finally:
            crew.close()
        assert ledger.failed == [1]
        number = 1
        folder = ledger.failure_folder(number)
        shrunk = ledger.shrunk(number)
        assert shrunk is not None
        assert (shrunk.limit, shrunk.faults) == ("gps.recovery.max", 1)
        record = RecordReader(folder / RECORD_FOLDER)
        assert record.finished
        text = (folder / DIVERGENCE_FILE).read_text(encoding="utf-8")
        assert re.search(r"^first divergence: stream wire\.gps, row \d+", text, re.MULTILINE), text
        assert "of what the gateway published and stored:" in text
        smallest = load_scenario(folder / SMALLEST_FILE)
    with Runner(tmp_path / "runs") as runner:
        sound, again = (
            runner.run(Request(smallest, smallest.seed, "virtual", preload))
            for preload in ("", plan.preload)
        )
    assert sound.passed, sound.failure_lines()
    assert "gps.recovery.max" in [verdict.limit.name for verdict in again.broken]


def start(folder: Path, base: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """Begin a campaign as a user does."""
    return subprocess.Popen(
        [*COMMAND, "c", "--folder", folder, "--base", base, "--seed", "1", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def lines_of(path: Path) -> list[dict[str, object]]:
    """The lines of done.jsonl that are whole."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def until_done(path: Path, count: int) -> None:
    """Wait until so many runs were driven."""
    end_s = time.monotonic() + WAIT_S
    while len(lines_of(path)) < count:
        assert time.monotonic() < end_s, "no run came to its end"
        time.sleep(0.05)


@pytest.mark.timeout(600)
def test_a_kill_costs_only_what_was_under_way(tmp_path: Path, base: Path, server_url: str) -> None:
    """kill -9 in mid-campaign, twice: every number is driven, none twice; meanwhile a second
    campaign in the same folder is refused."""
    folder, done = tmp_path / "campaigns", tmp_path / "campaigns" / "c" / DONE_FILE
    environment = {"TELERIG_DATABASE_URL": server_url}
    for count in (1, 3):
        process = start(folder, base, "--runs", "100", "--jobs", "2", **environment)
        try:
            until_done(done, count)
            if count == 1:
                second = start(folder, base, "--runs", "1", **environment)
                _, said = second.communicate(timeout=WAIT_S)
                assert second.returncode == 1
                assert f"process {process.pid} drives; wait for it, or take another name" in said
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
    known = {line["number"]: line["trace"] for line in lines_of(done)}
    process = start(folder, base, "--runs", "1", "--json", **environment)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    numbers = [line["number"] for line in lines_of(done)]
    assert len(numbers) == len(set(numbers)) == json.loads(out)["runs"]
    assert set(range(1, max(known) + 1)) <= set(numbers)
    assert {line["number"]: line["trace"] for line in lines_of(done)}.items() >= known.items()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", place], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


@pytest.mark.timeout(600)
def test_a_full_disk_is_no_failing_run(
    small_disk: Path, base: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops with one line; with room again it goes on, and the run that had none is driven."""
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    with Ledger(small_disk / "c", Plan(seed=1, bases=(str(base),)), {}) as ledger:
        crew = LocalCrew(ledger.work, 1)
        ballast = small_disk / "ballast"
        try:
            Conductor(ledger, crew, Budget(runs=1)).conduct()
            _fill(ballast)
            with pytest.raises(CampaignError, match=r"free some"):
                Conductor(ledger, crew, Budget(runs=1)).conduct()
            assert sorted(ledger.done) == [1]
            ballast.unlink()
            Conductor(ledger, crew, Budget(runs=1)).conduct()
            assert sorted(ledger.done) == [1, 2]
        finally:
            crew.close()


@pytest.mark.timeout(600)
def test_any_executor_drives(
    tmp_path: Path, base: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run by run the traces are those of the own pool, and a failing record comes back whole."""
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    traces = []
    for name, crew in (
        ("own", LocalCrew(tmp_path / "work", 1)),
        ("other", ExecutorCrew(ThreadPoolExecutor(2), 2)),
    ):
        with Ledger(tmp_path / name, Plan(seed=1, bases=(str(base),)), {}) as ledger:
            Conductor(ledger, crew, Budget(runs=2)).conduct()
            traces.append({number: done.trace for number, done in ledger.done.items()})
        if name == "other":
            text = base.read_text().replace("equals: 0", "equals: 7")
            outcome = crew.submit(Task(name="wrong", text=text, seed=1)).result()
            assert outcome.keys == ("readings.lost",)
            assert {"run.json", "wire.gps.jsonl.zst", "gateway.log"} <= set(outcome.record)
        crew.close()
    assert traces[0] == traces[1]
    assert all(traces[0].values())


@pytest.fixture
def cluster(tmp_path: Path, server_url: str) -> Iterator[str]:
    """A scheduler and two workers of dask.distributed, as processes; its address."""
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = f"127.0.0.1:{port}"
    environment = {**os.environ, "TELERIG_DATABASE_URL": server_url}
    more = ["--no-dashboard"]
    commands = [
        ["scheduler", "--host", "127.0.0.1", "--port", str(port), *more],
        *[["worker", f"tcp://{place}", "--nthreads", "1", "--no-nanny", *more]] * 2,
    ]
    processes = []
    try:
        for number, words in enumerate(commands):
            with (tmp_path / f"dask-{number}.log").open("w") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "dask", *words],
                        cwd=tmp_path,
                        env=environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
            if not number:
                _until_open(port)
        yield f"dask://{place}"
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _until_open(port: int) -> None:
    end_s = time.monotonic() + WAIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end_s, "the scheduler does not answer"
            time.sleep(0.1)
        else:
            return


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # of dask and tornado, not ours
def test_a_cluster_drives(cluster: str, tmp_path: Path, base: Path) -> None:
    """A scheduler and two workers as processes of their own: a small campaign goes over them."""
    crew = None
    end_s = time.monotonic() + WAIT_S
    while crew is None or crew.width < 2:  # workers take a moment to sign in
        assert time.monotonic() < end_s, "no two workers"
        if crew is not None:
            crew.close()
        try:
            crew = crew_at(cluster)
        except CampaignError:
            time.sleep(0.2)
    with Ledger(tmp_path / "c", Plan(seed=1, bases=(str(base),)), {}) as ledger:
        try:
            tally = Conductor(ledger, crew, Budget(runs=4)).conduct()
        finally:
            crew.close()
        assert tally.runs == 4
        assert all(done.trace for done in ledger.done.values())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.0.5:8786", r"expected dask://HOST:PORT"),
        ("dask://127.0.0.1:9", r"expected a dask scheduler there, found"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_address_without_a_cluster_is_refused(address: str, words: str) -> None:
    """One line, and what to start."""
    if address.startswith("dask"):
        pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with pytest.raises(CampaignError, match=words):
        crew_at(address)
