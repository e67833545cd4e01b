"""`telerig view`: one uvicorn with the pages, the API of runs, and the way to a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from reports.view.config import ViewConfig
from reports.view.errors import ViewError
from reports.view.hosts import HostGuard
from reports.view.mount import Pages
from reports.view.problems import Boundary, NotFound
from reports.view.proxy import GatewayAddress, Proxy

BACKLOG = 128
MOST_PORTS = 65_535
GRACEFUL_S = 1
WS_MESSAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """What `telerig view` is to show, and where.

    Attributes:
        runs: folder of runs; None: none.
        gateway: whose API is proxied; None: none.
        host: to listen on.
        port: likewise; 0 takes any free one.
        stop: ends the run of a folder, where this process has started it.
    """

    runs: Path | None
    gateway: GatewayAddress | None
    host: str
    port: int
    stop: Callable[[Path], bool] | None = None


def serve(wanted: Wanted, told: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `told` gets the address once it listens.

    Raises:
        ViewError: no such folder, or the address cannot be listened on.
    """
    if wanted.runs is not None and not wanted.runs.is_dir():
        raise ViewError(
            f"expected a folder of runs, found no folder {str(wanted.runs)!r}; record a run there "
            "(telerig run FILE), name another folder, or a gateway (--gateway URL)",
            usage=True,
        )
    with listening(wanted.host, wanted.port) as listener:
        app = make_app(wanted)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="on",
                log_config=None,
                log_level="critical",  # what is worth a line, `Boundary` says
                access_log=False,
                server_header=False,
                ws_max_size=WS_MESSAGE_BYTES,
                # To this machine compression costs more than it saves.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=GRACEFUL_S,
            )
        )
        told(address(wanted.host, listener))
        asyncio.run(_until_signal(server, listener))


async def _until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True

    # uvicorn's own handlers would raise the signal once more at the end.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    await server.serve(sockets=[listener])


def make_app(wanted: Wanted) -> ASGIApp:
    """Make the application: runs first, then the gateway's API, then the pages."""
    config = ViewConfig(
        runs=wanted.runs is not None,
        gateway=wanted.gateway is not None,
        title=_title(wanted),
        version=version("telerig"),
    )
    rest: ASGIApp = NotFound() if wanted.gateway is None else Proxy(wanted.gateway)
    routes = [] if wanted.runs is None else run_routes(wanted.runs, wanted.stop)
    app = Starlette(routes=routes)
    app.router.default = Pages(config, rest)
    return Boundary(HostGuard(app, wanted.host))


def _title(wanted: Wanted) -> str:
    gateway = "" if wanted.gateway is None else wanted.gateway.shown
    folder = "" if wanted.runs is None else wanted.runs.name or str(wanted.runs)
    return " · ".join(filter(None, (folder, gateway)))


def run_routes(folder: Path, stop: Callable[[Path], bool] | None = None) -> list[BaseRoute]:
    """Give the routes of `/api/runs`.

    Raises:
        ViewError: what reads records is not installed.
    """
    try:
        from reports.runs.routes import make_routes
    except ModuleNotFoundError as error:
        raise ViewError(
            f"expected the package {error.name!r}, which reads records, found none; install it: "
            "pip install 'telerig[view,rig]', or show a gateway alone: telerig view --gateway URL",
            usage=True,
        ) from error
    return list(make_routes(folder, stop))


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address around a block.

    Raises:
        ViewError: busy port, unknown host, or a port that needs more rights; in one line.
    """
    if not 0 <= port <= MOST_PORTS:
        raise ViewError(f"--port: expected 0 to {MOST_PORTS}, found {port}", usage=True)
    with contextlib.ExitStack() as stack:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ViewError(
                f"cannot listen on {host} port {port}: {reason}; "
                "choose another --port (0 takes any free one) or --host"
            ) from error
        listener.setblocking(False)
        yield listener


def address(host: str, listener: socket.socket) -> str:
    """Give the URL at which a listener is reached from this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    port = listener.getsockname()[1]
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
