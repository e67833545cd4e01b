"""The plan and the trials as tables: for the command, and for docs/scale.md (a test compares)."""

from __future__ import annotations

from collections.abc import Sequence

from sim.capacity.figures import Figures
from sim.capacity.plan import Plan
from sim.capacity.trial import MOST_AFTER_S, STEADY, Outcome

Cells = Sequence[str]


def text(value: float) -> str:
    """Give three digits, or all before the point, with a thousands separator."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def bytes_text(mega: float) -> str:
    """Give megabytes with the unit that suits them."""
    for unit in ("MB", "GB", "TB"):
        if mega < 1000:
            return f"{text(mega)} {unit}"
        mega /= 1000
    return f"{text(mega)} PB"


def demand(plans: Sequence[Plan]) -> list[Cells]:
    """Give a column for each plan: what comes, and what it takes."""
    lines: list[Cells] = [("", *(f"{plan.fleet.vehicles:,} vehicles" for plan in plans))]

    def line(name: str, *values: str) -> None:
        lines.append((name, *values))

    line("vehicles that send, at the busiest time", *(f"{p.fleet.sending:,.0f}" for p in plans))
    line("requests/s", *(text(p.requests_per_s) for p in plans))
    line("samples/s", *(text(p.samples_per_s) for p in plans))
    line("on the wire, in", *(bytes_text(p.in_mb_s) + "/s" for p in plans))
    line("on the wire, out", *(bytes_text(p.out_mb_s) + "/s" for p in plans))
    line("cells (a primary, its gateways, a bus)", *(f"{p.cells:,}" for p in plans))
    line("vehicles of a cell", *(f"{p.cell_vehicles:,.0f}" for p in plans))
    line("gateways of a cell", *(f"{p.gateways}" for p in plans))
    line("of one gateway's core, busy", *(f"{p.gateway_load:.0%}" for p in plans))
    line("of the compactor's core, busy", *(f"{p.compactor_load:.0%}" for p in plans))
    line("cores of a cell's database, busy", *(text(p.database_cores) for p in plans))
    line("write-ahead log of a cell", *(bytes_text(p.log_mb_s) + "/s" for p in plans))
    line("commits/s of a cell", *(text(p.commits_per_s) for p in plans))
    line("messages/s on a cell's bus, at most", *(text(p.bus_messages_per_s) for p in plans))
    line("database connections of a cell", *(f"{p.database_connections}" for p in plans))
    line("requests under way and live clients of a gateway", *(text(p.connections) for p in plans))
    line("memory of a gateway", *(bytes_text(p.memory_mb) for p in plans))
    catch_up = [f"{p.catch_up:.0%} of it" for p in plans]
    line("work of an outage's readings afterwards", *catch_up)
    line("answer after the commit, mean", *(f"{p.answer_ms:.1f} ms" for p in plans))
    line("stored a day, one copy", *(bytes_text(p.disk_gb_a_day * 1000) for p in plans))
    kept = [bytes_text(p.disk_tb * 1e6) for p in plans]
    line(f"disk, {plans[0].fleet.raw_days} days, with replicas", *kept)
    line("cores of gateways and compactors busy, all", *(text(p.gateway_cores) for p in plans))
    line("database cores busy, all", *(text(p.cells * p.database_cores) for p in plans))
    line("what binds a cell", *(_thing(p.binding.name) for p in plans))
    return lines


def limits(plan: Plan) -> list[Cells]:
    """Give what bounds a gateway and a cell, the tightest first."""
    lines: list[Cells] = [("what", "vehicles it carries", "moved by")]
    lines += [(each.name, text(each.vehicles), each.remedy) for each in plan.limits]
    return lines


def trials(outcomes: Sequence[Outcome]) -> list[Cells]:
    """Give a line for each trial: what was simulated, beside what was predicted."""
    lines: list[Cells] = [
        ("trial", "pauses", "requests/s, most", "times normal", "failed", "late", "answer p50, p99",
         "open at a gateway", "99 % back", "all back", "by theory")
    ]  # fmt: skip
    for each in outcomes:
        trial = each.trial
        name = trial.kind if trial.kind == STEADY else f"{trial.kind}, {trial.lasts_s:g} s"
        chance = "with chance" if trial.jitter else "all alike"
        if trial.in_step:
            chance += ", in step"
        drained = each.predicted_drained_s
        predicted = "" if drained is None else f"{drained:.1f} s"
        if trial.kind == STEADY and each.predicted_ms is not None:
            predicted = f"mean {each.predicted_ms:.2f} ms (found {each.mean_ms:.2f})"
        lines.append(
            (
                name,
                chance,
                f"{each.peak_per_s:,}",
                f"{each.times_normal:.1f}",
                f"{each.failed_share:.1%}",
                f"{each.late_share:.1%}",
                f"{text(each.p50_ms)}, {text(each.p99_ms)} ms",
                f"{each.most_open:,}",
                "" if trial.kind == STEADY else _seconds(each.drained_99_s),
                "" if trial.kind == STEADY else _seconds(each.drained_s),
                predicted,
            )
        )
    return lines


def figures(table: Figures) -> list[Cells]:
    """Give what the model counts with."""
    lines: list[Cells] = [("figure", "value", "found", "unit", "from", "date")]
    for each in table:
        found = "" if each.low is None else f"{text(each.low)} - {text(each.high or 0)}"
        lines.append((each.name, text(each.value), found, each.unit, each.source, str(each.date)))
    return lines


def markdown(lines: Sequence[Cells]) -> str:
    """Give lines as a table that reads well as it is, and pastes into a page."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [list(line) for line in lines]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def _thing(name: str) -> str:
    return name.partition(": ")[2]


def _seconds(value_s: float | None) -> str:
    return f"not in {MOST_AFTER_S / 60:g} min" if value_s is None else f"{value_s:.1f} s"
