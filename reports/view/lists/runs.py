"""Runs of the rig."""

from __future__ import annotations

from reports.view.listing import Column, Filter, Kind, Listing, Select
from reports.view.lists import signs

RUNS = Listing(
    name="runs",
    api="/api/runs",
    rows="runs",
    columns=(
        Column(key="id", label="Run"),
        Column(key="outcome", label="Verdict", kind=Kind.SIGN, signs=signs.VERDICTS),
        Column(key="scenario", label="Scenario"),
        Column(key="variant", label="Variant"),
        Column(key="seed", label="Seed"),
        Column(key="mode", label="Clock"),
        Column(key="commit", label="Commit", kind=Kind.CODE),
        Column(key="worst.name", label="Tightest limit"),
        Column(
            key="worst.margin_pct",
            label="Margin",
            kind=Kind.NUMBER,
            unit="%",
            digits=1,
            hint="Of the tightest limit: how far the figure is on the good side.",
        ),
        Column(key="duration_s", label="Duration", kind=Kind.DURATION_S),
        Column(key="started", label="Started", kind=Kind.INSTANT),
    ),
    filters=(
        Filter(
            name="outcome",
            label="Verdict",
            choices=(
                ("pass", "pass"),
                ("marginal", "marginal"),
                ("fail", "fail"),
                ("unset", "unset"),
                ("skipped", "skipped"),
            ),
        ),
        Filter(name="scenario", label="Scenario", kind="text"),
        Filter(name="text", label="Text", kind="text"),
    ),
    row_link="/run/{id}",
    paging="offset",
    total="total",
    first={"running": ("true",)},
    select=Select(count=2, label="Compare", link="/compare?a=run:{a}&b=run:{b}"),
    problem="damaged",
    refresh_s=3,
    in_url=True,
    csv="/api/runs.csv",
    empty="No run in this folder yet: telerig run FILE makes one.",
)
