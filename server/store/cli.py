"""The command `telerig migrate`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


class MigrateCommand:
    """Bring the database's schema to the one of this version, or back to an earlier one.

    `telerig serve` does the first by itself. Going back is for the return to an earlier version of
    the program: stop the gateway, `telerig migrate --to N` with the newer program, then install
    the older one, whose last step is N. Readings stay: segments become rows of the hot log again.

    examples:
      telerig migrate --status                     which steps the database has, and which there are
      telerig migrate                              all of them
      telerig migrate --to 5                       back to (or up to) step 5

    exit code: 0 done, 1 the database is away or a step failed, 2 the configuration is wrong, or
    has no database
    """

    help = "bring the database's schema up to date, or back to an earlier version"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "-c", "--config", type=Path, metavar="FILE", help="configuration file (TOML)"
        )
        parser.add_argument("--to", type=int, metavar="N", help="last step to have; default: all")
        parser.add_argument("--status", action="store_true", help="change nothing, show the steps")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Migrate; give the exit code."""
        from server.config import load_config
        from server.errors import ServerError
        from server.store.direct import database_of

        try:
            config = load_config(args.config, os.environ)
            with database_of(config, os.environ) as url:
                report = asyncio.run(_migrate(url, args.to, args.status))
        except ServerError as error:
            print(f"telerig migrate: {error}", file=sys.stderr)
            return error.exit_code
        print(json.dumps(report) if args.json else _text(report))
        return 0


COMMAND = MigrateCommand()


async def _migrate(url: str, to: int | None, only_look: bool) -> dict[str, Any]:
    from server.clock import SystemClock
    from server.errors import MigrationError
    from server.store.connection import connect
    from server.store.migrate import applied_versions, load_migrations, migrate

    steps = load_migrations()
    versions = [step.version for step in steps]
    if to is not None and to not in (0, *versions):
        raise MigrationError(f"expected --to one of 0, {', '.join(map(str, versions))}; got {to}")
    connection = await connect(url)
    try:
        before = await applied_versions(connection)
        changed = 0
        if not only_look:
            changed = await migrate(connection, SystemClock(), to=to)
        applied = await applied_versions(connection)
    finally:
        await connection.close()
    return {
        "before": before[-1] if before else 0,
        "now": applied[-1] if applied else 0,
        "changed": changed,
        "steps": [
            {
                "version": step.version,
                "name": step.name,
                "applied": step.version in applied,
                "way_back": step.down is not None,
            }
            for step in steps
        ],
    }


def _text(report: dict[str, Any]) -> str:
    lines = [
        f"{'x' if step['applied'] else ' '} {step['version']:04d} {step['name']}"
        + ("" if step["way_back"] else "  (no way back)")
        for step in report["steps"]
    ]
    lines.append(
        f"schema at step {report['now']}"
        + (f", was at {report['before']}" if report["changed"] else ", nothing to do")
    )
    return "\n".join(lines)
