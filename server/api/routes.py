"""What the gateway says about itself: health, readiness, links, signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from server.answers import JsonResponse, iso
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.catalogue import Signal, all_signals
from server.links.supervisor import LinkStatus
from server.operation.live_only import REASON as LIVE_ONLY
from server.pipeline import PipelineCounts
from server.readings import State
from server.store.connection import STORE_ERRORS, first_line

if TYPE_CHECKING:
    from server.compat.routes import CompatApi
    from server.gateway import Gateway

PROBE_TIMEOUT_S = 2.0


class Health(msgspec.Struct, frozen=True):
    """The process lives; `boot` is the number of its run."""

    status: str
    boot: int


class ApiHealth(msgspec.Struct, frozen=True):
    """The process lives, when that was, and how many WebSockets are open."""

    status: str
    timestamp: str
    websocket_connections: int


class DatabaseState(msgspec.Struct, frozen=True):
    """Whether commits succeed: `ok` or `failing`, and why."""

    state: str
    reason: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether accepted readings can be stored; states of the links by name."""

    ready: bool
    database: DatabaseState
    links: dict[str, str]


class LiveCounts(msgspec.Struct, frozen=True):
    """Clients of the live stream, and frames that slow ones did not get."""

    clients: int
    dropped: int


class Links(msgspec.Struct, frozen=True):
    """The links, what became of their readings, and the live stream."""

    links: list[LinkStatus]
    pipeline: PipelineCounts
    live: LiveCounts


class Latest(msgspec.Struct, frozen=True):
    """The newest reading of a signal of the gateway's own links."""

    time_ns: int
    value: float | None
    state: State
    stale: bool


class ShownSignal(Signal, frozen=True, kw_only=True):
    """A signal of the catalogue; `latest` null before its first reading."""

    latest: Latest | None


class Signals(msgspec.Struct, frozen=True):
    """The catalogue."""

    signals: list[ShownSignal]


def endpoints(gateway: Gateway, compat: CompatApi) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    api = _Api(gateway, compat)
    return [
        Endpoint(
            "GET",
            "/health",
            api.health,
            role=Role.PUBLIC,
            summary="Say that the process lives",
            tag="gateway",
            answer=Health,
        ),
        Endpoint(
            "GET",
            "/api/v1/health",
            api.api_health,
            role=Role.PUBLIC,
            summary="Say that the process lives, with the time and its WebSockets",
            tag="gateway",
            answer=ApiHealth,
        ),
        Endpoint(
            "GET",
            "/ready",
            api.ready,
            role=Role.PUBLIC,
            summary="Say whether accepted readings can be stored",
            description="503 from a commit that fails (database away, disk full) until one"
            " succeeds; the body is the same.",
            tag="gateway",
            answer=Readiness,
            also_answers=(503,),
        ),
        Endpoint(
            "GET",
            "/api/v1/links",
            api.links,
            role=Role.VIEWER,
            summary="Give state, staleness and counters of each link",
            tag="gateway",
            answer=Links,
        ),
        Endpoint(
            "GET",
            "/api/v1/signals",
            api.signals,
            role=Role.VIEWER,
            summary="Give the catalogue of signals, with the newest values of the own links",
            tag="gateway",
            answer=Signals,
        ),
    ]


class _Api:
    def __init__(self, gateway: Gateway, compat: CompatApi) -> None:
        self._gateway = gateway
        self._compat = compat

    async def health(self, call: Call[None, None]) -> Health:
        return Health("ok", self._gateway.boot)

    async def api_health(self, call: Call[None, None]) -> ApiHealth:
        sockets = self._gateway.seats.taken
        return ApiHealth("ok", iso(self._gateway.clock.now_ns()), sockets)

    async def ready(self, call: Call[None, None]) -> Response:
        gateway = self._gateway
        if not gateway.config.database.enabled:
            links = {status.name: str(status.state) for status in gateway.links}
            return JsonResponse(Readiness(True, DatabaseState("off", LIVE_ONLY), links))
        devices = gateway.ingest.log
        # To be asked is no proof that a database takes rows: its disk may be full.
        reason = gateway.pipeline.failing or devices.failing or await self._probe()
        devices.try_again()
        links = {status.name: str(status.state) for status in gateway.links}
        database = DatabaseState("failing" if reason else "ok", reason)
        return JsonResponse(Readiness(not reason, database, links), 503 if reason else 200)

    async def _probe(self) -> str:
        try:
            async with self._gateway.pool.acquire(timeout=PROBE_TIMEOUT_S) as connection:
                await connection.fetchval("SELECT 1", timeout=PROBE_TIMEOUT_S)
        except STORE_ERRORS as error:
            return first_line(error)
        return ""

    async def links(self, call: Call[None, None]) -> Links:
        gateway = self._gateway
        live = LiveCounts(gateway.hub.clients, gateway.hub.dropped)
        return Links(gateway.links, gateway.pipeline.counts, live)

    async def signals(self, call: Call[None, None]) -> Signals:
        gateway = self._gateway
        stale = gateway.stale
        # Whose readings of the own links are not theirs to see, gets the catalogue alone.
        sees = call.who.may_read(gateway.config.device)
        shown = []
        for signal in all_signals():
            reading = gateway.latest.get(signal.id) if sees else None
            latest = None
            if reading is not None:
                latest = Latest(reading.time_ns, reading.value, reading.state, signal.id in stale)
            shown.append(ShownSignal(**msgspec.structs.asdict(signal), latest=latest))
        return Signals(shown)
