from __future__ import annotations

from reports.judged_run import judge_run
from reports.markdown import render_markdown


def test_the_table_has_a_row_for_each_limit(run_folder):
    """Heading, facts, table, command; and no cell breaks out of its row."""
    run = judge_run(run_folder)
    lines = render_markdown([run]).splitlines()
    assert lines[0].startswith("### ? lossy adapter: 17 of 19 limits kept")
    assert any("seed 7 · virtual clock · 2 min driven" in line for line in lines)
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == len(run.verdicts) + 2
    assert {row.count("|") for row in rows} == {8}
    assert lines[-1].startswith("Repeat: `telerig run")


def test_a_name_with_a_bar_stays_in_its_cell(drive):
    """A scenario called `a | b` is no new column."""
    text = render_markdown([judge_run(drive(10.0, 4, "a | b"))])
    assert "a \\| b" in text
