"""Workers out of a nursery: as good as those that were started anew, and as easily ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from rig.runner import nursery, process
from rig.runner.request import Request, Run
from rig.runner.runner import Runner
from rig.scenario import expand_scenario
from rig.scenario.model import Scenario
from rig.worker.order import decode_order, folder_of, order_line, replace_environment

PATIENCE_S = 60.0
LONG = "rig: 1\nneeds: [gps]\nphases: [{idle: 10 h}]\nlimits: {readings.lost: {equals: 0}}\n"
NURSERY = "rig.worker nursery"
FAULTS = {
    "idle: 20 s": "idle: 2 s",
    "for: 4 min": "for: 20 s",
    "for: 2 min": "for: 3 s",
    "at: cruise+30 s": "at: cruise+2 s",
    "for: 60 s, as: lossy}": "for: 4 s, as: lossy}",
    "at: cruise+120 s": "at: cruise+7 s",
    "at: cruise+160 s": "at: cruise+9 s",
    "for: 20 s, as: late": "for: 2 s, as: late",
    "at: cruise+200 s": "at: cruise+12 s",
    "at: afterwards+10 s": "at: afterwards+1 s",
    "for: 30 s, as: lossy-gps": "for: 1 s, as: lossy-gps",
}
# Every kind of link, and what a scenario of it needs besides the project itself.
CUTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "lost_replies": ("obd", FAULTS),
    "esp32_provisioning": ("", {"idle: 30 s": "idle: 10 s", "for: 60 s": "for: 10 s"}),
    "mesh_tcp": (
        "meshtastic",
        {"idle: 30 s": "idle: 5 s", "for: 2 min": "for: 20 s", "idle: 90 s": "idle: 2 s"},
    ),
    "can_two_clients": ("can", {"idle: 4 s": "idle: 1 s", "for: 14 s": "for: 3 s"}),
}
# Loaded by the worker before its gateway starts; says what it sees, and breaks what it can.
PRELOADS = """
import json, os, subprocess, sys

def tell():
    with open(os.environ["TOLD"], "w") as file:
        json.dump({
            "word": os.environ.get("WORD"),
            "folder": os.getcwd(),
            "cores": sorted(os.sched_getaffinity(0)),
            "group": os.getpgrp() == os.getpid(),
            "blas": os.environ.get("OPENBLAS_NUM_THREADS"),
            "parent": open(f"/proc/{os.getppid()}/cmdline").read().replace("\\0", " "),
        }, file)

def spoil():
    from server.pipeline import Pipeline
    del Pipeline.offer

def litter():
    subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
    tell()

def list_imports():
    class Finder:
        def find_spec(self, name, path=None, target=None):
            with open(os.environ["TOLD"], "a") as file:
                file.write(name + "\\n")
    sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
def preloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let workers import `preloads`; gives the file that they write."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "preloads.py").write_text(PRELOADS)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    return tmp_path / "told"


@pytest.fixture
def runner(tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A runner of its own, on the server of the session."""
    monkeypatch.setenv("TELERIG_DATABASE_URL", server_url)
    with Runner(tmp_path / "runs") as runner:
        yield runner


@pytest.fixture
def scenario(tiny: Path) -> Scenario:
    """A run of some seconds."""
    (found,) = expand_scenario(tiny)
    return found


@pytest.fixture
def endless(tmp_path: Path) -> Scenario:
    """A run that does not end by itself."""
    path = tmp_path / "long.scenario.yaml"
    path.write_text(LONG)
    (found,) = expand_scenario(path)
    return found


def processes(word: str) -> dict[int, int]:
    """Living processes in whose command line `word` stands: number -> parent's."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if word in line and fields[0] != "Z":
            found[int(folder.name)] = int(fields[1])
    return found


def nurseries() -> list[int]:
    """The nurseries of this process that were not there when the test began."""
    return [number for number in _of_this_process() if number not in _others]


def _of_this_process() -> list[int]:
    return [number for number, parent in processes(NURSERY).items() if parent == os.getpid()]


_others: set[int] = set()


@pytest.fixture(autouse=True)
def others() -> None:
    """Runners that other tests share have nurseries, too."""
    _others.clear()
    _others.update(_of_this_process())


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until `condition()` holds."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


class Started:
    """A run that goes on in a thread of the runner."""

    def __init__(self, runner: Runner, request: Request) -> None:
        self.going_on = threading.Event()
        runner._on_progress = lambda *_: self.going_on.set()
        self.future = runner.submit(request)

    def wait(self) -> None:
        """Wait until its world moves."""
        assert self.going_on.wait(PATIENCE_S)

    def result(self) -> Run:
        """Wait for its end."""
        return self.future.result(PATIENCE_S)


@pytest.mark.parametrize("name", CUTS)
def test_same_trace_as_a_worker_that_was_started_anew(
    name: str, runner: Runner, shortened: Callable[[str, Mapping[str, str]], Scenario]
) -> None:
    """Whatever links a run has: two forks one after another, and a fresh interpreter, agree."""
    package, cuts = CUTS[name]
    if package:
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    scenario = shortened(name, cuts)
    runs = [
        runner.run(Request(scenario, scenario.seed, "virtual", anew=anew))
        for anew in (False, True, False)
    ]
    assert [run.failure for run in runs] == ["", "", ""]
    assert len({run.trace_sha256 for run in runs}) == 1
    assert len(nurseries()) == 1


def test_environment_and_folder_are_those_of_the_run(
    runner: Runner, scenario: Scenario, preloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker has the variables of its own run, and a process group; one nursery for all."""
    told = []
    for word in ("one", None, "three"):
        if word is None:
            monkeypatch.delenv("WORD")
        else:
            monkeypatch.setenv("WORD", word)
        run = runner.run(Request(scenario, 5, "virtual", preload="preloads:tell"))
        assert run.passed, run.failure_lines()
        told.append(json.loads(preloads.read_text()))
    assert [each["word"] for each in told] == ["one", None, "three"]
    assert {each["folder"] for each in told} == {str(Path.cwd())}
    assert {each["group"] for each in told} == {True}
    assert {each["blas"] for each in told} == {os.environ.get("OPENBLAS_NUM_THREADS")}
    assert all(NURSERY in each["parent"] for each in told)
    assert len(nurseries()) == 1


def test_another_folder_or_path_has_another_nursery(
    runner: Runner, scenario: Scenario, preloads: Path, tmp_path: Path
) -> None:
    """What acts when an interpreter starts is never that of another run."""
    first = runner.run(Request(scenario, 5, "virtual"))
    (before,) = nurseries()
    there = Request(scenario, 5, "virtual", preload="preloads:tell", folder=tmp_path)
    second = runner.run(there)
    assert json.loads(preloads.read_text())["folder"] == str(tmp_path)
    assert first.trace_sha256 == second.trace_sha256 != ""
    wait_for(lambda: before not in nurseries())
    assert len(nurseries()) == 1


def test_what_a_preload_breaks_is_broken_in_its_run_alone(
    runner: Runner, scenario: Scenario, preloads: Path
) -> None:
    """The nursery and the next worker know nothing of it."""
    sound = runner.run(Request(scenario, 5, "virtual"))
    broken = runner.run(Request(scenario, 5, "virtual", preload="preloads:spoil"))
    again = runner.run(Request(scenario, 5, "virtual"))
    assert not broken.passed
    assert again.passed
    assert again.trace_sha256 == sound.trace_sha256 != ""


def test_several_at_a_time_have_a_core_each(
    tmp_path: Path, server_url: str, scenario: Scenario, preloads: Path
) -> None:
    """With two jobs a worker keeps to one core; with one it may use all."""
    allowed = sorted(os.sched_getaffinity(0))
    with Runner(tmp_path / "runs") as runner:
        runner.run(Request(scenario, 5, "virtual", preload="preloads:tell"))
    assert json.loads(preloads.read_text())["cores"] == allowed
    with Runner(tmp_path / "runs", jobs=2) as runner:
        runner.run(Request(scenario, 5, "virtual", preload="preloads:tell"))
    (core,) = json.loads(preloads.read_text())["cores"]
    assert core in allowed


def test_nothing_of_importance_is_left_to_import(
    runner: Runner, shortened: Callable[[str, Mapping[str, str]], Scenario], preloads: Path
) -> None:
    """From the second run on OBD and GPS find their modules there: that is what it is for."""
    pytest.importorskip("obd", reason="the package obd is not installed")
    scenario = shortened("lost_replies", FAULTS)
    request = Request(scenario, 8, "virtual", preload="preloads:list_imports")
    runner.run(request)
    preloads.unlink()
    assert not runner.run(request).failure
    late = preloads.read_text().split() if preloads.exists() else []
    assert len(late) < 10, late


def test_a_run_is_stopped_with_all_that_it_started(
    runner: Runner, endless: Scenario, preloads: Path
) -> None:
    """To stop a run ends the whole process group of its worker."""
    started = Started(runner, Request(endless, 1, "virtual", preload="preloads:litter"))
    started.wait()
    wait_for(lambda: processes("sleep 1000"))
    (folder,) = runner._workers
    assert runner.stop(folder)
    assert started.result().failure == "it was stopped from the page"
    wait_for(lambda: not processes("sleep 1000"))
    assert len(nurseries()) == 1


def test_a_worker_that_is_killed(runner: Runner, endless: Scenario, scenario: Scenario) -> None:
    """It has an obituary; the nursery goes on."""
    started = Started(runner, Request(endless, 1, "virtual"))
    started.wait()
    (mother,) = nurseries()
    (child,) = [number for number, parent in processes(NURSERY).items() if parent == mother]
    os.kill(child, signal.SIGKILL)
    assert started.result().failure == (
        "before the end of its run the worker was ended by SIGKILL (from outside, or by the "
        "kernel for want of memory)"
    )
    assert runner.run(Request(scenario, 5, "virtual")).passed
    assert nurseries() == [mother]


def test_a_nursery_that_is_killed(runner: Runner, endless: Scenario, scenario: Scenario) -> None:
    """Its worker ends with it, as after a kill of its own; the next run has another nursery."""
    started = Started(runner, Request(endless, 1, "virtual"))
    started.wait()
    (mother,) = nurseries()
    os.kill(mother, signal.SIGKILL)
    assert "the worker was ended by SIGKILL" in started.result().failure
    assert runner.run(Request(scenario, 5, "virtual")).passed
    (other,) = nurseries()
    assert other != mother
    runner.close()
    assert not nurseries()


def test_a_worker_that_hangs_leaves_its_stacks(
    runner: Runner, scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog of a forked worker works."""
    (tmp_path / "stuck.py").write_text(
        "import _thread\ndef hang():\n    _thread.allocate_lock()"
        ".acquire()\n    lock = _thread.allocate_lock()\n"
        "    lock.acquire()\n    lock.acquire()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    run = runner.run(Request(scenario, 5, "virtual", "stuck:hang", wall_limit_s=2.0))
    assert run.failure.startswith("no progress for 2 s of wall time")
    assert "in hang" in (run.folder / "worker.stderr.log").read_text()


def test_without_a_nursery_workers_are_started_alone(
    runner: Runner, scenario: Scenario, preloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not come up costs a run nothing; after two there is no third."""
    asked = []

    def useless(mode: str) -> list[str]:
        asked.append(mode)
        return ["true"]

    monkeypatch.setattr(nursery, "worker_command", useless)
    for _ in range(3):
        assert runner.run(Request(scenario, 5, "virtual", preload="preloads:tell")).passed
        assert "rig.worker virtual" not in json.loads(preloads.read_text())["parent"]
        assert NURSERY not in json.loads(preloads.read_text())["parent"]
    assert asked == ["nursery", "nursery"]


def test_where_coverage_is_measured_there_is_no_nursery(tmp_path: Path) -> None:
    """Coverage begins at the start of an interpreter."""
    family = nursery.Nurseries()
    with (tmp_path / "errors").open("wb") as errors:
        environment = {**os.environ, "COVERAGE_PROCESS_CONFIG": ":data:{}"}
        assert family.process(environment, tmp_path, [0], errors) is None
    assert not nurseries()


def test_an_environment_of_any_bytes(tmp_path: Path) -> None:
    """Names and values that are not UTF-8 reach a worker as they are."""
    wanted = {"A": os.fsdecode(b"\xff\xfe"), os.fsdecode(b"N\xe4"): "v", "SAME": "1"}
    order = decode_order(order_line(wanted, Path(os.fsdecode(b"/a\xe9")), [0, 1]))
    environment = {"SAME": "1", "GONE": "2"}
    replace_environment(order, environment)
    assert environment == wanted
    assert folder_of(order) == b"/a\xe9"
    assert order.cores == [0, 1]


def test_a_nursery_ends_with_its_starter(tmp_path: Path) -> None:
    """The socket tells it, however the starter ended."""
    starter = subprocess.Popen(
        [
            process.sys.executable,
            "-c",
            "import os, time\nfrom pathlib import Path\nfrom rig.runner.nursery import _Nursery\n"
            "nursery = _Nursery(dict(os.environ), Path.cwd())\nprint(nursery._process.pid,"
            " flush=True)\ntime.sleep(1000)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    number = int(starter.stdout.readline())
    assert number in processes(NURSERY)
    starter.kill()
    starter.communicate()
    wait_for(lambda: number not in processes(NURSERY))
