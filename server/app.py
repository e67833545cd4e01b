"""The HTTP API of the gateway (Starlette).

    GET /health               the process lives; always 200
    GET /api/v1/health        the same, with the number of WebSocket clients
    GET /ready                200 when accepted readings can be stored, else 503
    GET /api/v1/links         state, staleness and counters of each link; counts of the pipeline
    GET /api/v1/signals       the catalogue, with the newest value of each signal
    GET /api/v1/sessions      newest first; ?limit=
    GET /api/v1/readings      ?signal=&start_ns=&end_ns=&limit=&after=&device=
    GET /api/v1/live          WebSocket, see `server.live`

and, in rooms of their own: `server.devices.routes`, `server.control.routes`,
`server.compat.routes`, `server.ingest.routes`.

An error is {"error": {"expected", "found", "where"}}.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from server.answers import (
    BadParameter,
    JsonResponse,
    Refusal,
    error_response,
    iso,
    refusal_response,
)
from server.catalogue import all_signals
from server.compat.routes import CompatApi
from server.control.routes import CommandApi, command_refused
from server.devices.routes import DeviceApi, registry_refused
from server.devices.subscribe import Subscriptions
from server.errors import CommandRefused, RegistryError
from server.gateway import Gateway
from server.ingest.routes import routes as ingest_routes
from server.live import serve_client
from server.origins import guards
from server.pipeline import STORE_ERRORS
from server.request_log import RequestLog
from server.requests import cursor, integer, known, signals
from server.store.connection import first_line
from server.store.reader import Cursor, Filter, StoredReading, iterate_readings
from server.store.sessions import list_sessions

READINGS_LIMIT = 10_000
READINGS_DEFAULT = 1_000
SESSIONS_LIMIT = 1_000
SESSIONS_DEFAULT = 100
PROBE_TIMEOUT_S = 2.0
_INT64_MAX = 2**63 - 1


class Api:
    """The endpoints over one gateway."""

    def __init__(self, gateway: Gateway, compat: CompatApi) -> None:
        self._gateway = gateway
        self._compat = compat

    async def health(self, request: Request) -> Response:
        """Say that the process lives."""
        return JsonResponse({"status": "ok", "boot": self._gateway.boot})

    async def api_health(self, request: Request) -> Response:
        """Say that the process lives, when that was, and how many WebSockets are open."""
        return JsonResponse(
            {
                "status": "ok",
                "timestamp": iso(self._gateway.clock.now_ns()),
                "websocket_connections": self._gateway.hub.clients + self._compat.clients,
            }
        )

    async def ready(self, request: Request) -> Response:
        """Say whether accepted readings can be stored; the links are told beside it."""
        gateway = self._gateway
        devices = gateway.ingest.log
        # To be asked is no proof that a database takes rows: its disk may be full.
        reason = gateway.pipeline.failing or devices.failing or await self._probe()
        devices.try_again()
        links = {status.name: status.state for status in gateway.links}
        database = {"state": "failing" if reason else "ok", "reason": reason}
        body = {"ready": not reason, "database": database, "links": links}
        return JsonResponse(body, status_code=503 if reason else 200)

    async def _probe(self) -> str:
        try:
            async with self._gateway.pool.acquire(timeout=PROBE_TIMEOUT_S) as connection:
                await connection.fetchval("SELECT 1", timeout=PROBE_TIMEOUT_S)
        except STORE_ERRORS as error:
            return first_line(error)
        return ""

    async def links(self, request: Request) -> Response:
        """Give the links and the pipeline's counts."""
        gateway = self._gateway
        return JsonResponse(
            {
                "links": gateway.links,
                "pipeline": gateway.pipeline.counts,
                "live": {"clients": gateway.hub.clients, "dropped": gateway.hub.dropped},
            }
        )

    async def signals(self, request: Request) -> Response:
        """Give the catalogue; `latest` is null before the first reading."""
        gateway = self._gateway
        stale = gateway.stale
        content = []
        for signal in all_signals():
            reading = gateway.latest.get(signal.id)
            latest = None
            if reading is not None:
                latest = {
                    "time_ns": reading.time_ns,
                    "value": reading.value,
                    "state": reading.state,
                    "stale": signal.id in stale,
                }
            content.append({**msgspec.structs.asdict(signal), "latest": latest})
        return JsonResponse({"signals": content})

    async def sessions(self, request: Request) -> Response:
        """Give the newest sessions."""
        parameters = known(request, ("limit",))
        limit = integer(parameters, "limit", SESSIONS_DEFAULT, 1, SESSIONS_LIMIT)
        async with self._gateway.pool.acquire() as connection:
            found = await list_sessions(connection, limit)
        return JsonResponse({"sessions": found})

    async def readings(self, request: Request) -> Response:
        """Give readings by order of writing; `next` (or null) is the `after` of the next page."""
        names = ("signal", "start_ns", "end_ns", "limit", "after", "device")
        parameters = known(request, names)
        wanted = Filter(
            signals(request),
            integer(parameters, "start_ns", 0, 0, _INT64_MAX),
            integer(parameters, "end_ns", _INT64_MAX, 0, _INT64_MAX),
        )
        limit = integer(parameters, "limit", READINGS_DEFAULT, 1, READINGS_LIMIT)
        after = cursor(parameters)
        device = parameters.get("device", self._gateway.config.device)
        if "\0" in device:
            raise BadParameter("device", "the id of a device", repr(device[:80]))
        found: list[StoredReading] = []
        async with self._gateway.pool.acquire() as connection:
            stored = iterate_readings(connection, device, wanted, after)
            async with _closing(stored):
                async for reading in stored:
                    found.append(reading)
                    if len(found) == limit:
                        break
        last = found[-1] if len(found) == limit else None
        after = Cursor(last.written_ns, last.boot, last.seq) if last is not None else None
        return JsonResponse({"readings": found, "next": after and str(after)})

    async def live(self, socket: WebSocket) -> None:
        """Serve the live stream."""
        await serve_client(self._gateway.hub, socket)


def make_app(gateway: Gateway) -> Starlette:
    """Make the application."""
    compat = CompatApi(gateway)
    api = Api(gateway, compat)
    return Starlette(
        routes=[
            *ingest_routes(gateway),  # first: routes are searched in order, and these are busy
            Route("/health", api.health),
            Route("/api/v1/health", api.api_health),
            Route("/ready", api.ready),
            Route("/api/v1/links", api.links),
            Route("/api/v1/signals", api.signals),
            Route("/api/v1/sessions", api.sessions),
            Route("/api/v1/readings", api.readings),
            WebSocketRoute("/api/v1/live", api.live),
            *DeviceApi(gateway).routes,
            *Subscriptions(gateway).routes,
            *CommandApi(gateway).routes,
            *compat.routes,
        ],
        middleware=_middleware(gateway),
        exception_handlers={
            Refusal: refusal_response,
            RegistryError: registry_refused,
            CommandRefused: command_refused,
            HTTPException: _http_error,
            **dict.fromkeys(STORE_ERRORS, _store_error),
        },
    )


def _middleware(gateway: Gateway) -> list[Middleware]:
    log = [Middleware(RequestLog, clock=gateway.clock)]
    is_logged = gateway.config.log.level == "debug"
    return [*(log if is_logged else []), *guards(gateway.config.http.origins)]


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = "a path and method of this API" if error.status_code < 500 else "an answer"
    return error_response(
        error.status_code,
        expected,
        error.detail,
        f"{request.method} {request.url.path}",
        error.headers,
    )


async def _store_error(request: Request, error: Exception) -> Response:
    return error_response(503, "an answer from the database", first_line(error), "database")


@asynccontextmanager
async def _closing(iterator: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await iterator.aclose()
