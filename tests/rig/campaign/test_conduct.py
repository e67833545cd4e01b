"""A campaign with a crew that only pretends: what is kept, when it ends, what stops it."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from rig.campaign.conduct import Budget, Conductor
from rig.campaign.errors import CampaignError
from rig.campaign.ledger import SMALLEST_FILE, Ledger, Plan
from rig.campaign.task import Outcome, Task

from .conftest import PASSED, Pretence, broken


def breaks(kind: str, limit: str = "readings.lost") -> Pretence:
    """A crew whose gateway breaks a limit whenever a fault of this kind strikes."""
    return Pretence(lambda task: broken(limit) if f" {kind}: " in task.text else PASSED)


def test_it_drives_so_many_runs(ledger: Ledger) -> None:
    """Each number once, in order; a second call drives the next ones."""
    crew = Pretence(lambda task: PASSED)
    assert Conductor(ledger, crew, Budget(runs=5)).conduct().runs == 5
    Conductor(ledger, crew, Budget(runs=2)).conduct()
    assert [task.name for task in crew.tasks] == [f"run-{number}" for number in range(1, 8)]
    assert sorted(ledger.done) == list(range(1, 8))


def test_a_budget_of_time_ends_it(ledger: Ledger) -> None:
    """No time, no run."""
    crew = Pretence(lambda task: PASSED)
    assert Conductor(ledger, crew, Budget(seconds=0.0)).conduct().runs == 0


def test_what_fails_is_shrunk(ledger: Ledger) -> None:
    """The smallest scenario is a file with its command; other runs of the kind are not shrunk."""
    crew = breaks("mute")
    tally = Conductor(ledger, crew, Budget(runs=40), alike=1).conduct()
    assert tally.failed == ledger.failed != []
    first, *others = ledger.failed
    text = (ledger.failure_folder(first) / SMALLEST_FILE).read_text(encoding="utf-8")
    assert text.count("mute") == 1
    assert f"Repeat it: telerig run {ledger.failure_folder(first) / SMALLEST_FILE}" in text
    shrunk = ledger.shrunk(first)
    assert shrunk is not None
    assert (shrunk.limit, shrunk.faults) == ("readings.lost", 1)
    assert others
    for number in others:
        note = ledger.shrunk(number)
        assert note is not None
        assert note.note.startswith("not shrunk: 1 others break the same limit")


def test_a_failure_that_does_not_repeat_is_said_to(ledger: Ledger) -> None:
    """The run passes when it is driven again: that is a finding of its own."""
    seen: set[str] = set()

    def judge(task: Task) -> Outcome:
        first = task.text not in seen
        seen.add(task.text)
        return broken("readings.lost") if first and task.name == "run-2" else PASSED

    Conductor(ledger, Pretence(judge), Budget(runs=3)).conduct()
    shrunk = ledger.shrunk(2)
    assert shrunk is not None
    assert shrunk.note.startswith("driven again it passed: the run cannot be repeated exactly")


def test_a_failure_that_was_not_shrunk_is_shrunk_later(tmp_path: Path, base: Path) -> None:
    """A call that had no time for it leaves it to the next one."""
    plan = Plan(seed=1, bases=(str(base),))
    with Ledger(tmp_path / "c", plan, {}) as ledger:
        Conductor(ledger, breaks("mute"), Budget(runs=15), alike=0).conduct()
        number = ledger.failed[0]
        assert ledger.shrunk(number) is None
    with Ledger(tmp_path / "c", plan, {}) as ledger:
        Conductor(ledger, breaks("mute"), Budget(runs=0)).conduct()
        assert ledger.shrunk(number) is not None


def test_what_is_driven_again_and_passes_is_mended(ledger: Ledger) -> None:
    """The gateway has been put right: the failure is closed, and nothing new is driven."""
    Conductor(ledger, breaks("mute"), Budget(runs=15), alike=0).conduct()
    failed, count = list(ledger.failed), len(ledger.done)
    tally = Conductor(ledger, Pretence(lambda task: PASSED), Budget()).conduct(again=True)
    assert sorted(tally.mended) == sorted(failed)
    assert ledger.failed == []
    assert len(ledger.done) == count


def test_a_failure_stays_what_it_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn changes with the catalogue of faults; a run that failed is driven again as it
    was kept."""
    first, second = breaks("mute"), breaks("mute")
    Conductor(ledger, first, Budget(runs=15), alike=0).conduct()
    monkeypatch.setattr("rig.campaign.conduct.draw", None)
    Conductor(ledger, second, Budget(), alike=0).conduct(again=True)
    bodies = [
        {task.name: task.text for task in crew.tasks if " mute: " in task.text}
        for crew in (first, second)
    ]
    assert bodies[0] == bodies[1] != {}


def test_machines_that_break_stop_it(ledger: Ledger) -> None:
    """An executor that fails is no failing run: what is done is kept, and one line says why."""
    lost = RuntimeError("worker lost")

    def judge(task: Task) -> Outcome:
        if task.name == "run-4":
            raise lost
        return PASSED

    with pytest.raises(CampaignError, match=r"expected the outcome of a run, .*worker lost"):
        Conductor(ledger, Pretence(judge), Budget(runs=9)).conduct()
    assert 4 not in ledger.done
    assert {1, 2} <= set(ledger.done)


def test_trouble_while_it_shrinks_stops_it(ledger: Ledger) -> None:
    """A full disk in the shrinker's thread ends the campaign as one in its own does."""

    class Full(Pretence):
        def submit(self, task: Task) -> Future[Outcome]:
            if task.name.startswith("shrink"):
                raise CampaignError("no space")
            return super().submit(task)

    crew = Full(lambda task: broken("readings.lost"))
    with pytest.raises(CampaignError, match="no space"):
        Conductor(ledger, crew, Budget(runs=200)).conduct()
