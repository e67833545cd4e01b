"""Runs over time: one page that shows how each limit of each scenario has come out, run by run.

It reads manifests and verdicts alone, so hundreds of runs take a second. The page needs nothing
else and no script; the newest verdicts are a table.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from reports.page import eyebrow, render_page, section, write_page
from reports.sections import SIGNS, table
from reports.svg.element import Markup, element, join
from reports.svg.scale import Scale
from reports.text import NOTHING, plural, short
from rig.judge.limits import Outcome
from rig.record.errors import RecordError
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import VERDICT_FILE

_WIDTH, _HEIGHT, _EDGE = 260.0, 34.0, 5.0
_DOT = 2.6
_MOST_SIGNS = 24
_FEWEST_FOR_USUAL = 4
_SEVERITY = (Outcome.SKIPPED, Outcome.PASS, Outcome.MARGINAL, Outcome.UNSET, Outcome.FAIL)


class KeptLimit(msgspec.Struct, frozen=True):
    """One limit as `verdict.json` keeps it."""

    limit: str
    window: str
    value: float | None
    unit: str
    bound: str
    margin: float | None
    outcome: Outcome
    line: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is compared by: a bound that was changed begins anew."""
        return self.limit, self.window, self.bound


class KeptVerdict(msgspec.Struct, frozen=True):
    """`verdict.json`."""

    limits: list[KeptLimit]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that was judged.

    Attributes:
        ended: False where it was cut off.
    """

    name: str
    manifest: Manifest
    limits: Sequence[KeptLimit]
    ended: bool

    @property
    def outcome(self) -> Outcome:
        """The worst of its limits; FAIL where it was cut off or never judged."""
        if not self.ended or not self.limits:
            return Outcome.FAIL
        return max((limit.outcome for limit in self.limits), key=_SEVERITY.index)

    @property
    def commit(self) -> str:
        """The sources that it ran, as the version control names them."""
        return self.manifest.versions.get("commit", "")

    def document(self) -> dict[str, Any]:
        """Return the run as plain values."""
        return {
            "run": self.name,
            "started": self.manifest.started,
            "seed": self.manifest.seed,
            "commit": self.commit,
            "outcome": self.outcome.value,
            "limits": self.limits,
        }


@dataclass(slots=True)
class History:
    """The runs of one scenario, oldest first."""

    title: str
    runs: list[PastRun] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """How many came out well."""
        return sum(not run.outcome.is_failure for run in self.runs)

    @property
    def newest(self) -> PastRun:
        """The last one."""
        return self.runs[-1]

    def document(self) -> dict[str, Any]:
        """Return the runs as plain values."""
        return {
            "scenario": self.title,
            "passed": self.passed,
            "runs": [run.document() for run in self.runs],
        }


@dataclass(frozen=True, slots=True)
class Trend:
    """Runs by scenario, and a line for each folder that cannot be read."""

    histories: Sequence[History]
    problems: Sequence[str] = ()

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Trend:
        """Read manifests and verdicts.

        Raises:
            RecordError: there is no run that can be read.
        """
        histories: dict[str, History] = {}
        problems: list[str] = []
        for folder in folders:
            try:
                run = _past_run(folder)
            except RecordError as error:
                problems.append(str(error))
                continue
            title = _title(run.manifest)
            histories.setdefault(title, History(title)).runs.append(run)
        if not histories:
            why = problems[0] if problems else "`telerig run FILE` makes one"
            raise RecordError(f"runs over time: expected at least one run, found none; {why}")
        for history in histories.values():
            history.runs.sort(key=lambda run: (run.manifest.started, run.name))
        return cls(sorted(histories.values(), key=lambda history: history.title), problems)

    @property
    def passed(self) -> bool:
        """True if the newest run of each scenario came out well."""
        return not any(history.newest.outcome.is_failure for history in self.histories)

    def sentence(self) -> str:
        """Return how many scenarios there are, and how their newest runs came out."""
        failed = [h.title for h in self.histories if h.newest.outcome.is_failure]
        runs = sum(len(history.runs) for history in self.histories)
        tail = f"; newest run failed: {', '.join(failed)}" if failed else "; all newest runs passed"
        count = f"{plural(len(self.histories), 'scenario')}, {plural(runs, 'run')}"
        return count + tail

    def document(self) -> dict[str, Any]:
        """Return the same as plain values, for a script."""
        return {
            "passed": self.passed,
            "scenarios": [history.document() for history in self.histories],
            "problems": list(self.problems),
        }

    def write(self, path: Path) -> None:
        """Write the page to `path`.

        Raises:
            RecordError: the file cannot be written.
        """
        write_page(path, render_trend(self.histories, self.problems))


def _title(manifest: Manifest) -> str:
    """Return the scenario's name, and its clock where that is the wall's."""
    return manifest.scenario + ("" if manifest.mode == "virtual" else f", {manifest.mode}")


def _past_run(folder: Path) -> PastRun:
    record = RecordReader(folder)
    path = folder / VERDICT_FILE
    limits: Sequence[KeptLimit] = ()
    if path.exists():
        try:
            limits = msgspec.json.decode(path.read_bytes(), type=KeptVerdict).limits
        except (OSError, msgspec.DecodeError) as error:
            raise RecordError(f"{path}: expected a run's verdict, found: {error}") from error
    return PastRun(folder.name, record.manifest, limits, record.finished)


def render_trend(histories: Sequence[History], problems: Sequence[str] = ()) -> str:
    """Return the page."""
    runs = sum(len(history.runs) for history in histories)
    worst = max((h.newest.outcome for h in histories), key=_SEVERITY.index)
    body = [
        element(
            "header",
            eyebrow("telerig report"),
            element("h1", f"{plural(len(histories), 'scenario')} over time"),
            element("p", f"{plural(runs, 'run')}; the newest stand on the right.", class_="note"),
            class_="top",
        ),
        section("Newest verdicts", _newest(histories)),
        *(_history(index, history) for index, history in enumerate(histories)),
    ]
    if problems:
        lines = "\n".join(problems)
        body.append(section(f"Left out ({len(problems)})", element("pre", lines)))
    return render_page(f"{SIGNS[worst]} runs over time", *body)


def _newest(histories: Sequence[History]) -> Markup:
    """Return a row for each scenario: how its newest run came out, and how all did."""
    rows = []
    for index, history in enumerate(histories):
        run = history.newest
        broken = [limit for limit in run.limits if limit.outcome.is_failure]
        what = ", ".join(f"{limit.limit} {short(limit.value)} {limit.unit}" for limit in broken)
        rows.append(
            element(
                "tr",
                element("td", element("a", history.title, href=f"#s{index}")),
                element("td", element("span", _outcome_text(run), class_="outcome")),
                element("td", what or NOTHING, class_="broken"),
                element("td", f"{history.passed} of {len(history.runs)}", class_="n"),
                element("td", _signs(history.runs)),
                element("td", element("code", run.commit or NOTHING)),
                element("td", run.manifest.started.replace("T", " ")[:16]),
                class_=run.outcome.value.lower(),
            )
        )
    heads = ("scenario", "newest", "broken", "passed", "last runs", "commit", "started")
    return table(heads, rows, class_="runs", numeric=(3,))


def _outcome_text(run: PastRun) -> str:
    if not run.ended:
        return f"{SIGNS[Outcome.FAIL]} cut off"
    if not run.limits:
        return f"{SIGNS[Outcome.UNSET]} not judged"
    return f"{SIGNS[run.outcome]} {run.outcome.value}"


def _signs(runs: Sequence[PastRun]) -> Markup:
    """Return a small sign for each of the last runs; its title says which."""
    signs = [
        element(
            "span",
            SIGNS[run.outcome],
            class_=f"past {run.outcome.value.lower()}",
            title=f"{run.name}: {_outcome_text(run)}",
        )
        for run in runs[-_MOST_SIGNS:]
    ]
    return element("span", *signs, class_="pasts")


def _history(index: int, history: History) -> Markup:
    columns: dict[tuple[str, str, str], list[tuple[PastRun, KeptLimit]]] = {}
    for run in history.runs:
        for limit in run.limits:
            columns.setdefault(limit.key, []).append((run, limit))
    places = {id(run): place for place, run in enumerate(history.runs)}
    shown = [limit.key for limit in history.newest.limits] or list(columns)
    rows = [_limit_row(columns[key], places, len(history.runs)) for key in shown]
    gone = len(columns) - len(rows)
    heads = ("limit", "window", "bound", "newest", "usual", "unit", "runs", "outcome")
    note = f"{plural(gone, 'limit')} of older runs left out: bound or name has changed."
    return element(
        "section",
        element("h2", history.title),
        element("p", _commits(history), class_="summary"),
        table(heads, rows, class_="limits", numeric=(3, 4)),
        element("p", note, class_="note") if gone else Markup(""),
        id=f"s{index}",
    )


def _commits(history: History) -> str:
    commits = dict.fromkeys(run.commit or "unknown" for run in history.runs)
    seeds = sorted({run.manifest.seed for run in history.runs})
    shown = ", ".join(map(str, seeds[:8])) + (" …" if len(seeds) > 8 else "")
    return (
        f"{history.passed} of {plural(len(history.runs), 'run')} passed; "
        f"{plural(len(commits), 'commit')}; seeds {shown}"
    )


def _limit_row(
    past: Sequence[tuple[PastRun, KeptLimit]], places: Mapping[int, int], count: int
) -> Markup:
    run, newest = past[-1]
    values = [limit.value for _, limit in past if limit.value is not None]
    usual = statistics.median(values) if len(values) >= _FEWEST_FOR_USUAL else None
    word = f"{SIGNS[newest.outcome]} {newest.outcome.value}"
    return element(
        "tr",
        element("td", element("code", newest.limit)),
        element("td", newest.window or "whole run"),
        element("td", newest.bound, class_="bound"),
        element("td", short(newest.value), class_="n"),
        element("td", short(usual), class_="n"),
        element("td", newest.unit),
        element("td", _sparkline(past, places, count)),
        element("td", element("span", word, class_="outcome")),
        class_=newest.outcome.value.lower(),
        title=run.name,
    )


def _sparkline(
    past: Sequence[tuple[PastRun, KeptLimit]], places: Mapping[int, int], count: int
) -> Markup:
    """Return the values run by run: a dot each, hollow where the limit was broken."""
    known = [
        (places[id(run)], limit)
        for run, limit in past
        if limit.value is not None and math.isfinite(limit.value)
    ]
    if not known:
        return Markup(NOTHING)
    values = [limit.value for _, limit in known if limit.value is not None]
    # The bound is where the margin ends: which side of it is good does not matter here.
    bounds = [abs_bound for _, limit in known if (abs_bound := _bound_of(limit)) is not None]
    low, high = min([*values, *bounds]), max([*values, *bounds])
    room = (high - low) * 0.08 or max(1.0, abs(high)) * 0.05
    y = Scale(low - room, high + room, _HEIGHT, 0.0)
    x = Scale(0.0, max(1.0, count - 1.0), _EDGE, _WIDTH - _EDGE)
    marks = [
        element("line", x1=0.0, x2=_WIDTH, y1=y(bound), y2=y(bound), class_="limit")
        for bound in sorted(set(bounds))
    ]
    points = " ".join(f"{x(place):.1f},{y(limit.value or 0.0):.1f}" for place, limit in known)
    dots = [
        element(
            "circle",
            element("title", f"{short(limit.value)} {limit.unit}"),
            cx=x(place),
            cy=y(limit.value or 0.0),
            r=_DOT,
            class_="bad" if limit.outcome.is_failure else "good",
        )
        for place, limit in known
    ]
    label = (
        f"{known[-1][1].limit} over {plural(len(known), 'run')}: "
        f"{short(min(values))} to {short(max(values))} {known[-1][1].unit}"
    )
    return element(
        "svg",
        join(*marks),
        element("polyline", points=points, class_="course"),
        join(*dots),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        class_="spark",
        role="img",
        aria_label=label,
    )


def _bound_of(limit: KeptLimit) -> float | None:
    """Return the bound next to the value, from value and margin."""
    if limit.value is None or limit.margin is None or not math.isfinite(limit.margin):
        return None
    sign = -1.0 if limit.bound.startswith(">=") else 1.0
    return limit.value + sign * limit.margin
