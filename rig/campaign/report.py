"""What a campaign found, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.campaign.conduct import Tally
from rig.campaign.ledger import SMALLEST_FILE, Ledger
from rig.terminal import say, shown_path

SHOWN_FAILURES = 20


def document_of(ledger: Ledger, tally: Tally) -> dict[str, Any]:
    """Return everything as plain values."""
    done = ledger.done.values()
    failures = [_failure(ledger, number) for number in ledger.failed]
    return {
        "campaign": str(ledger.folder),
        "seed": ledger.plan.seed,
        "runs": len(ledger.done),
        "passed": sum(one.passed for one in done),
        "failed": len(failures),
        "unexplained": sum(not failure["explained"] for failure in failures),
        "sim_h": round(sum(one.sim_s for one in done) / 3600, 3),
        "gateways": dict(Counter(one.server for one in done)),
        "call": {
            "runs": tally.runs,
            "failed": tally.failed,
            "mended": tally.mended,
            "wall_s": round(tally.wall_s, 3),
            "sim_s": round(tally.sim_s, 3),
            "runs_per_min": round(tally.runs / tally.wall_s * 60, 2) if tally.wall_s else None,
            "sim_h_per_h": round(tally.sim_s / tally.wall_s, 1) if tally.wall_s else None,
        },
        "failures": failures,
    }


def _failure(ledger: Ledger, number: int) -> dict[str, Any]:
    done, shrunk = ledger.done[number], ledger.shrunk(number)
    failure = ledger.failure(number)
    smallest = ledger.failure_folder(number) / SMALLEST_FILE
    return {
        "number": number,
        "broken": list(done.broken),
        "sentences": [breach.sentence for breach in failure.breaches] if failure else [],
        "faults": list(done.faults),
        "folder": str(ledger.failure_folder(number)),
        "smallest": str(smallest) if smallest.exists() else None,
        "shrunk": None
        if shrunk is None
        else {
            "limit": shrunk.limit,
            "sentence": shrunk.sentence,
            "faults": shrunk.faults,
            "drive_s": shrunk.drive_s,
            "steps": shrunk.steps,
            "note": shrunk.note,
        },
        "command": shrunk.command
        if shrunk is not None and shrunk.command
        else failure.command
        if failure
        else None,
        "explained": ledger.explanation(number) or None,
    }


def markdown_of(ledger: Ledger, tally: Tally) -> str:
    """Return the report as a page."""
    found = document_of(ledger, tally)
    lines = [
        f"# Campaign {ledger.folder.name}",
        "",
        f"{_headline(found)}. Seed {found['seed']}.",
        "",
    ]
    if found["failures"]:
        lines += ["| run | breaks | faults | smallest | why |", "|---|---|---|---|---|"]
        lines += [
            f"| {one['number']} | {', '.join(one['broken'])} | {', '.join(one['faults'])} | "
            f"{_smallest(one)} | {one['explained'] or ''} |"
            for one in found["failures"]
        ]
        lines.append("")
    return "\n".join(lines)


def print_report(console: Console, ledger: Ledger, tally: Tally) -> None:
    """Print a table of the failures, and one line for all."""
    found = document_of(ledger, tally)
    failures = found["failures"]
    if failures:
        console.print(_table(failures[-SHOWN_FAILURES:]))
        if len(failures) > SHOWN_FAILURES:
            say(console, f"  and {len(failures) - SHOWN_FAILURES} more: see report.md")
        for one in failures[-SHOWN_FAILURES:]:
            if one["number"] in tally.failed and one["command"]:
                say(console, f"  {one['number']}: {one['command']}")
    style = "bold red" if found["unexplained"] else "bold green"
    say(console, _headline(found), style)
    call = found["call"]
    if call["runs"]:
        say(
            console,
            f"this call: {call['runs']} runs in {call['wall_s']:.0f} s, {call['runs_per_min']:g} "
            f"a minute, {call['sim_h_per_h']:g} simulated hours an hour"
            + (f", {len(call['mended'])} mended" if call["mended"] else ""),
        )
    say(console, f"kept in {shown_path(ledger.folder)}")


def _headline(found: dict[str, Any]) -> str:
    failed = f"{found['failed']} failed" + (
        f", {found['unexplained']} of them unexplained" if found["failed"] else ""
    )
    return f"{found['runs']} runs, {found['sim_h']:.1f} simulated hours: {failed}"


def _table(failures: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", justify="right", no_wrap=True)
    for heading in ("breaks", "faults", "smallest"):
        table.add_column(heading, overflow="fold")
    for one in failures:
        style = "dim" if one["explained"] else ""
        table.add_row(
            Text(str(one["number"]), style),
            Text(", ".join(one["broken"]), style or "red"),
            Text(", ".join(one["faults"]), style),
            Text(one["explained"] or _smallest(one), style),
        )
    return table


def _smallest(one: dict[str, Any]) -> str:
    shrunk = one["shrunk"]
    if shrunk is None:
        return "not shrunk yet"
    if not one["smallest"]:
        return str(shrunk["note"])
    return f"{shrunk['drive_s']:g} s, faults: {shrunk['faults']}"
