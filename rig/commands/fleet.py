"""`telerig fleet`: thousands of light vehicles against gateways that run."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.commands.arguments import count, instant, positive, seed, whole
from rig.errors import RigError

if TYPE_CHECKING:
    from rig.fleet.check import Checked
    from rig.fleet.drive import FleetDrive
    from rig.fleet.spec import FleetSpec

DEFAULT_GATEWAY = "http://127.0.0.1:8000"
SECRET_VARIABLE = "TELERIG_API_SECRET"
PROGRESS_S = 1.0
EXIT_BAD = 1


class FleetUsageError(RigError):
    """The options do not make a fleet."""

    usage = True


class FleetCommand:
    """Drive thousands of light vehicles against running gateways, and check what they stored.

    A light vehicle has no firmware and no bus: it sends packets of sampled drives, as an edge
    logger sends them over HTTP, keeps them until they are acknowledged, and comes back after
    failures with growing pauses. Of several gateways it takes the next one after a failure.

    examples:
      telerig fleet --vehicles 500 --for 1min --secret SECRET
      telerig fleet --vehicles 10000 --for 10min --gateway http://10.0.0.5:8000 --secret SECRET
      telerig fleet --gateway http://10.0.0.5:8000,http://10.0.0.6:8000 --database postgresql://…
      telerig fleet --vehicles 2000 --for 5min --outage 60s+30s --share 80 --database URL

    Devices are registered through the first gateway with the secret of its API (option or
    TELERIG_API_SECRET), or without one written into --database. With --database, what was
    acknowledged is compared with what is stored, once the fleet stands still.

    exit code: 0 all is well, 1 something is lost, doubled, out of order or wrong, or was never
    acknowledged, 2 an option is wrong
    """

    help = "drive thousands of light vehicles against running gateways"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--vehicles", type=count, default=200, metavar="N", help="how many (200)"
        )
        parser.add_argument(
            "--for",
            dest="for_s",
            type=instant,
            default=60.0,
            metavar="TIME",
            help="how long (60 s)",
        )
        parser.add_argument(
            "--gateway",
            default=DEFAULT_GATEWAY,
            metavar="URL[,URL]",
            help=f"where gateways, or a balancer, listen ({DEFAULT_GATEWAY})",
        )
        parser.add_argument("--secret", metavar="TEXT", help=f"of the API (${SECRET_VARIABLE})")
        parser.add_argument(
            "--database", metavar="URL", help="of the gateways: to register, and to check"
        )
        parser.add_argument(
            "--rate", type=positive, default=1.0, metavar="HZ", help="rows a second (1)"
        )
        parser.add_argument("--signals", type=count, default=20, metavar="N", help="of a row (20)")
        parser.add_argument(
            "--batch", type=instant, default=10.0, metavar="TIME", help="of a packet (10 s)"
        )
        parser.add_argument(
            "--wire", choices=("uplink", "columns"), default="uplink",
            help="codec packets of edge loggers, or protobuf columns (uplink)",
        )  # fmt: skip
        parser.add_argument(
            "--models", type=count, default=16, metavar="N", help="different drives (16)"
        )
        parser.add_argument(
            "--lap", type=instant, default=600.0, metavar="TIME",
            help="of a drive; then each vehicle starts anew, with another boot (600 s)",
        )  # fmt: skip
        parser.add_argument(
            "--outage", metavar="AT+TIME", help="the network is gone: '60s+30s' (never)"
        )
        parser.add_argument(
            "--share", type=whole(1, 100), default=100, metavar="PERCENT",
            help="of the vehicles that the outage strikes (100)",
        )  # fmt: skip
        parser.add_argument(
            "--compare", type=whole(0), default=50, metavar="N",
            help="vehicles that are compared value by value (50)",
        )  # fmt: skip
        parser.add_argument(
            "--prefix", default="fleet", metavar="NAME", help="of the devices' ids (fleet)"
        )
        parser.add_argument(
            "--record", type=Path, metavar="FILE", help="keep what was acknowledged (.npz)"
        )
        parser.add_argument(
            "--seed", type=seed, default=None, metavar="N",
            help="of drives, boots and jitter (another one each time)",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="figures as one JSON object")

    def run(self, arguments: argparse.Namespace) -> int:
        return _loop_runner()(_run(arguments))


def _loop_runner() -> Callable[[Coroutine[Any, Any, int]], int]:
    """Return what runs a coroutine: on uvloop where it is there, which takes half the CPU."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _run(arguments: argparse.Namespace) -> int:
    import secrets

    from rig.fleet.build import models_of
    from rig.fleet.drive import FleetDrive
    from rig.fleet.driver import Target
    from rig.fleet.spec import FleetSpec

    gateways = [url for url in arguments.gateway.split(",") if url]
    for url in gateways:
        Target.of(url)
    spec = FleetSpec(
        vehicles=arguments.vehicles,
        rate_hz=arguments.rate,
        signals=arguments.signals,
        batch_s=arguments.batch,
        models=arguments.models,
        wire=arguments.wire,
        lap_s=arguments.lap,
        prefix=arguments.prefix,
    )
    outage = _outage(arguments.outage)
    chosen = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    _say(arguments, f"{spec.vehicles} vehicles, seed {chosen}: making {spec.models} drives")
    models = models_of(spec, chosen)
    _say(arguments, "registering devices")
    keys = await _keys(arguments, spec, gateways, chosen)
    checked = None
    async with FleetDrive(spec, gateways, keys, seed=chosen, models=models) as drive:
        await _drive(drive, arguments, outage)
        drained = await drive.finish()
        figures = drive.figures()
    if arguments.record is not None:
        drive.record.save(arguments.record)
    if arguments.database:
        _say(arguments, "comparing with the database")
        checked = await drive.check(arguments.database, arguments.compare)
    _print(arguments, figures, checked)
    bad = not drained or figures["packets_refused"] or (checked and not checked.is_good)
    return EXIT_BAD if bad else 0


async def _keys(
    arguments: argparse.Namespace, spec: FleetSpec, gateways: list[str], seed: int
) -> dict[str, str]:
    import os

    from rig.fleet.build import register_at, register_in
    from server.devices.registry import REFRESH_S

    secret = arguments.secret or os.environ.get(SECRET_VARIABLE)
    if secret:
        return await register_at(gateways[0], secret, spec.devices)
    if not arguments.database:
        raise FleetUsageError(
            f"expected --secret, ${SECRET_VARIABLE} or --database, found none: devices must be "
            "registered before they send; the secret is [api] secret of the gateway"
        )
    keys = await register_in(arguments.database, spec.devices, seed)
    await asyncio.sleep(REFRESH_S + 1.0)  # until every gateway has read them
    return keys


def _outage(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    at, plus, lasts = text.partition("+")
    try:
        if plus:
            return instant(at), instant(lasts)
    except argparse.ArgumentTypeError:
        pass
    raise FleetUsageError(f"--outage: expected a time and how long, '60s+30s', found {text!r}")


async def _drive(
    drive: FleetDrive, arguments: argparse.Namespace, outage: tuple[float, float] | None
) -> None:
    loop = asyncio.get_running_loop()
    until_s = drive.started_s + arguments.for_s
    if outage is not None:
        begin_s = drive.started_s + outage[0]

        def strike() -> None:
            loop.call_at(begin_s + outage[1], drive.driver.outage(arguments.share / 100.0))

        loop.call_at(begin_s, strike)
    before = 0
    while loop.time() < until_s:
        await asyncio.sleep(min(PROGRESS_S, max(0.0, until_s - loop.time())))
        now = sum(drive.record.requests_by_second.values())
        _say(
            arguments,
            f"{loop.time() - drive.started_s:6.0f} s  {now - before:6} requests/s  "
            f"{len(drive.record):9} packets acknowledged  {drive.driver.waiting:7} wait",
            "\r" if sys.stderr.isatty() else "\n",
        )
        before = now


def _say(arguments: argparse.Namespace, text: str, end: str = "\n") -> None:
    if not arguments.json:
        print(text, end=end, file=sys.stderr, flush=True)


def _print(arguments: argparse.Namespace, figures: dict[str, Any], checked: Checked | None) -> None:
    found: dict[str, Any] = {} if checked is None else {
        "stored": checked.stored, "missing": checked.missing, "doubled": checked.doubled,
        "out_of_order": checked.out_of_order, "compared": checked.compared,
        "wrong": checked.wrong,
    }  # fmt: skip
    examples = [] if checked is None else checked.examples
    if arguments.json:
        found |= {"examples": examples} if examples else {}
        json.dump({**figures, **({"check": found} if checked else {})}, sys.stdout, indent=1)
        print()
        return
    for name, value in {**figures, **found}.items():
        if isinstance(value, dict):
            text = ", ".join(f"{status}: {n}" for status, n in value.items())
        else:
            text = f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
        print(f"{name.replace('_', ' '):24} {text:>16}")
    for example in examples:
        print(example)


COMMAND = FleetCommand()
