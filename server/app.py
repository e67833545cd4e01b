"""The HTTP API of the gateway (Starlette).

    GET /health               the process lives; always 200
    GET /ready                200 when accepted readings can be stored, else 503
    GET /api/v1/links         state, staleness and counters of each link; counts of the pipeline
    GET /api/v1/signals       the catalogue, with the newest value of each signal
    GET /api/v1/sessions      newest first; ?limit=
    GET /api/v1/readings      ?signal=&start_ns=&end_ns=&limit=&after=&device=
    GET /api/v1/live          WebSocket, see `server.live`

An error is {"error": {"expected", "found", "where"}}.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from server.catalogue import CATALOGUE, by_id, by_name
from server.errors import CatalogueError
from server.gateway import Gateway
from server.live import serve_client
from server.pipeline import STORE_ERRORS
from server.store.connection import first_line
from server.store.reader import Cursor, Filter, StoredReading, iterate_readings
from server.store.sessions import list_sessions

READINGS_LIMIT = 10_000
READINGS_DEFAULT = 1_000
SESSIONS_LIMIT = 1_000
SESSIONS_DEFAULT = 100
PROBE_TIMEOUT_S = 2.0
_INT64_MAX = 2**63 - 1

_json = msgspec.json.Encoder()


class JsonResponse(Response):
    """A response encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode the content."""
        return _json.encode(content)


class BadParameter(Exception):  # noqa: N818 (a request's, not a program's error)
    """A query parameter is wrong; answered with 400."""

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found


class Api:
    """The endpoints over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def health(self, request: Request) -> Response:
        """Say that the process lives."""
        return JsonResponse({"status": "ok", "boot": self._gateway.boot})

    async def ready(self, request: Request) -> Response:
        """Say whether accepted readings can be stored; the links are told beside it."""
        gateway = self._gateway
        reason = gateway.pipeline.failing or await self._probe()
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
        for signal in CATALOGUE:
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
        parameters = _known(request, ("limit",))
        limit = _integer(parameters, "limit", SESSIONS_DEFAULT, 1, SESSIONS_LIMIT)
        async with self._gateway.pool.acquire() as connection:
            found = await list_sessions(connection, limit)
        return JsonResponse({"sessions": found})

    async def readings(self, request: Request) -> Response:
        """Give readings by order of writing; `next` (or null) is the `after` of the next page."""
        names = ("signal", "start_ns", "end_ns", "limit", "after", "device")
        parameters = _known(request, names)
        wanted = Filter(
            _signals(request),
            _integer(parameters, "start_ns", 0, 0, _INT64_MAX),
            _integer(parameters, "end_ns", _INT64_MAX, 0, _INT64_MAX),
        )
        limit = _integer(parameters, "limit", READINGS_DEFAULT, 1, READINGS_LIMIT)
        after = _cursor(parameters)
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
        cursor = str(Cursor(last.written_ns, last.boot, last.seq)) if last is not None else None
        return JsonResponse({"readings": found, "next": cursor})

    async def live(self, socket: WebSocket) -> None:
        """Serve the live stream."""
        await serve_client(self._gateway.hub, socket)


def make_app(gateway: Gateway) -> Starlette:
    """Make the application."""
    api = Api(gateway)
    return Starlette(
        routes=[
            Route("/health", api.health),
            Route("/ready", api.ready),
            Route("/api/v1/links", api.links),
            Route("/api/v1/signals", api.signals),
            Route("/api/v1/sessions", api.sessions),
            Route("/api/v1/readings", api.readings),
            WebSocketRoute("/api/v1/live", api.live),
        ],
        exception_handlers={
            BadParameter: _bad_parameter,
            HTTPException: _http_error,
            **dict.fromkeys(STORE_ERRORS, _store_error),
        },
    )


async def _bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadParameter)
    return _error(400, error.expected, error.found, error.where)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = "a path and method of this API" if error.status_code < 500 else "an answer"
    return _error(
        error.status_code,
        expected,
        error.detail,
        f"{request.method} {request.url.path}",
        error.headers,
    )


async def _store_error(request: Request, error: Exception) -> Response:
    return _error(503, "an answer from the database", first_line(error), "database")


def _error(
    status: int, expected: str, found: str, where: str, headers: Mapping[str, str] | None = None
) -> Response:
    body = {"error": {"expected": expected, "found": found, "where": where}}
    return JsonResponse(body, status_code=status, headers=headers)


def _known(request: Request, names: tuple[str, ...]) -> Mapping[str, str]:
    for name in request.query_params:
        if name not in names:
            expected = f"one of {', '.join(names)}"
            raise BadParameter("query", expected, repr(name))
    return request.query_params


def _integer(
    parameters: Mapping[str, str], name: str, default: int, minimum: int, maximum: int
) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    expected = f"a whole number from {minimum} to {maximum}"
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadParameter(name, expected, repr(text[:40]))
    if not minimum <= int(text) <= maximum:
        raise BadParameter(name, expected, text)
    return int(text)


def _signals(request: Request) -> frozenset[int] | None:
    """Read ?signal=RPM&signal=13 (names or ids, any number); None when there is none."""
    texts = request.query_params.getlist("signal")
    if not texts:
        return None
    return frozenset(_signal(text) for text in texts)


def _signal(text: str) -> int:
    try:
        is_id = text.isascii() and text.isdigit() and len(text) < 10
        return by_id(int(text)).id if is_id else by_name(text).id
    except CatalogueError as error:
        raise BadParameter("signal", "a name or id of /api/v1/signals", str(error)) from None


def _cursor(parameters: Mapping[str, str]) -> Cursor | None:
    text = parameters.get("after")
    if text is None:
        return None
    cursor = Cursor.parse(text)
    if cursor is None:
        raise BadParameter("after", 'the "next" of an earlier answer', repr(text[:80]))
    return cursor


@asynccontextmanager
async def _closing(iterator: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await iterator.aclose()
