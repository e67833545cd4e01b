"""The command `telerig serve`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.config import GatewayConfig
    from server.store.embedded import EmbeddedPostgres

EXAMPLE = """\
With no file: device car-1, no links, embedded PostgreSQL, http://127.0.0.1:8000.

example configuration (telerig.toml):

  [gateway]
  device = "car-1"
  [links.obd]
  kind = "obd"
  port = "/dev/ttyUSB1"
  plan = [{signal = "RPM", rate_hz = 5}, {signal = "SPEED", rate_hz = 5}]
  [links.gps]
  kind = "gps"
  port = "/dev/ttyUSB0"

Every key outside [links] can be set in the environment: TELERIG_HTTP_PORT=8001,
TELERIG_DATABASE_URL=postgresql://user:password@host/name.

SIGTERM or Ctrl-C stops the links, stores what was accepted, and ends with exit code 0.
Exit code 1: something failed (database away, port busy, embedded PostgreSQL gone); 2: the
configuration is wrong.
"""


class ServeCommand:
    """`telerig serve`: a production gateway."""

    help = "run the gateway: read OBD and GPS, store in PostgreSQL, serve the API"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLE
        parser.add_argument(
            "-c", "--config", type=Path, metavar="FILE", help="configuration file (TOML)"
        )
        parser.add_argument(
            "--check", action="store_true", help="check the configuration and do nothing else"
        )

    def run(self, args: argparse.Namespace) -> int:
        """Run until a signal; give the exit code."""
        from server.config import load_config
        from server.errors import ServerError

        try:
            config = load_config(args.config, os.environ)
            if args.check:
                print(f"configuration is right: {len(config.links)} links")
                return 0
            return _serve(config)
        except ServerError as error:
            print(f"telerig serve: {error}", file=sys.stderr)
            return error.exit_code


COMMAND = ServeCommand()


def default_data_dir(env: Mapping[str, str]) -> Path:
    """Give the folder for the embedded server's data where none is configured.

    `./telerig-data` where that exists; `$XDG_STATE_HOME/telerig` where that is set; for root
    `/var/lib/telerig`, which PostgreSQL's user can enter; else `~/.local/state/telerig`.
    """
    here = Path("telerig-data")
    if here.is_dir():
        return here
    state = env.get("XDG_STATE_HOME", "")
    # XDG base directory specification: a path that is not absolute is to be ignored.
    if state.startswith("/"):
        return Path(state) / "telerig"
    if os.geteuid() == 0:
        return Path("/var/lib/telerig")
    return Path.home() / ".local" / "state" / "telerig"


def _serve(config: GatewayConfig) -> int:
    from server.logs import configure_logs

    configure_logs(format=config.log.format, level=config.log.level)
    if config.database.url is not None:
        _run(config)
        return 0
    from server.store.embedded import EmbeddedPostgres

    data_dir = config.database.data_dir or default_data_dir(os.environ)
    with EmbeddedPostgres(data_dir) as postgres:
        _run(config.with_database_url(postgres.start()), postgres)
    return 0


def _run(config: GatewayConfig, postgres: EmbeddedPostgres | None = None) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(config, postgres))


async def _until_signal(config: GatewayConfig, postgres: EmbeddedPostgres | None) -> None:
    import gc
    import signal

    from server.gateway import Gateway
    from server.serve import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # SIGHUP comes when the terminal closes; nohup has it ignored, and so it stays.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)

    def on_ready(gateway: Gateway) -> None:
        # Nothing of what was imported will ever be garbage: to look through it again and again
        # is a tenth of the work of ingest, and half of its longest delays.
        gc.collect()
        gc.freeze()
        print(f"listening on {gateway.url}", flush=True)

    if postgres is None:
        await serve(config, stop=stop, on_ready=on_ready)
        return
    async with _stops_with(postgres, stop):
        await serve(config, stop=stop, on_ready=on_ready)


@contextlib.asynccontextmanager
async def _stops_with(postgres: EmbeddedPostgres, stop: asyncio.Event) -> AsyncIterator[None]:
    """Set `stop` when the embedded server is gone, and say at the end that this was why.

    Nobody starts it again inside this process: whoever looks after the gateway starts both, and
    what the server has left is looked at as at any start.
    """
    from server.errors import EmbeddedPostgresError, ReadingsNotStored

    gone = ""

    async def watch() -> None:
        nonlocal gone
        how = await postgres.ended()
        if not stop.is_set():  # a service manager may end both at once
            gone = how
            stop.set()

    watching = asyncio.create_task(watch(), name="embedded PostgreSQL")
    lost = ""
    try:
        yield
    except ReadingsNotStored as error:
        if not gone:
            raise
        lost = f"; {error}"
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if gone:
        raise EmbeddedPostgresError(f"{gone}; start the gateway again{lost}")
