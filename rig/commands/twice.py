"""`telerig run --twice`: the same run two times, and where the two first differ."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rig.runner import Request


def run_twice(requests: Sequence[Request], options: argparse.Namespace) -> int:
    """Run each request two times; exit code 0 only if every pair has one trace."""
    from rich.console import Console

    from rig.errors import RigError
    from rig.record.compare import compare
    from rig.record.reader import RecordReader
    from rig.runner import Runner, default_jobs
    from rig.terminal import ProgressView

    console = Console(stderr=options.json)
    failed = False
    virtual = [request for request in requests if request.mode == "virtual"]
    if len(virtual) < len(requests):
        print(
            "telerig run --twice: expected virtual runs, got a paced one: "
            "wall time never repeats itself; leave out --mode paced",
            file=sys.stderr,
        )
        return 2
    try:
        with (
            ProgressView(console) as view,
            Runner(
                options.runs, jobs=options.jobs or default_jobs(), on_progress=view.update
            ) as runner,
        ):
            pairs = [(runner.submit(r), runner.submit(r)) for r in requests]
            for first_future, second_future in pairs:
                first, second = first_future.result(), second_future.result()
                name = f"{first.request.scenario.id}, seed {first.request.seed}"
                broken = first.failure or second.failure
                if broken:
                    console.print(f"[bold red]{name}[/]: {broken}", highlight=False)
                    failed = True
                elif first.trace_sha256 == second.trace_sha256:
                    console.print(
                        f"[green]{name}[/]: two runs, one trace {first.trace_sha256}",
                        highlight=False,
                    )
                else:
                    failed = True
                    divergence = compare(RecordReader(first.folder), RecordReader(second.folder))
                    console.print(f"[bold red]{name}[/]: the runs differ", highlight=False)
                    console.print(str(divergence), highlight=False, markup=False)
    except RigError as error:
        print(f"telerig run --twice: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0
