"""The state of a campaign: what a kill, a full disk or a second one leaves of it."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from rig.campaign.errors import CampaignError, CampaignUsageError
from rig.campaign.ledger import (
    CAMPAIGN_FILE,
    DONE_FILE,
    RECORD_FOLDER,
    Ledger,
    Plan,
)

from .conftest import PASSED, broken

PLAN = Plan(seed=1)


def reopened(ledger: Ledger) -> Ledger:
    """The same campaign, by the next call."""
    ledger.close()
    return Ledger(ledger.folder, PLAN, {})


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was driven is known again, what failed is kept whole, and the next numbers are new."""
    ledger = Ledger(tmp_path / "c", PLAN, {})
    ledger.keep(1, PASSED, "one", ["mute on gps"], "s")
    ledger.keep(3, broken("readings.lost"), "three", ["mute on gps"], "s")
    with reopened(ledger) as again:
        assert list(itertools.islice(again.missing(), 3)) == [2, 4, 5]
        assert again.failed == [3]
        assert again.text(3) == "three"
        folder = again.failure_folder(3)
        assert (folder / RECORD_FOLDER / "run.json").read_bytes() == b"{}"
        assert again.done[3].broken == ("readings.lost",)
        assert not again.failure_folder(1).exists()


def test_a_torn_line_is_driven_again(tmp_path: Path) -> None:
    """A line that a kill cut off counts for nothing, and the next one is not spoilt by it."""
    ledger = Ledger(tmp_path / "c", PLAN, {})
    ledger.keep(1, PASSED, "", [], "s")
    with (tmp_path / "c" / DONE_FILE).open("a", encoding="utf-8") as file:
        file.write('{"number":2,"pas')
    again = reopened(ledger)
    assert sorted(again.done) == [1]
    again.keep(2, PASSED, "", [], "s")
    with reopened(again) as third:
        assert sorted(third.done) == [1, 2]


def test_a_failure_that_was_killed_before_its_line_is_not_driven_again(tmp_path: Path) -> None:
    """Its folder is complete: it gets its line when the campaign goes on."""
    ledger = Ledger(tmp_path / "c", PLAN, {})
    ledger.keep(1, broken("readings.lost"), "", [], "s")
    (tmp_path / "c" / DONE_FILE).unlink()
    (tmp_path / "c" / "failures" / ".000002.part").mkdir()
    with reopened(ledger) as again:
        assert again.failed == [1]
        assert [path.name for path in (again.folder / "failures").iterdir()] == ["000001"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    """The second one is told who drives."""
    taken = rf"process {os.getpid()} drives; wait for it"
    with Ledger(tmp_path / "c", PLAN, {}), pytest.raises(CampaignError, match=taken):
        Ledger(tmp_path / "c", PLAN, {})
    Ledger(tmp_path / "c", PLAN, {}).close()


@pytest.mark.parametrize("key", ["format", "drawing"])
def test_another_version_is_refused(tmp_path: Path, key: str) -> None:
    """A number would stand for another run."""
    Ledger(tmp_path / "c", PLAN, {}).close()
    path = tmp_path / "c" / CAMPAIGN_FILE
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, key: 99}), encoding="utf-8")
    with pytest.raises(CampaignUsageError, match=rf"found .*{key} 99.*take another name"):
        Ledger(tmp_path / "c", PLAN, {})


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1, "drawing": 1, "seed": "x"}'])
def test_what_is_no_campaign_is_refused(tmp_path: Path, text: str) -> None:
    """A damaged file is named, with what is wrong with it."""
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / CAMPAIGN_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(CampaignUsageError, match=r"campaign\.json: expected a campaign"):
        Ledger(tmp_path / "c", PLAN, {})


def test_another_seed_is_refused(tmp_path: Path) -> None:
    """A campaign draws from one seed; without one it goes on with its own."""
    Ledger(tmp_path / "c", PLAN, {}).close()
    with pytest.raises(CampaignUsageError, match=r"expected seed 1, .*found 2; leave it out"):
        Ledger(tmp_path / "c", Plan(seed=2), {"seed": 2})
    with Ledger(tmp_path / "c", Plan(seed=2), {}) as ledger:
        assert ledger.plan.seed == 1


def test_a_line_of_another_form_is_refused(tmp_path: Path) -> None:
    """What is no line of a campaign is no torn one either."""
    ledger = Ledger(tmp_path / "c", PLAN, {})
    ledger.keep(1, PASSED, "", [], "s")
    (tmp_path / "c" / DONE_FILE).write_text('{"run":1}\n{"number":2,"passed":true}\n')
    ledger.close()
    with pytest.raises(CampaignUsageError, match=r"done\.jsonl:1: expected a line"):
        Ledger(tmp_path / "c", PLAN, {})


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be: one line says so."""
    (tmp_path / "c").write_text("")
    with pytest.raises(CampaignError, match=r"expected to write the campaign there"):
        Ledger(tmp_path / "c", PLAN, {})


def test_what_is_mended_is_no_failure_any_more(tmp_path: Path) -> None:
    """A run that passes when it is driven again takes its folder away; its last line counts."""
    ledger = Ledger(tmp_path / "c", PLAN, {})
    ledger.keep(1, broken("readings.lost"), "", [], "s")
    ledger.keep(1, PASSED, "", [], "t")
    with reopened(ledger) as again:
        assert again.failed == []
        assert not again.failure_folder(1).exists()
