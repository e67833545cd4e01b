"""A report as Markdown, for a CI system's page (GitHub shows $GITHUB_STEP_SUMMARY)."""

from __future__ import annotations

from collections.abc import Sequence

from reports.judged_run import JudgedRun
from reports.sections import SIGNS, bound_text, margin_text, tally
from reports.text import NOTHING, duration, short
from rig.judge.limits import Verdict

_HEADS = ("limit", "phase", "value", "unit", "bound", "margin", "outcome")
_NUMERIC = (2, 5)


def render_markdown(runs: Sequence[JudgedRun]) -> str:
    """Return one heading, one line of facts and one table of limits for each run."""
    return "\n".join(_run(run) for run in runs)


def _run(run: JudgedRun) -> str:
    manifest = run.manifest
    ratio = run.measures.get("rig.ratio")
    facts = [
        f"seed {manifest.seed}",
        f"{manifest.mode} clock",
        f"{duration((manifest.end_ns - manifest.start_ns) / 1e9)} driven",
    ]
    if ratio is not None:
        facts.append(f"simulated : wall {short(ratio.value, 3)} : 1")
    if manifest.trace_sha256:
        facts.append(f"trace `{manifest.trace_sha256[:12]}`")
    lines = [
        f"### {SIGNS[run.outcome]} {_cell(manifest.scenario)}: {tally(run)}",
        "",
        " · ".join(facts),
        "",
    ]
    lines += [f"- {_cell(verdict.sentence())}" for verdict in run.failures]
    if run.failures:
        lines.append("")
    lines += [
        "| " + " | ".join(_HEADS) + " |",
        "|" + "|".join("---:" if i in _NUMERIC else "---" for i in range(len(_HEADS))) + "|",
        *(_row(verdict) for verdict in run.verdicts),
        "",
    ]
    if manifest.command:
        lines += [f"Repeat: `{manifest.command}`", ""]
    return "\n".join(lines)


def _row(verdict: Verdict) -> str:
    outcome = f"{SIGNS[verdict.outcome]} {verdict.outcome.value}"
    if verdict.reason:
        outcome += f" ({verdict.reason})"
    cells = (
        f"`{verdict.limit.name}`",
        verdict.limit.window or "whole run",
        short(verdict.value),
        verdict.unit or NOTHING,
        bound_text(verdict),
        margin_text(verdict),
        outcome,
    )
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Keep a text on one line and inside its cell."""
    return " ".join(text.split()).replace("|", "\\|")
