"""The commands `telerig migrate` and `telerig compact`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.config import GatewayConfig


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


class CompactCommand:
    """Compact the database of gateways that do not do it themselves.

    It reads the configuration of a gateway: [database] url, [store], [log], and [instances] where
    there are several; the gateways have [store] compactor = "elsewhere". Start it on two machines:
    one works, the other one waits. telerig instances shows both.

    examples:
      telerig compact --config /etc/telerig/gw-a.toml
      telerig compact --config /etc/telerig/gw-a.toml --name compactor-2

    SIGTERM or Ctrl-C ends it at once: what was in the middle is as if it had not begun.

    exit code: 0 ended by a signal; 1 the database is away, its schema is not that of this version,
    or another one has the name; 2 the configuration is wrong
    """

    help = "compact the database in a process of its own, for gateways that do not"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "-c", "--config", type=Path, metavar="FILE", help="configuration file (TOML)"
        )
        parser.add_argument(
            "--name",
            help="among several gateways (default: [instances] name with -compactor behind it)",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Run until a signal; give the exit code."""
        from server.config import load_config
        from server.errors import ServerError
        from server.logs import configure_logs

        try:
            config = load_config(args.config, os.environ)
            check_compactor(config, args.name)
            configure_logs(format=config.log.format, level=config.log.level)
            _compact(config, args.name)
        except ServerError as error:
            print(f"telerig compact: {error}", file=sys.stderr)
            return error.exit_code
        return 0


COMPACT = CompactCommand()
NICE = 5
"""On a machine that gateways have too, requests go first: compaction can wait for minutes."""


def check_compactor(config: GatewayConfig, name: str | None) -> None:
    """See whether a process can compact beside gateways of this configuration.

    Raises:
        ConfigError: it cannot.
    """
    from server.errors import ConfigError
    from server.instances.config import NAME_WORDS, is_name
    from server.store.config import ELSEWHERE

    expected = found = ""
    if not config.database.enabled:
        expected, found = "[database] enabled = true", "false: nothing is kept"
    elif config.database.url is None:
        expected, found = "[database] url: an embedded server is its gateway's own", "none"
    elif config.store.compactor != ELSEWHERE:
        expected = f'[store] compactor = "{ELSEWHERE}"'
        found = f'"{config.store.compactor}": gateways do it'
    elif name is not None and not is_name(name):
        expected, found = NAME_WORDS, repr(name[:80])
    elif name is not None and config.instances is None:
        expected, found = "[instances] where there is a --name", "a gateway alone"
    if expected:
        raise ConfigError("configuration", None, expected, found)


def _compact(config: GatewayConfig, name: str | None) -> None:
    import uvloop

    os.nice(NICE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(config, name))


async def _until_signal(config: GatewayConfig, name: str | None) -> None:
    import signal

    from server.operation.notify import Notifier
    from server.store.compact import compact

    stop = asyncio.Event()
    notifier = Notifier(os.environ)

    def end() -> None:
        notifier.stopping("leaves the rest to its successor")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await compact(config, name=name, stop=stop, tell=notifier.ready)
    finally:
        notifier.close()
