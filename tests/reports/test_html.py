from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from reports.html import render_html, write_html, write_report
from reports.judged_run import judge_run
from rig.judge.limits import Outcome
from rig.record.errors import RecordError
from rig.record.reader import RecordReader
from rig.record.writer import RecordWriter

LARGEST_BYTES = 1_500_000
VOID = {"meta", "br", "link", "col"}


class Checker(HTMLParser):
    """Follows open and closed elements, and collects ids, links and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.hrefs, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.ids.append(values.get("id"))
        self.hrefs.append(values.get("href"))
        assert "src" not in values

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page(run_folder):
    return render_html([judge_run(run_folder)])


def test_the_page_is_well_formed_and_needs_nothing_else(page):
    """Every element is closed; no address of anything outside stands in it."""
    Checker(page)
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_page_says_what_broke_and_how_to_repeat_it(page, run_folder):
    """Verdict, failing limits, command, seed, trace and every limit's row."""
    text = " ".join(Checker(page).text)
    run = judge_run(run_folder)
    assert "Failed" in text
    assert run.failures
    for verdict in run.failures:
        assert verdict.sentence() in text
    assert run.manifest.command in text
    assert run.manifest.trace_sha256[:12] in text
    for verdict in run.verdicts:
        assert verdict.limit.name in text
    for outcome in (Outcome.PASS, Outcome.UNSET, Outcome.SKIPPED):
        assert outcome.value in text


def test_the_page_shows_phases_faults_strips_and_map(page):
    """Each drawing that the record has the data for is there."""
    text = Checker(page).text
    for name in ("idle", "cruise", "hard driving", "drop", "outage", "SPEED", "RPM", "BOOST"):
        assert name in text
    assert "p95 ≤ 40" in text
    assert page.count('class="strip"') >= 12
    assert page.count('class="map"') == 1
    assert page.count('class="line truth"') >= 8


def test_half_an_hour_stays_small(drive):
    """Lines are thinned out: the page of a long run is not much larger than that of a short one."""
    folder = drive(1800.0, 3, "half an hour")
    assert len(render_html([judge_run(folder)]).encode()) < LARGEST_BYTES


def test_several_runs_share_a_page(run_folder, drive, tmp_path):
    """A table on top leads to each run."""
    path = write_report([run_folder, drive(30.0, 8, "idle")], tmp_path / "deep" / "report.html")
    found = Checker(path.read_text())
    anchors = [href.removeprefix("#") for href in found.hrefs if href]
    assert anchors == ["run-1-lossy-adapter", "run-2-idle"]
    assert set(anchors) <= set(found.ids)
    assert len([i for i in found.ids if i]) == len({i for i in found.ids if i})


def test_names_from_outside_cannot_break_the_page(drive):
    """A scenario called like a tag stays a name."""
    folder = drive(10.0, 9, "<script>alert(1)</script>")
    page = render_html([judge_run(folder)])
    assert "<script>alert" not in page
    Checker(page)


def test_an_empty_record_has_a_page(tmp_path):
    """A run in which nothing came from any link, and that declares no limit."""
    writer = RecordWriter(
        tmp_path / "a", {"scenario": "empty", "seed": 1, "mode": "paced", "epoch_ns": 0}
    )
    writer.log("CRITICAL it broke <here>")
    writer.close({"sim_s": 1.0})
    run = judge_run(tmp_path / "a")
    text = " ".join(Checker(render_html([run])).text)
    assert "declares no limits" in text
    assert "it broke <here>" in text


def test_no_runs_is_a_mistake_of_the_caller():
    """A page about nothing is refused."""
    with pytest.raises(ValueError, match="at least one run"):
        render_html([])


def test_a_page_that_cannot_be_written_is_one_clear_line(run_folder, tmp_path):
    """The message names the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"page\.html: expected to write the report"):
        write_html(tmp_path / "file" / "page.html", [judge_run(run_folder)])


def test_truth_is_found_under_its_other_names(run_folder):
    """BOOST is recorded in kPa under its own name, and drawn in the signal's unit."""
    run = judge_run(run_folder)
    columns = RecordReader(run_folder).manifest.truth_columns
    kpa = run.record.truth[0][columns.index("boost_kpa") + 1]
    times, values = run.truth("BOOST")
    assert values[0] == pytest.approx(kpa * 0.145, rel=1e-3)
    assert times[0] == 0
    assert run.truth("no such signal") is None
