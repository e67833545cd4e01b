"""The command `telerig serve`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
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

SIGTERM or Ctrl-C stops the links, stores what was accepted, and ends with exit code 0. SIGHUP
reads the configuration again (links, log, TLS certificate); of a gateway that was started in a
terminal it is the end of that terminal, and stops it.
Exit code 1: something failed (database away, port busy, embedded PostgreSQL gone); 2: the
configuration is wrong.
"""

LOOKS_FOR_GARBAGE_AFTER = 50_000
"""So many new objects more than went away; Python's own 700 are fewer than those of the requests
that share a commit. None of these is garbage, all of them would be looked through again and again:
a fleet's gateway spent a quarter of its time so."""


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
        parser.add_argument("--host", help="address to listen on ([http] host)")
        parser.add_argument("--port", type=int, help="port to listen on ([http] port)")

    def run(self, args: argparse.Namespace) -> int:
        """Run until a signal; give the exit code."""
        from server.config import load_config
        from server.errors import ServerError

        env = _with_arguments(args, os.environ)

        def load() -> GatewayConfig:
            return load_config(args.config, env)

        try:
            config = load()
            if args.check:
                _check_files(config)
                print(f"configuration is right: {len(config.links)} links")
                return 0
            return _serve(config, load)
        except ServerError as error:
            print(f"telerig serve: {error}", file=sys.stderr)
            return error.exit_code


COMMAND = ServeCommand()


def _check_files(config: GatewayConfig) -> None:
    """See whether the files that a configuration names are what it says.

    Raises:
        ConfigError: one is not.
    """
    if config.http.tls is not None:
        from server.operation.tls import make_context

        make_context(*config.http.tls)


def _with_arguments(args: argparse.Namespace, env: Mapping[str, str]) -> Mapping[str, str]:
    """Put what the command line says over the environment."""
    given = {
        "TELERIG_HTTP_HOST": getattr(args, "host", None),
        "TELERIG_HTTP_PORT": getattr(args, "port", None),
    }
    return {**env, **{name: str(value) for name, value in given.items() if value is not None}}


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


def _serve(config: GatewayConfig, load: Callable[[], GatewayConfig]) -> int:
    from server.logs import configure_logs

    configure_logs(format=config.log.format, level=config.log.level)
    _tell(config)
    if config.database.url is not None or not config.database.enabled:
        _run(config, load)
        return 0
    from server.store.embedded import EmbeddedPostgres

    data_dir = config.database.data_dir or default_data_dir(os.environ)
    with EmbeddedPostgres(data_dir) as postgres:
        url = postgres.start()

        def on_it(config: GatewayConfig) -> GatewayConfig:
            return config.with_database_url(url, data_dir)

        _run(on_it(config), lambda: on_it(load()), postgres)
    return 0


def _tell(config: GatewayConfig) -> None:
    """Say what the environment had to say, and what will not happen."""
    import structlog

    log = structlog.get_logger("telerig.serve")
    if config.taken:
        log.info("taken from the environment", variables=", ".join(config.taken))
    for note in config.notes:
        log.warning("environment", note=note)
    if not config.database.enabled:
        log.warning("live only: nothing is kept", set_by="[database] enabled = false")


def _run(
    config: GatewayConfig,
    load: Callable[[], GatewayConfig],
    postgres: EmbeddedPostgres | None = None,
) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(config, load, postgres))


async def _until_signal(
    config: GatewayConfig,
    load: Callable[[], GatewayConfig],
    postgres: EmbeddedPostgres | None,
) -> None:
    import gc
    import signal

    from server.gateway import Gateway
    from server.operation.notify import Notifier
    from server.operation.reload import Reload
    from server.serve import serve

    stop = asyncio.Event()
    notifier = Notifier(os.environ)
    url = ""

    def end() -> None:
        notifier.stopping("storing what was accepted")
        stop.set()

    reload = Reload(load, notifier.reloading, lambda: notifier.ready(f"listening on {url}"))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    # nohup has SIGHUP ignored, and so it stays.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, end if _has_terminal() else reload.ask)

    def on_ready(gateway: Gateway) -> None:
        nonlocal url
        url = gateway.url
        # Nothing of what was imported will ever be garbage: to look through it again and again
        # is a tenth of the work of ingest, and half of its longest delays.
        gc.collect()
        gc.freeze()
        gc.set_threshold(LOOKS_FOR_GARBAGE_AFTER)
        notifier.ready(f"listening on {url}")
        print(f"listening on {url}", flush=True)

    try:
        if postgres is None:
            await serve(config, stop=stop, on_ready=on_ready, reload=reload)
            return
        async with _stops_with(postgres, stop):
            await serve(config, stop=stop, on_ready=on_ready, reload=reload)
    finally:
        notifier.close()


def _has_terminal() -> bool:
    """Tell whether a terminal's end would send SIGHUP to this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


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
