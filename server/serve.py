"""Runs the gateway: store, pipeline, links, API; from start to a clean stop.

`serve` starts no process, installs no signal handler and chooses no event loop: that is the
command's business (`server.commands`), so the same coroutine runs in the rig's virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator

import asyncpg
import structlog
import uvicorn

from server.app import make_app
from server.clock import Clock, SystemClock
from server.config import GatewayConfig, HttpConfig, LinkConfig
from server.config_section import Where
from server.errors import ConfigError, ListenError, ReadingsNotStored
from server.gateway import Gateway
from server.http_protocol import Limits, bounded_by
from server.links.base import Link, LinkReport
from server.links.registry import link_class
from server.links.supervisor import LinkFactory, Supervisor
from server.readings import ReadingSink
from server.store.connection import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S, SETTINGS
from server.store.hotlog import HotLog

log = structlog.get_logger("telerig.serve")

FLUSH_TIMEOUT_S = 10.0
"""How long a stop waits for the database to take what was accepted."""
LAST_FRAMES_TIMEOUT_S = 1.0
GRACEFUL_TIMEOUT_S = 3
POOL_SIZE = 2
WS_MESSAGE_BYTES = 65_536
"""What a client may say at once; the default is 16 MiB."""


async def serve(
    config: GatewayConfig,
    *,
    clock: Clock | None = None,
    stop: asyncio.Event,
    on_ready: Callable[[Gateway], None] | None = None,
) -> None:
    """Run the gateway until `stop` is set; then end the links, flush, and close.

    Args:
        config: with a database URL (`EmbeddedPostgres` gives one where none is configured).
        clock: default the process's own.
        stop: set it to end.
        on_ready: called once the API listens and the links are started.

    Raises:
        ConfigError: no database URL.
        DatabaseUnreachable, MigrationError, StoreError: the store cannot be opened.
        ListenError: the HTTP address cannot be listened on.
        ReadingsNotStored: stopped while the database was away; says how many were lost.
    """
    clock = clock if clock is not None else SystemClock()
    url = config.database.url
    if url is None:
        raise ConfigError("configuration", None, "[database] url", "none, and no embedded server")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(config.http))
        listeners = [listener]
        if config.compat.s4_port is not None:
            s4_http = HttpConfig(config.http.host, config.compat.s4_port)
            listeners.append(stack.enter_context(listen(s4_http, "[compat] s4_port")))
        boot = int.from_bytes(os.urandom(4), "big")
        hotlog = HotLog(
            url,
            device=config.device,
            boot=boot,
            clock=clock,
            vin=config.vehicle,
            signals=config.signals,
        )
        await hotlog.open()
        async with _read_pool(url) as pool:
            gateway = Gateway(config, boot, clock, hotlog, pool)
            gateway.url = address(config.http.host, listener)
            if len(listeners) > 1:
                gateway.s4_url = address(config.http.host, listeners[1])
            try:
                await _run(gateway, listeners, stop, on_ready)
            finally:
                await gateway.close()
                await hotlog.close()
    lost = gateway.pipeline.counts.pending
    if lost:
        raise ReadingsNotStored(
            f"stopped with {lost} accepted readings not stored: {gateway.pipeline.failing}"
        )
    log.info("stopped", readings=gateway.pipeline.counts.stored)


async def _run(
    gateway: Gateway,
    listeners: list[socket.socket],
    stop: asyncio.Event,
    on_ready: Callable[[Gateway], None] | None,
) -> None:
    flusher = gateway.pipeline.start()
    server = _Server(gateway)
    web = asyncio.create_task(server.serve(sockets=listeners), name="web")
    links = _start_links(gateway)
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await _started(server, web)
        log.info("listening", url=gateway.url, boot=gateway.boot, links=len(links))
        if on_ready is not None:
            on_ready(gateway)
        # None of these ends by itself but `stopped`: any other end is a failure.
        done, _ = await asyncio.wait(
            {stopped, web, flusher, *links}, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done - {stopped}:
            task.result()
    finally:
        stopped.cancel()
        await _cancel(links)
        await gateway.pipeline.stop(FLUSH_TIMEOUT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_FRAMES_TIMEOUT_S):
                await gateway.hub.drained()
        server.end()
        await asyncio.gather(web, return_exceptions=True)


def _start_links(gateway: Gateway) -> list[asyncio.Task[None]]:
    tasks = []
    for link in gateway.config.links:
        supervisor = Supervisor(
            link.name,
            link.kind,
            _factory(link, gateway),
            sink=gateway.pipeline.offer,
            clock=gateway.clock,
            observer=gateway,
        )
        gateway.supervisors[link.name] = supervisor
        tasks.append(asyncio.create_task(supervisor.run(), name=f"link {link.name}"))
    return tasks


def _factory(link: LinkConfig, gateway: Gateway) -> LinkFactory:
    cls = link_class(link.kind, Where("configuration", ("links", link.name)))

    def make(*, sink: ReadingSink, report: LinkReport) -> Link:
        made = cls(link.name, link.options, sink=sink, clock=gateway.clock, report=report)
        made.services = gateway.link_services
        return made

    return make


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task, result in zip(
        tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True
    ):
        if isinstance(result, Exception):
            log.error("link ended badly", link=task.get_name(), reason=str(result))


def _read_pool(url: str) -> asyncpg.Pool:
    """Make the pool for reads; it connects when somebody reads."""
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=POOL_SIZE,
        # No idle timers: a connection stays until it breaks.
        max_inactive_connection_lifetime=0,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=SETTINGS,
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
        listener.listen(128)
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


def address(host: str, listener: socket.socket) -> str:
    """Give the URL at which a listener is reached from this machine."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and without its tick of ten times a second."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(gateway),
                http=bounded_by(Limits(gateway.config.http.connections, gateway.clock)),
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=WS_MESSAGE_BYTES,
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=GRACEFUL_TIMEOUT_S,
            )
        )
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


async def _started(server: _Server, web: asyncio.Task[None]) -> None:
    """Wait until the API answers; raise what ended it instead."""
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait({up, web}, return_when=asyncio.FIRST_COMPLETED)
    up.cancel()
    if web.done():
        web.result()
