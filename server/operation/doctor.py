"""The command `telerig doctor`: what stands in the gateway's way here, and what to do."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import ConfigError
from server.operation.checks.finding import FAIL, OK, WARN, Check, Finding

if TYPE_CHECKING:
    from server.config import GatewayConfig


class DoctorCommand:
    """Look for what stands in the gateway's way on this machine, and say what to do.

    It reads the configuration as `telerig serve` does, changes nothing, and may run beside the
    gateway, best as the user that the gateway runs as.

    looks at: configuration, HTTP port, database and its schema, other gateways and their bus, disk,
    clock, serial ports and the right to open them, CAN interfaces, TLS certificate, secrets, file
    limit

    exit code: 0 nothing fails, 1 something does, 2 the configuration is wrong
    """

    help = "check ports, permissions, database, clock, TLS, disk; say what to do"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "-c", "--config", type=Path, metavar="FILE", help="configuration file (TOML)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Look at everything; give the exit code."""
        from server.config import load_config

        code = 0
        try:
            config = load_config(args.config, os.environ)
        except ConfigError as error:
            findings = [Finding("configuration", FAIL, str(error), "correct it, then look again")]
            code = error.exit_code
        else:
            findings = list(examine(config, os.environ))
        failed = any(finding.state == FAIL for finding in findings)
        if args.json:
            print(
                json.dumps({"ok": not failed, "findings": [asdict(f) for f in findings]}, indent=2)
            )
        else:
            print("\n".join(finding.lines for finding in findings))
        return code or int(failed)


COMMAND = DoctorCommand()


def examine(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything that a configuration needs of this machine."""
    from server.operation.checks import database, http, instances, links, machine

    names = ", ".join(f"{link.name} ({link.kind})" for link in config.links) or "none"
    yield Finding("configuration", OK, f"right; links: {names}")
    for note in config.notes:
        yield Finding("environment", WARN, note)
    checks: tuple[Check, ...] = (
        http.port,
        database.database,
        instances.instances,
        machine.disk,
        machine.clock,
        links.links,
        http.tls,
        http.secrets,
        machine.files,
    )
    for check in checks:
        try:
            yield from check(config, env)
        except Exception as error:  # noqa: BLE001 (one look that fails must not hide the others)
            found = f"cannot be looked at: {type(error).__name__}: {error}"
            yield Finding(check.__name__, FAIL, found)
