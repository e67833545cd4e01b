"""What pytest says about scenarios at the end: lines in the terminal, Markdown for a CI page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"

Document = dict[str, Any]
"""One run as plain values, see `rig.runner.request.Run.document`."""


class ScenarioReports:
    """Hears of every run of the session, from whichever process it comes."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._documents: list[Document] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        document = getattr(report, "rig_run", None)
        if document:
            self._documents.append(document)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._documents:
            return
        terminalreporter.section("telerig")
        for document in sorted(
            self._documents, key=lambda d: (d["file"], d["scenario"], d["seed"])
        ):
            terminalreporter.write_line(_line(document), red=not document["passed"])
        sim_s = sum(document["sim_s"] for document in self._documents)
        terminalreporter.write_line(
            f"{len(self._documents)} runs, {sim_s:.0f} s of driving judged; "
            "figures: --junitxml, or `telerig report RUN`"
        )
        self._write_summary(terminalreporter)

    def _write_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        target = self._config.getoption("--rig-summary") or os.environ.get(SUMMARY_VARIABLE)
        if not target:
            return
        path = Path(self._config.invocation_params.dir, target)
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(markdown_summary(self._documents))
        except OSError as error:
            terminalreporter.write_line(f"telerig: {path}: expected to write it, found: {error}")


def markdown_summary(documents: Sequence[Document]) -> str:
    """A summary for a CI page: one row a run, and below what failed."""
    lines = [
        "## telerig\n",
        "| scenario | seed | clock | outcome | simulated : wall | tightest limit | trace |",
        "|---|---|---|---|---|---|---|",
    ]
    for document in documents:
        cells = [
            document["scenario"],
            str(document["seed"]),
            document["mode"],
            "pass" if document["passed"] else "**FAIL**",
            _ratio(document),
            document["tightest"] or "-",
            f"`{document['trace_sha256'][:12] or '-'}`",
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for document in documents:
        if not document["passed"]:
            text = "\n".join(f"    {line}" for line in document["failures"])
            lines.append(f"\n**{document['scenario']}**, seed {document['seed']}:\n\n{text}")
            lines.append(f"    repeat: {document['command']}")
    return "\n".join(lines) + "\n\n"


def _line(document: Document) -> str:
    verdict = "PASS" if document["passed"] else "FAIL"
    tightest = f"; tightest: {document['tightest']}" if document["tightest"] else ""
    return (
        f"{verdict}  {document['scenario']}, seed {document['seed']}, {document['mode']}: "
        f"{_ratio(document)}{tightest}"
    )


def _ratio(document: Document) -> str:
    sim_s, wall_s = document["sim_s"], document["wall_s"]
    return f"{sim_s:.0f} s : {wall_s:.1f} s = {sim_s / wall_s if wall_s else 0:.0f} : 1"
