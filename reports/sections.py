"""The parts of a run's page that are text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from reports.judged_run import JudgedRun
from reports.plots import percentile_row
from reports.svg.element import Markup, element, join
from reports.text import NOTHING, clock, duration, plural, short
from rig.judge.limits import Outcome, Verdict
from rig.measures.counts import is_error_line

SIGNS = {
    Outcome.PASS: "✓",
    Outcome.MARGINAL: "▲",
    Outcome.FAIL: "✕",
    Outcome.UNSET: "?",
    Outcome.SKIPPED: "·",
}
_HEADLINES = {
    Outcome.PASS: "Passed",
    Outcome.MARGINAL: "Passed, with little room",
    Outcome.FAIL: "Failed",
    Outcome.UNSET: "Failed",
    Outcome.SKIPPED: "Nothing judged",
}
_MOST_EVENTS = 200
_MOST_LOG_LINES = 40
_SHORT_HASH = 12


def verdict_box(run: JudgedRun) -> Markup:
    """Return the headline: what came out, and if not well, what broke."""
    outcome = run.outcome
    sentences = [v.sentence() for v in run.failures]
    if not run.verdicts:
        sentences = ["The record declares no limits."]
    elif not sentences and run.closest is not None:
        sentences = [f"Closest: {run.closest.sentence()}"]
    return element(
        "div",
        element("span", SIGNS[outcome], class_="sign", aria_hidden="true"),
        element(
            "div",
            element(
                "p", element("strong", _HEADLINES[outcome]), " ", tally(run), class_="headline"
            ),
            *(element("p", sentence) for sentence in sentences),
        ),
        class_=f"verdict {outcome.value.lower()}",
    )


def tally(run: JudgedRun) -> str:
    """Return how many limits came out how: "17 of 19 limits kept, 1 failed, 1 skipped"."""
    kept = run.count(Outcome.PASS, Outcome.MARGINAL)
    parts = [f"{kept} of {plural(len(run.verdicts), 'limit')} kept"]
    for outcome, word in (
        (Outcome.MARGINAL, "with little room"),
        (Outcome.FAIL, "failed"),
        (Outcome.UNSET, "not measured"),
        (Outcome.SKIPPED, "skipped"),
    ):
        if run.count(outcome):
            parts.append(f"{run.count(outcome)} {word}")
    return ", ".join(parts)


def facts(run: JudgedRun) -> Markup:
    """Return seed, clock, times and hash as a row of tiles."""
    manifest, result = run.manifest, run.manifest.result
    ratio = run.measures.get("rig.ratio")
    drive_s = (manifest.end_ns - manifest.start_ns) / 1e9
    tiles: list[tuple[str, str, str | None]] = [
        ("seed", str(manifest.seed), None),
        ("clock", manifest.mode, None),
        ("driven", duration(drive_s), None),
        ("took", duration(result["wall_s"]) if "wall_s" in result else NOTHING, None),
        ("simulated : wall", NOTHING if ratio is None else f"{short(ratio.value, 3)} : 1", None),
        ("trace", manifest.trace_sha256[:_SHORT_HASH] or "unfinished", manifest.trace_sha256),
    ]
    tiles.insert(-1, ("readings stored", f"{len(run.record.stored):,}", None))
    tiles += [(name, str(value), None) for name, value in manifest.matrix.items()]
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", value, title=title))
            for name, value, title in tiles
        ),
        class_="facts",
    )


def repeat_command(run: JudgedRun) -> Markup:
    """Return the one command that repeats the run."""
    if not run.manifest.command:
        return Markup("")
    return element(
        "p",
        element("span", "Repeat this run", class_="label"),
        element("code", run.manifest.command),
        class_="repeat",
    )


def limits_table(run: JudgedRun) -> Markup:
    """Return limit, phase, value, unit, bound, margin and outcome of each limit."""
    heads = ("limit", "phase", "value", "unit", "bound", "margin", "outcome")
    rows = [_limit_row(verdict) for verdict in run.verdicts]
    return table(heads, rows, class_="limits", numeric=(2, 5))


def _limit_row(verdict: Verdict) -> Markup:
    outcome = verdict.outcome
    word = element("span", f"{SIGNS[outcome]} {outcome.value}", class_="outcome")
    note = element("small", verdict.reason) if verdict.reason else Markup("")
    return element(
        "tr",
        element("td", element("code", verdict.limit.name)),
        element("td", verdict.limit.window or "whole run"),
        element("td", short(verdict.value), class_="n"),
        element("td", verdict.unit),
        element("td", bound_text(verdict), class_="bound"),
        element("td", _margin_bar(verdict), _padded(margin_text(verdict)), class_="n"),
        element("td", word, note),
        class_=outcome.value.lower(),
    )


def margin_text(verdict: Verdict) -> str:
    """Return the distance from the bound, and in % of it where that says something."""
    if verdict.margin is None:
        return NOTHING
    sign = "+" if verdict.margin > 0 else ""
    if verdict.margin_pct is None:
        return f"{sign}{short(verdict.margin, 3)}"
    return f"{sign}{short(round(verdict.margin_pct, 1), 3)} %"


def bound_text(verdict: Verdict) -> str:
    """Return the bound without its unit, which has a column of its own."""
    limit = verdict.limit
    pairs = (("=", limit.equals), ("≥", limit.min), ("≤", limit.max))
    return " and ".join(f"{sign} {short(bound)}" for sign, bound in pairs if bound is not None)


def _padded(text: str) -> Markup:
    """Give the text the width of its column, so that the bars beside it begin together."""
    return element("span", text, class_="margin")


def _margin_bar(verdict: Verdict) -> Markup:
    if verdict.margin_pct is None:
        return Markup("")
    width = min(100.0, abs(verdict.margin_pct))
    return element("i", element("i", style=f"width:{width:.0f}%"), class_="bar", aria_hidden="true")


def latency_table(run: JudgedRun, link: str) -> Markup:
    """Return the percentiles of a link's latency and age."""
    rows = [
        ("received, ms", f"{link}.latency"),
        ("committed, ms", f"{link}.latency.stored"),
        ("published, ms", f"{link}.latency.published"),
        ("age, s", f"{link}.age"),
    ]
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
            *(element("td", text, class_="n") for text in percentile_row(run, prefix)),
        )
        for name, prefix in rows
    ]
    return table(("", "p50", "p95", "p99", "max"), body, class_="small", numeric=(1, 2, 3, 4))


def position_table(run: JudgedRun) -> Markup:
    """Return the percentiles of the position error."""
    cells = (element("td", t, class_="n") for t in percentile_row(run, "gps.position_error"))
    row = element("tr", element("th", "error, m", scope="row"), *cells)
    return table(("", "p50", "p95", "p99", "max"), [row], class_="small", numeric=(1, 2, 3, 4))


def link_summary(run: JudgedRun, link: str) -> Markup:
    """Return rate, coverage, outage and recovery of a link in one line."""
    parts = []
    for name, measure, unit in (
        ("rate", "rate", "/s"),
        ("coverage", "coverage", " %"),
        ("longest outage", "outage.max", " s"),
        ("slowest recovery", "recovery.max", " s"),
        ("fidelity, worst", "fidelity.max", " steps"),
    ):
        found = run.measures.get(f"{link}.{measure}")
        if found is not None:
            text = element("b", short(found.value, 3) + unit)
            parts.append(element("span", f"{name} ", text))
    return element("p", *parts, class_="summary")


def signals_table(run: JudgedRun) -> Markup:
    """Return what was stored of each signal and how true it is."""
    rows = []
    for link in run.measures.links:
        for signal in run.measures.fidelity_by_signal(link):
            cells = (
                short(signal.readings),
                short(signal.rate_per_s, 3),
                f"{short(signal.resolution, 3)} {signal.unit}",
                short(signal.max_steps, 3),
                short(signal.rms_steps, 3),
            )
            rows.append(
                element(
                    "tr",
                    element("td", link),
                    element("td", element("code", signal.signal)),
                    *(element("td", cell, class_="n") for cell in cells),
                )
            )
    heads = ("link", "signal", "stored", "per s", "one step", "worst, steps", "RMS, steps")
    return table(heads, rows, class_="small", numeric=(2, 3, 4, 5, 6))


def counters_table(run: JudgedRun) -> Markup:
    """Return the counters that the gateway's links reported."""
    rows = []
    for link, counters in sorted((run.manifest.result.get("counters") or {}).items()):
        for name, count in counters.items():
            rows.append(
                element(
                    "tr",
                    element("td", link),
                    element("td", element("code", name)),
                    element("td", short(float(count)), class_="n"),
                )
            )
    return table(("link", "counter", "count"), rows, class_="small", numeric=(2,))


def events_table(run: JudgedRun) -> Markup:
    """Return what was worth a line, with its time and phase."""
    manifest = run.manifest
    rows = []
    for event in run.record.events[:_MOST_EVENTS]:
        detail = ", ".join(f"{key} {_plain(value)}" for key, value in event.detail.items())
        rows.append(
            element(
                "tr",
                element("td", clock(manifest.seconds(event.time_ns)), class_="n"),
                element("td", manifest.phase_at(event.time_ns) or NOTHING),
                element("td", event.kind),
                element("td", detail, class_="wrap"),
            )
        )
    more = len(run.record.events) - len(rows)
    note = element("p", f"{more:,} more in the record.", class_="note") if more > 0 else Markup("")
    return join(table(("time", "phase", "event", ""), rows, class_="small", numeric=(0,)), note)


def log_errors(run: JudgedRun) -> Markup:
    """Return the gateway's lines of level error, if there are any."""
    lines = [line for line in run.record.log_lines if is_error_line(line)]
    if not lines:
        return Markup("")
    shown = "\n".join(lines[:_MOST_LOG_LINES])
    return join(
        element("h3", f"Errors in the gateway's log ({len(lines):,})"), element("pre", shown)
    )


def versions_table(run: JudgedRun) -> Markup:
    """Return what the run was made of."""
    manifest = run.manifest
    pairs = {
        "record": str(run.record.folder),
        "scenario file": manifest.scenario_path,
        "started": manifest.started,
        "trace sha256": manifest.trace_sha256,
    } | dict(sorted(manifest.versions.items()))
    rows = [
        element("tr", element("td", name), element("td", element("code", value), class_="wrap"))
        for name, value in pairs.items()
        if value
    ]
    return table((), rows, class_="small")


def summary_table(runs: Sequence[tuple[str, JudgedRun]]) -> Markup:
    """Return one row per run; each is given with the anchor of its part of the page."""
    heads = ("scenario", "seed", "clock", "driven", "took", "ratio", "limits", "closest", "outcome")
    rows = []
    for anchor, run in runs:
        manifest, outcome = run.manifest, run.outcome
        ratio = run.measures.get("rig.ratio")
        wall_s = manifest.result.get("wall_s")
        rows.append(
            element(
                "tr",
                element("td", element("a", manifest.scenario, href=f"#{anchor}")),
                element("td", str(manifest.seed), class_="n"),
                element("td", manifest.mode),
                element("td", duration((manifest.end_ns - manifest.start_ns) / 1e9), class_="n"),
                element("td", NOTHING if wall_s is None else duration(wall_s), class_="n"),
                element(
                    "td", NOTHING if ratio is None else f"{short(ratio.value, 3)}×", class_="n"
                ),
                element("td", tally(run)),
                element("td", _closest(run)),
                element(
                    "td", element("span", f"{SIGNS[outcome]} {outcome.value}", class_="outcome")
                ),
                class_=outcome.value.lower(),
            )
        )
    return table(heads, rows, class_="runs", numeric=(1, 3, 4, 5))


def _closest(run: JudgedRun) -> Markup:
    """Name the limit that failed first, or the one kept with the least room."""
    verdict = run.failures[0] if run.failures else run.closest
    if verdict is None:
        return Markup(NOTHING)
    return join(element("code", verdict.limit.name), " ", margin_text(verdict))


def table(
    heads: Sequence[str], rows: Iterable[Markup], *, class_: str, numeric: Sequence[int] = ()
) -> Markup:
    """Return a table that scrolls sideways where it is too wide; `numeric` columns stand right."""
    head = [
        element("th", name, scope="col", class_="n" if index in numeric else None)
        for index, name in enumerate(heads)
    ]
    top = element("thead", element("tr", *head)) if head else Markup("")
    return element(
        "div", element("table", top, element("tbody", *rows), class_=class_), class_="scroll"
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
