"""A report of one or several runs as one HTML file that needs nothing else.

Drawings are SVG made here, the style sheet and the small script for the shared cursor are inside;
without the script everything is there but the cursor. It prints, and follows the reader's choice of
light or dark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reports import plots, sections
from reports.judged_run import JudgedRun, judge_run
from reports.page import eyebrow, render_page, section, write_page
from reports.sections import SIGNS
from reports.svg.element import Markup, element, join
from rig.judge.limits import overall


def render_html(runs: Sequence[JudgedRun], title: str = "") -> str:
    """Return the page. Several runs get a summary with a link to each.

    Args:
        runs: at least one.
        title: of the page; by default the scenario's name, or the number of runs.
    """
    if not runs:
        raise ValueError("expected at least one run to report, got none")
    anchored = [(_anchor(index, run), run) for index, run in enumerate(runs, 1)]
    title = title or (runs[0].manifest.scenario if len(runs) == 1 else f"{len(runs)} runs")
    body: list[Markup] = []
    if len(runs) > 1:
        summary = element("section", sections.summary_table(anchored))
        body.append(
            element("header", eyebrow("telerig report"), element("h1", title), class_="top")
        )
        body.append(summary)
    body += [_article(anchor, run, alone=len(runs) == 1) for anchor, run in anchored]
    sign = SIGNS[overall([verdict for run in runs for verdict in run.verdicts])]
    return render_page(f"{sign} {title}", *body, script="cursor.js")


def write_report(folders: Sequence[Path], path: Path) -> Path:
    """Judge the runs in `folders`, write their page to `path`, and return it.

    This is the entry point `telerig.reporters`, by which the rig finds its reporter.

    Raises:
        RecordError: a record is damaged, or the file cannot be written.
    """
    write_html(path, [judge_run(folder) for folder in folders])
    return path


def write_html(path: Path, runs: Sequence[JudgedRun], title: str = "") -> None:
    """Write the page to `path`, whose folder is made.

    Raises:
        RecordError: the file cannot be written.
    """
    write_page(path, render_html(runs, title))


def _article(anchor: str, run: JudgedRun, *, alone: bool) -> Markup:
    heading = "h1" if alone else "h2"
    parts = [
        element(
            "header",
            eyebrow("telerig run report" if alone else "run"),
            element(heading, run.manifest.scenario),
            class_="top",
        ),
        sections.verdict_box(run),
        sections.facts(run),
        sections.repeat_command(run),
        section("Limits", sections.limits_table(run)),
        section("The drive", _strips(plots.lanes(run), *plots.drive_strips(run))),
    ]
    positions = plots.position_figures(run)
    if positions is not None:
        parts.append(section("Where it went", _position(run, *positions)))
    parts += [_link(run, link) for link in run.measures.links]
    parts.append(section("Signals", sections.signals_table(run)))
    parts.append(
        section(
            "What happened",
            sections.log_errors(run),
            _folded(f"Events ({len(run.record.events):,})", sections.events_table(run)),
            _folded("Counters of the links", sections.counters_table(run)),
            _folded("What it was made of", sections.versions_table(run)),
        )
    )
    parts.append(
        element(
            "p",
            "Every figure is computed from the run's record; ",
            element("code", f"telerig report {run.record.folder}"),
            " judges it again.",
            class_="note",
        )
    )
    return element("article", *parts, id=anchor)


def _link(run: JudgedRun, link: str) -> Markup:
    figures = (plots.latency_figure, plots.age_figure, plots.load_figure)
    strips = [strip for figure in figures if (strip := figure(run, link)) is not None]
    histogram = plots.latency_histogram(run, link)
    aside = [element("div", sections.latency_table(run, link))]
    if histogram is not None:
        caption = element(
            "figcaption", element("b", "Distribution"), _unit("latency received; √ of counts")
        )
        aside.append(element("figure", caption, histogram))
    return section(
        f"Link {link}",
        sections.link_summary(run, link),
        _strips(*strips),
        element("div", *aside, class_="pair"),
    )


def _position(run: JudgedRun, picture: Markup, histogram: Markup) -> Markup:
    keys = join(
        element("span", element("i", class_="key truth"), "truth", class_="legend"),
        element("span", element("i", class_="key dots"), "stored", class_="legend"),
        element("span", element("i", class_="key worst"), "largest error", class_="legend"),
    )
    map_caption = element(
        "figcaption",
        element("b", "Map"),
        _unit("local metres"),
        element("span", keys, class_="legends"),
    )
    error_caption = element(
        "figcaption", element("b", "Position error"), _unit("stored against truth; √ of counts")
    )
    return element(
        "div",
        element("figure", map_caption, picture),
        element(
            "div",
            sections.position_table(run),
            element("figure", error_caption, histogram),
        ),
        class_="pair map-pair",
    )


def _strips(*parts: Markup) -> Markup:
    """Keep strips together, so that on a narrow screen they scroll as one."""
    return element("div", *parts, class_="strips")


def _folded(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), content)


def _unit(text: str) -> Markup:
    return element("span", text, class_="unit")


def _anchor(index: int, run: JudgedRun) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", run.manifest.scenario.lower()).strip("-")
    return f"run-{index}-{slug}"
