"""The paths of older systems, on where [compat] says so.

    S2  GET /telemetry-types, GET /command-templates, GET /historical-data, WS /ws
    S4  POST /api/telemetry, GET /status, POST /logger/start, POST /logger/stop, WS /ws

/ws speaks `telerig.s2` or `telerig.s4`, whichever the client names as subprotocol; to one that
names none, S4 on [compat] s4_port, else what [compat] ws says. A key is sent in X-API-Key, or from
a browser as subprotocol `telerig.key.<key>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from server.answers import JsonResponse, Refusal
from server.catalogue import CATALOGUE
from server.compat.access import SurfaceAccess
from server.compat.channel import Channel, Dialect
from server.compat.edge import RECORD_BYTES
from server.compat.s2 import S2, point
from server.compat.s4 import S4
from server.control.json_file import WatchedFile
from server.control.templates import read_json_file
from server.devices.history import read_page
from server.devices.key import DEVICE_ID
from server.devices.subscribe import CLOSE_POLICY, CLOSE_TRY_AGAIN, take_key
from server.errors import LoggerError
from server.pipeline import STORE_ERRORS
from server.requests import cursor, instant_ns, integer, known, read_body, signals
from server.store.connection import first_line
from server.store.reader import Filter

if TYPE_CHECKING:
    from server.gateway import Gateway

log = structlog.get_logger("telerig.compat")

HISTORY_LIMIT = 10_000
HISTORY_DEFAULT = 1_000
RETRY_AFTER_S = 2
_INT64_MAX = 2**63 - 1
_PROTOBUF_TYPES = (
    "application/x-protobuf",
    "application/protobuf",
    "application/vnd.google.protobuf",
    "application/octet-stream",
    "",
)


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
    def routes(self) -> list[BaseRoute]:
        """The paths that are switched on."""
        routes: list[BaseRoute] = []
        if self._config.s2:
            routes += [
                Route("/telemetry-types", self.telemetry_types, methods=["GET"]),
                Route("/command-templates", self.command_templates, methods=["GET"]),
                Route("/historical-data", self.historical_data, methods=["GET"]),
            ]
        if self._config.s4:
            routes += [
                Route("/api/telemetry", self.telemetry, methods=["POST"]),
                Route("/status", self.status, methods=["GET"]),
                Route("/logger/start", self.start_logger, methods=["POST"]),
                Route("/logger/stop", self.stop_logger, methods=["POST"]),
            ]
        if self._channels:
            routes.append(WebSocketRoute("/ws", self.websocket))
        return routes

    @property
    def clients(self) -> int:
        """How many WebSocket clients there are, beside those of the live stream."""
        return sum(channel.clients - channel.is_listening for _, channel in self._channels.values())

    # S2.

    async def telemetry_types(self, request: Request) -> Response:
        """Give what can be measured: the configured file, else the catalogue."""
        self._s2.check(request)
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

    async def command_templates(self, request: Request) -> Response:
        """Give what a device can be told."""
        self._s2.check(request)
        device = self._device(known(request, ("device",)).get("device"))
        templates = await self._gateway.control.templates(device)
        return JsonResponse({"device": device, "templates": templates})

    async def historical_data(self, request: Request) -> Response:
        """Give points from the log, by order of writing."""
        self._s2.check(request)
        names = ("signal", "start", "end", "start_ns", "end_ns", "limit", "after", "device")
        parameters = known(request, names)
        limit = integer(parameters, "limit", HISTORY_DEFAULT, 1, HISTORY_LIMIT)
        wanted = Filter(
            signals(request),
            instant_ns(parameters, "start", 0),
            instant_ns(parameters, "end", _INT64_MAX),
        )
        device = self._device(parameters.get("device"))
        async with self._gateway.pool.acquire() as connection:
            page = await read_page(connection, device, wanted, cursor(parameters), limit)
        points = [point(r.signal, r.value, r.time_ns) for r in page.readings]
        return JsonResponse({"device": device, "data": points, "next": page.next})

    def _device(self, asked: str | None) -> str:
        device = asked if asked is not None else self._s2_words.device
        if not DEVICE_ID.fullmatch(device):
            raise Refusal(404, "device", "the id of a device", repr(device[:80]))
        return device

    # S4.

    async def telemetry(self, request: Request) -> Response:
        """Take a record of an edge logger."""
        self._s4.check(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _PROTOBUF_TYPES:
            raise Refusal(415, "content-type", _PROTOBUF_TYPES[0], repr(kind[:80]))
        body = await read_body(request, RECORD_BYTES)
        try:
            return JsonResponse(await self._gateway.edge.take(body))
        except STORE_ERRORS as error:
            # The older system said 500; 503 tells a logger that it is to send the same again.
            log.error("record not stored", reason=first_line(error))
            headers = {"retry-after": str(RETRY_AFTER_S)}
            expected = "an answer from the database"
            found = first_line(error)
            raise Refusal(503, "database", expected, found, headers=headers) from error

    async def status(self, request: Request) -> Response:
        """Give the statistics, and how the logger is."""
        self._s4.check(request)
        return JsonResponse(
            {
                "status": "healthy",
                "compression_stats": await self._gateway.edge.stats(),
                # What the older system asked with this: whether records are kept.
                "supabase_enabled": True,
                "bad_records": self._gateway.edge.bad_records,
                "logger": self._gateway.logger.status,
            }
        )

    async def start_logger(self, request: Request) -> Response:
        """Start the logger process."""
        self._s4.check(request)
        try:
            started = await self._gateway.logger.start()
        except LoggerError as error:
            raise Refusal(409, "logger", error.expected, error.found) from error
        status = "started" if started else "already_running"
        return JsonResponse({"status": status, "logger": self._gateway.logger.status})

    async def stop_logger(self, request: Request) -> Response:
        """Stop the logger process with its group."""
        self._s4.check(request)
        stopped = await self._gateway.logger.stop()
        status = "stopped" if stopped else "not_running"
        return JsonResponse({"status": status, "logger": self._gateway.logger.status})

    # Both.

    async def websocket(self, socket: WebSocket) -> None:
        """Serve a client in its dialect; refused before it is accepted where it has no right."""
        take_key(socket)
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
        try:
            await channel.serve(socket)
        except STORE_ERRORS as error:
            await socket.close(CLOSE_TRY_AGAIN, first_line(error)[:100])

    def _dialect(self, socket: WebSocket) -> str:
        for name in socket.scope["subprotocols"]:
            if name.startswith("telerig.s"):
                return str(name.removeprefix("telerig."))
        server = socket.scope.get("server")
        if server is not None and self._gateway.s4_url.endswith(f":{server[1]}"):
            return "s4"
        return self._config.default_dialect
