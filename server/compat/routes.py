"""The paths of older systems, on where [compat] says so.

    S2  GET /telemetry-types, GET /command-templates, GET /historical-data, WS /ws
    S4  POST /api/telemetry, GET /status, POST /logger/start, POST /logger/stop, WS /ws

/ws speaks `telerig.s2` or `telerig.s4`, whichever the client names as subprotocol; to one that
names none, S4 on [compat] s4_port, else what [compat] ws says. A key is sent in X-API-Key, or from
a browser as subprotocol `telerig.key.<key>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.responses import Response
from starlette.websockets import WebSocket

from server.answers import JsonResponse, Refusal
from server.api.endpoint import PROTOBUF, Call, Endpoint, Role, Socket, SocketCall
from server.api.frame import CLOSE_POLICY
from server.api.parameters import DeviceId, Limit, Wanted
from server.catalogue import CATALOGUE
from server.compat.access import SurfaceAccess
from server.compat.channel import Channel, Dialect
from server.compat.edge import RECORD_BYTES, CompressionStats, EdgeAnswer
from server.compat.logger import LoggerStatus
from server.compat.s2 import S2, point
from server.compat.s4 import S4
from server.control.json_file import WatchedFile
from server.control.routes import Templates
from server.control.templates import read_json_file
from server.errors import LoggerError
from server.history.pages import read_page
from server.history.routes import place_of, wanted_of
from server.store.connection import STORE_ERRORS, first_line

if TYPE_CHECKING:
    from server.gateway import Gateway

log = structlog.get_logger("telerig.compat")

RETRY_AFTER_S = 2
_PROTOBUF_TYPES = (
    PROTOBUF,
    "application/protobuf",
    "application/vnd.google.protobuf",
    "application/octet-stream",
)


class TemplatesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Whose templates; without it, of [compat] device."""

    device: DeviceId | None = None


class PointsQuery(Wanted, kw_only=True):
    """Points of a device; without it, of [compat] device."""

    device: DeviceId | None = None
    limit: Limit = 1_000
    after: str | None = None


class Point(msgspec.Struct, frozen=True):
    """A reading as S2 has it."""

    id: str
    value: float | None
    timestamp: str


class Points(msgspec.Struct, frozen=True):
    """Points by order of writing; `next` is the `after` of the following page, or null."""

    device: str
    data: list[Point]
    next: str | None


class Status(msgspec.Struct, frozen=True):
    """Statistics over everything that was stored, and how the logger is."""

    status: str
    compression_stats: CompressionStats
    supabase_enabled: bool
    bad_records: int
    logger: LoggerStatus


class LoggerAnswer(msgspec.Struct, frozen=True):
    """What came of a start or stop."""

    status: str
    logger: LoggerStatus


class CompatApi:
    """The endpoints of older systems over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        config = gateway.config.compat
        self._gateway = gateway
        self._config = config
        self._s2 = SurfaceAccess(gateway.access, "s2", config.s2_key)
        self._s4 = SurfaceAccess(gateway.access, "s4", config.s4_key)
        self._s2_words = S2(gateway)
        self._channels: dict[str, tuple[SurfaceAccess, Channel]] = {}
        dialects: list[tuple[str, bool, SurfaceAccess, Dialect]] = [
            ("s2", config.s2, self._s2, self._s2_words),
            ("s4", config.s4, self._s4, S4(gateway)),
        ]
        for name, is_on, access, dialect in dialects:
            if is_on:
                self._channels[name] = (access, Channel(gateway.hub, dialect))
        self._types = (
            WatchedFile(config.telemetry_types, read_json_file)
            if config.telemetry_types is not None
            else None
        )

    @property
    def endpoints(self) -> list[Endpoint | Socket]:
        """The paths that are switched on."""
        found: list[Endpoint | Socket] = []
        if self._config.s2:
            found += self._s2_endpoints()
        if self._config.s4:
            found += self._s4_endpoints()
        if self._channels:
            summary = "Listen and command in an older system's dialect"
            found.append(
                Socket(
                    "/ws", self.websocket, role=Role.COMPAT, summary=summary, tag="older systems"
                )
            )
        return found

    def _s2_endpoints(self) -> list[Endpoint | Socket]:
        return [
            Endpoint(
                "GET",
                "/telemetry-types",
                self.telemetry_types,
                role=Role.COMPAT,
                rule=self._s2.check,
                summary="Give what can be measured (S2)",
                tag="older systems",
                answer=Any,
            ),
            Endpoint(
                "GET",
                "/command-templates",
                self.command_templates,
                role=Role.COMPAT,
                rule=self._s2.check,
                summary="Give what a device can be told (S2)",
                tag="older systems",
                query=TemplatesQuery,
                answer=Templates,
            ),
            Endpoint(
                "GET",
                "/historical-data",
                self.historical_data,
                role=Role.COMPAT,
                rule=self._s2.check,
                summary="Give points from the store, by time (S2)",
                tag="older systems",
                query=PointsQuery,
                answer=Points,
            ),
        ]

    def _s4_endpoints(self) -> list[Endpoint | Socket]:
        return [
            Endpoint(
                "POST",
                "/api/telemetry",
                self.telemetry,
                role=Role.COMPAT,
                rule=self._s4.check,
                summary="Take a protobuf `EdgeRecord` (S4)",
                tag="older systems",
                body=bytes,
                body_media=_PROTOBUF_TYPES,
                answer=EdgeAnswer,
                limit_bytes=RECORD_BYTES,
                also=((415, "Another content type."),),
            ),
            Endpoint(
                "GET",
                "/status",
                self.status,
                role=Role.COMPAT,
                rule=self._s4.check,
                summary="Give the statistics, and how the logger is (S4)",
                tag="older systems",
                answer=Status,
            ),
            Endpoint(
                "POST",
                "/logger/start",
                self.start_logger,
                role=Role.COMPAT,
                rule=self._s4.check,
                summary="Start the logger process (S4)",
                tag="older systems",
                answer=LoggerAnswer,
                also=((409, "None is configured, or it cannot be started."),),
            ),
            Endpoint(
                "POST",
                "/logger/stop",
                self.stop_logger,
                role=Role.COMPAT,
                rule=self._s4.check,
                summary="Stop the logger process with its group (S4)",
                tag="older systems",
                answer=LoggerAnswer,
            ),
        ]

    # S2.

    async def telemetry_types(self, call: Call[None, None]) -> Response:
        """Give what can be measured: the configured file, else the catalogue."""
        if self._types is not None:
            return JsonResponse(self._types())
        types = [
            {
                "id": signal.name,
                "name": signal.path,
                "unit": signal.unit,
                "type": "number",
                "minimum": signal.minimum,
                "maximum": signal.maximum,
                "resolution": signal.resolution,
            }
            for signal in CATALOGUE
        ]
        return JsonResponse({"types": types})

    async def command_templates(self, call: Call[TemplatesQuery, None]) -> Templates:
        """Give what a device can be told."""
        device = call.query.device or self._s2_words.device
        return Templates(device, await self._gateway.control.templates(device))

    async def historical_data(self, call: Call[PointsQuery, None]) -> Response:
        """Give points from the store, by time."""
        query = call.query
        wanted = wanted_of(query, query.device or self._s2_words.device)
        async with self._gateway.pool.acquire() as connection:
            page = await read_page(
                connection, wanted, limit=query.limit, after=place_of(query.after)
            )
        points = [point(r.signal, r.value, r.time_ns) for r in page.readings]
        return JsonResponse({"device": wanted.device, "data": points, "next": page.next})

    # S4.

    async def telemetry(self, call: Call[None, bytes]) -> EdgeAnswer:
        """Take a record of an edge logger."""
        try:
            return await self._gateway.edge.take(call.body)
        except STORE_ERRORS as error:
            # The older system said 500; 503 tells a logger that it is to send the same again.
            log.error("record not stored", reason=first_line(error))
            headers = {"retry-after": str(RETRY_AFTER_S)}
            expected = "an answer from the database"
            found = first_line(error)
            raise Refusal(503, "database", expected, found, headers=headers) from error

    async def status(self, call: Call[None, None]) -> Status:
        """Give the statistics, and how the logger is."""
        return Status(
            "healthy",
            await self._gateway.edge.stats(),
            True,  # What the older system asked with this: whether records are kept.
            self._gateway.edge.bad_records,
            self._gateway.logger.status,
        )

    async def start_logger(self, call: Call[None, None]) -> LoggerAnswer:
        """Start the logger process."""
        try:
            started = await self._gateway.logger.start()
        except LoggerError as error:
            raise Refusal(409, "logger", error.expected, error.found) from error
        status = "started" if started else "already_running"
        return LoggerAnswer(status, self._gateway.logger.status)

    async def stop_logger(self, call: Call[None, None]) -> LoggerAnswer:
        """Stop the logger process with its group."""
        stopped = await self._gateway.logger.stop()
        return LoggerAnswer("stopped" if stopped else "not_running", self._gateway.logger.status)

    # Both.

    async def websocket(self, call: SocketCall[None]) -> None:
        """Serve a client in its dialect; refused before it is accepted where it has no right."""
        socket = call.socket
        found = self._channels.get(self._dialect(socket))
        if found is None:
            await socket.close(CLOSE_POLICY)
            return
        access, channel = found
        try:
            access.check(socket)
        except Refusal as refusal:
            log.warning("client refused", reason=str(refusal))
            await socket.close(CLOSE_POLICY)
            return
        await channel.serve(call)

    def _dialect(self, socket: WebSocket) -> str:
        for name in socket.scope["subprotocols"]:
            if name.startswith("telerig.s"):
                return str(name.removeprefix("telerig."))
        server = socket.scope.get("server")
        if server is not None and self._gateway.s4_url.endswith(f":{server[1]}"):
            return "s4"
        return self._config.default_dialect
