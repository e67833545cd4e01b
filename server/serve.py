"""Runs the gateway: store, pipeline, links, API; from start to a clean stop.

`serve` starts no process, installs no signal handler and chooses no event loop: that is the
command's business (`server.commands`), so the same coroutine runs in the rig's virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import structlog
import uvicorn

from server.app import make_app
from server.clock import Clock, SystemClock
from server.config import DatabaseConfig, GatewayConfig, HttpConfig
from server.errors import ConfigError, ListenError, ReadingsNotStored, StoreError
from server.gateway import Gateway
from server.http_protocol import Limits, bounded_by
from server.journal import Journal
from server.links.running import RunningLinks
from server.live.protocol import LiveProtocol
from server.operation.live_only import NoHotLog, NoPool
from server.operation.reload import Reload, reload_forever
from server.operation.tls import make_context
from server.store.connection import (
    COMMAND_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    DATABASE_ERRORS,
    SETTINGS,
    PlainConnection,
    first_line,
)
from server.store.hotlog import HotLog

log = structlog.get_logger("telerig.serve")

FLUSH_TIMEOUT_S = 10.0
"""How long a stop waits for the database to take what was accepted."""
LAST_FRAMES_TIMEOUT_S = 1.0
GRACEFUL_TIMEOUT_S = 3
BACKLOG = 4096
"""Connections that wait to be accepted; the kernel's `net.core.somaxconn` bounds it. A fleet that
comes back after an outage comes at once, and who finds no room tries again after a second at the
earliest."""
WS_MESSAGE_BYTES = 65_536
"""What a client may say at once; the default is 16 MiB."""


async def serve(
    config: GatewayConfig,
    *,
    clock: Clock | None = None,
    stop: asyncio.Event,
    on_ready: Callable[[Gateway], None] | None = None,
    reload: Reload | None = None,
) -> None:
    """Run the gateway until `stop` is set; then end the links, flush, and close.

    Args:
        config: with a database URL (`EmbeddedPostgres` gives one where none is configured).
        clock: default the process's own.
        stop: set it to end.
        on_ready: called once the API listens and the links are started.
        reload: orders to read the configuration again.

    Raises:
        ConfigError: no database URL, or TLS files that are none.
        DatabaseUnreachable, MigrationError, StoreError: the store cannot be opened.
        ListenError: the HTTP address cannot be listened on.
        ReadingsNotStored: stopped while the database was away; says how many were lost.
    """
    clock = clock if clock is not None else SystemClock()
    url = config.database.url or ""
    if not url and config.database.enabled:
        raise ConfigError("configuration", None, "[database] url", "none, and no embedded server")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(config.http))
        listeners = [listener]
        if config.compat.s4_port is not None:
            s4_http = HttpConfig(config.http.host, config.compat.s4_port)
            listeners.append(stack.enter_context(listen(s4_http, "[compat] s4_port")))
        boot = int.from_bytes(os.urandom(4), "big")
        hotlog = _hot_log(config, boot, clock)
        await hotlog.open()
        async with _read_pool(url, config.database) as pool:
            gateway = Gateway(config, boot, clock, hotlog, pool, _journal(config, boot))
            gateway.url = address(config.http.host, listener, is_tls=config.http.tls is not None)
            if len(listeners) > 1:
                gateway.s4_url = address(
                    config.http.host, listeners[1], is_tls=config.http.tls is not None
                )
            try:
                await _open(gateway)
                await _run(gateway, listeners, stop, on_ready, reload)
            finally:
                await gateway.close()
                await hotlog.close()
    lost = gateway.pipeline.counts.pending
    if lost:
        raise ReadingsNotStored(
            f"stopped with {lost} accepted readings not stored: {gateway.pipeline.failing}"
        )
    log.info("stopped", readings=gateway.pipeline.counts.stored)


def _journal(config: GatewayConfig, boot: int) -> Journal | None:
    folder = config.journal.folder
    if folder is None and config.database.data_dir is not None:
        folder = config.database.data_dir / "journal"
    if folder is None or not config.journal.max_bytes or not config.database.enabled:
        return None
    return Journal(folder / config.device, config.journal.max_bytes, boot)


async def _open(gateway: Gateway) -> None:
    """Open it.

    Raises:
        StoreError: the database does not let it: its disk is full, it went away.
    """
    try:
        await gateway.open()
    except StoreError:
        raise
    except DATABASE_ERRORS as error:
        raise StoreError(f"the database refuses at the start: {first_line(error)}") from error


def _hot_log(config: GatewayConfig, boot: int, clock: Clock) -> HotLog:
    if not config.database.enabled:
        return NoHotLog(config.device, boot, clock)
    return HotLog(
        config.database.url or "",
        device=config.device,
        boot=boot,
        clock=clock,
        vin=config.vehicle,
        signals=config.signals,
    )


async def _run(
    gateway: Gateway,
    listeners: list[socket.socket],
    stop: asyncio.Event,
    on_ready: Callable[[Gateway], None] | None,
    reload: Reload | None,
) -> None:
    keepers = gateway.pipeline.start()
    server = _Server(gateway)
    web = asyncio.create_task(server.serve(sockets=listeners), name="web")
    links = RunningLinks(gateway)
    links.start(gateway.config.links)
    reloading = asyncio.create_task(
        reload_forever(reload, gateway, links, server.tls)
        if reload is not None
        else asyncio.Event().wait(),
        name="reload",
    )
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await _started(server, web)
        log.info("listening", url=gateway.url, boot=gateway.boot, links=len(links))
        if on_ready is not None:
            on_ready(gateway)
        # None of these ends by itself but `stopped`: any other end is a failure.
        ends: set[asyncio.Future[Any]] = {stopped, web, *keepers, reloading, links.failed}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
    finally:
        stopped.cancel()
        reloading.cancel()
        await asyncio.gather(reloading, return_exceptions=True)
        # First of all: another gateway takes over while this one writes what it has accepted.
        await gateway.instances.leave()
        await links.stop()
        await gateway.pipeline.stop(FLUSH_TIMEOUT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_FRAMES_TIMEOUT_S):
                await gateway.hub.drained()
        server.end()
        await asyncio.gather(web, return_exceptions=True)


def _read_pool(url: str, database: DatabaseConfig) -> asyncpg.Pool:
    """Make the pool for reads; it connects when somebody reads."""
    if not database.enabled:
        return NoPool()
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=database.pool_size + database.max_overflow,
        # No idle timers: a connection stays until it breaks.
        max_inactive_connection_lifetime=0,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=SETTINGS,
        connection_class=PlainConnection,
    )


def listen(http: HttpConfig, key: str = "[http] port") -> socket.socket:
    """Bind and listen on an address; `key` is where the configuration has its port.

    Raises:
        ListenError: busy port, unknown host, or a port that needs more rights; in one line.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(_cannot_listen(http, key, error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ListenError(_cannot_listen(http, key, error)) from error
    return listener


def _cannot_listen(http: HttpConfig, key: str, error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return (
        f"cannot listen on {http.host} port {http.port}: {reason}; "
        f"choose another {key} (0 takes any free one) or host"
    )


def address(host: str, listener: socket.socket, *, is_tls: bool = False) -> str:
    """Give the URL at which a listener is reached from this machine."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{shown}]:{port}" if ":" in shown else f"{scheme}://{shown}:{port}"


class _Config(uvicorn.Config):
    """uvicorn's settings with a TLS context of ours, whose certificate can be exchanged."""

    tls: ssl.SSLContext | None = None

    def load(self) -> None:
        """Do what uvicorn does."""
        super().load()
        self.ssl = self.tls


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and without its tick of ten times a second."""

    def __init__(self, gateway: Gateway) -> None:
        files = gateway.config.http.tls
        self.tls = None if files is None else make_context(*files)
        gateway.http_limits = Limits(gateway.config.http.connections, gateway.clock)
        super().__init__(
            _Config(
                make_app(gateway),
                http=bounded_by(gateway.http_limits),
                ws=LiveProtocol,
                ws_per_message_deflate=False,
                ws_max_size=WS_MESSAGE_BYTES,
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=gateway.config.http.keep_alive_s,
                timeout_graceful_shutdown=GRACEFUL_TIMEOUT_S,
            )
        )
        _tls_of(self.config).tls = self.tls
        self.up = asyncio.Event()
        self._ended = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        self.up.set()
        await self._ended.wait()

    def end(self) -> None:
        """Close the connections and let `serve` return."""
        self.should_exit = True
        self._ended.set()


def _tls_of(config: uvicorn.Config) -> _Config:
    assert isinstance(config, _Config)
    return config


async def _started(server: _Server, web: asyncio.Task[None]) -> None:
    """Wait until the API answers; raise what ended it instead."""
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait({up, web}, return_when=asyncio.FIRST_COMPLETED)
    up.cancel()
    if web.done():
        web.result()
