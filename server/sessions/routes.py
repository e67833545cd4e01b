"""Sessions, trips and vehicles over HTTP; starting and stopping, as an older system did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.answers import Refusal, iso
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import DeviceId, Instant, Limit, Offset, Paging, Times, parse_instant_ns
from server.catalogue import by_id
from server.errors import CatalogueError, DeviceConflict
from server.export.choice import chosen
from server.export.text import source_of
from server.history.aggregate import Aggregate, aggregate
from server.history.known import check_device
from server.history.pages import Row, read_page
from server.history.routes import AggregateQuery, SeriesQuery
from server.history.series import Series, read_series
from server.history.statistics import SignalFigures, read_statistics
from server.history.wanted import INT64_MAX, Wanted
from server.sessions.drive import DriveFigures, read_drive
from server.sessions.model import Asked, Changed, Described, Session
from server.sessions.store import Sessions, readings_of, within
from server.sessions.trips import Trip, devices_of, find_trip, list_trips, refresh
from server.sessions.vehicles import Vehicle, VehicleChanged, keep_vehicle, list_vehicles

if TYPE_CHECKING:
    from server.gateway import Gateway

_ONE = "/api/v1/sessions/{id:int}"
_VIN = r"^[A-HJ-NPR-Z0-9]{17}$"

Vin = Annotated[str, Meta(pattern=_VIN)]


class NewSession(Described, frozen=True, kw_only=True):
    """A session to come: of a device, else of the gateway's own links."""

    device: DeviceId | None = None


class SessionsQuery(Times, kw_only=True):
    """Which sessions: those that overlap with the time."""

    limit: Limit = 1_000
    offset: Offset = 0
    device: DeviceId | None = None
    vin: Vin | None = None
    kind: Literal["automatic", "manual"] | None = None
    state: Literal["planned", "running", "ended"] | None = None


class SignalsQuery(Paging, kw_only=True):
    """Which readings of a session; `sources` and `channels` as in exports."""

    start_time: Instant | None = None
    end_time: Instant | None = None
    sources: list[str] = []
    channels: list[str] = []


class TripsQuery(Times, kw_only=True):
    """Which trips: those that overlap with the time."""

    limit: Limit = 1_000
    offset: Offset = 0
    device: DeviceId | None = None
    vin: Vin | None = None


class RecomputeQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Whose trips."""

    device: DeviceId


class DeviceQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A device; without one, the gateway's own links."""

    device: DeviceId | None = None


class SessionList(msgspec.Struct, frozen=True):
    """Sessions, the newest first."""

    sessions: list[Session]
    limit: int
    offset: int


class SessionSignal(msgspec.Struct, frozen=True):
    """A reading, in the words of an older system."""

    timestamp: str
    source: str
    channel: str
    value: float
    unit: str
    state: int
    time_ns: int


class SessionSignals(msgspec.Struct, frozen=True):
    """Readings of a session by time; `next_offset` is that of the next page, or null."""

    session_id: int
    signals: list[SessionSignal]
    limit: int
    offset: int
    next_offset: int | None


class SessionStatistics(msgspec.Struct, frozen=True):
    """What happened in a session: the drive, and figures of every signal."""

    session: Session
    readings: int
    drive: DriveFigures
    signals: list[SignalFigures]


class SessionSeries(msgspec.Struct, frozen=True):
    """Signals of a session as lines, by id."""

    session_id: int
    series: list[Series]


class SessionAggregates(msgspec.Struct, frozen=True):
    """Figures of each signal of a session in each window."""

    session_id: int
    window_s: int | None
    windows: list[Aggregate]


class TelemetryStatus(msgspec.Struct, frozen=True):
    """Whether a session that somebody has started runs. Readings are stored in any case.

    Attributes:
        status: "running" or "idle".
        device: whose.
        session_id: of the running session.
        session: that session.
        elapsed_s: since it was started.
        recording: whether what comes is stored: the last commit succeeded.
        links: states of the gateway's own links by name.
    """

    status: str
    device: str
    session_id: int | None
    session: Session | None
    elapsed_s: float | None
    recording: bool
    links: dict[str, str]


class Trips(msgspec.Struct, frozen=True):
    """Trips, the newest first."""

    trips: list[Trip]
    limit: int
    offset: int


class TripStatistics(msgspec.Struct, frozen=True):
    """A trip: the drive, and figures of every signal."""

    trip: Trip
    drive: DriveFigures
    signals: list[SignalFigures]


class Vehicles(msgspec.Struct, frozen=True):
    """Vehicles, the one that was heard last first."""

    vehicles: list[Vehicle]


_GONE = ((404, "There is no such session."),)
_STATE = (*_GONE, (409, "The session is not in a state in which that can be done."))


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    return [*_session_endpoints(), *_telemetry_endpoints(), *_trip_endpoints(), *_vehicles()]


def _session_endpoints() -> list[Endpoint]:
    def one(
        method: str, path: str, handler: Any, summary: str, role: Role, **more: Any
    ) -> Endpoint:
        more.setdefault("answer", Session)
        return Endpoint(
            method, _ONE + path, handler, role=role, summary=summary, tag="sessions", **more
        )

    viewer, operator = Role.VIEWER, Role.OPERATOR
    return [
        Endpoint(
            "GET",
            "/api/v1/sessions",
            list_sessions,
            role=viewer,
            summary="Give the sessions, the newest first",
            tag="sessions",
            query=SessionsQuery,
            answer=SessionList,
        ),
        Endpoint(
            "POST",
            "/api/v1/sessions",
            make_session,
            role=operator,
            summary="Make a session that is not started yet",
            tag="sessions",
            body=NewSession,
            body_optional=True,
            answer=Session,
            status=201,
            also=((404, "There is no such device."),),
        ),
        one("GET", "", get_session, "Give a session", viewer, also=_GONE),
        one(
            "PATCH",
            "",
            change_session,
            "Change name, car, driver or notes",
            operator,
            body=Changed,
            also=_GONE,
        ),
        one(
            "DELETE",
            "",
            remove_session,
            "Forget a manual session; the readings stay",
            operator,
            answer=None,
            status=204,
            also=_STATE,
        ),
        one("POST", "/start", start_session, "Start a manual session", operator, also=_STATE),
        one("POST", "/stop", stop_session, "Stop a manual session", operator, also=_STATE),
        one(
            "GET",
            "/signals",
            session_signals,
            "Give readings of a session, by time",
            viewer,
            query=SignalsQuery,
            answer=SessionSignals,
            also=_GONE,
        ),
        one(
            "GET",
            "/statistics",
            session_statistics,
            "Give way, fuel, times and tops of a session, and figures of every signal",
            viewer,
            answer=SessionStatistics,
            also=_GONE,
        ),
        one(
            "GET",
            "/series",
            session_series,
            "Give signals of a session as lines",
            viewer,
            query=SeriesQuery,
            answer=SessionSeries,
            also=_GONE,
        ),
        one(
            "GET",
            "/aggregate",
            session_aggregate,
            "Give minimum, maximum, mean and count of each signal in each window of a session",
            viewer,
            query=AggregateQuery,
            answer=SessionAggregates,
            also=_GONE,
        ),
    ]


def _telemetry_endpoints() -> list[Endpoint]:
    def one(
        method: str, name: str, handler: Any, summary: str, role: Role, **more: Any
    ) -> Endpoint:
        return Endpoint(
            method,
            f"/api/v1/telemetry/{name}",
            handler,
            role=role,
            summary=summary,
            tag="sessions",
            answer=TelemetryStatus,
            also=((404, "There is no such device."),),
            **more,
        )

    return [
        one(
            "POST",
            "start",
            start_telemetry,
            "Make a session and start it; where one runs, it goes on",
            Role.OPERATOR,
            body=NewSession,
            body_optional=True,
        ),
        one(
            "POST",
            "stop",
            stop_telemetry,
            "Stop the session that runs, if one does",
            Role.OPERATOR,
            query=DeviceQuery,
        ),
        one(
            "GET",
            "status",
            telemetry_status,
            "Tell whether a session runs",
            Role.VIEWER,
            query=DeviceQuery,
        ),
    ]


def _trip_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/api/v1/trips",
            trips,
            role=Role.VIEWER,
            summary="Give the trips, the newest first; found from the readings",
            tag="trips",
            query=TripsQuery,
            answer=Trips,
        ),
        Endpoint(
            "GET",
            "/api/v1/trips/{id:int}",
            trip_statistics,
            role=Role.VIEWER,
            summary="Give a trip with way, fuel, times and tops, and figures of every signal",
            tag="trips",
            answer=TripStatistics,
            also=((404, "There is no such trip."),),
        ),
        Endpoint(
            "POST",
            "/api/v1/trips/recompute",
            recompute_trips,
            role=Role.OPERATOR,
            summary="Find all trips of a device again from its readings",
            tag="trips",
            query=RecomputeQuery,
            answer=Trips,
            also=((404, "There is no such device."),),
        ),
    ]


def _vehicles() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/api/v1/vehicles",
            vehicles,
            role=Role.VIEWER,
            summary="Give the vehicles, the one that was heard last first",
            tag="vehicles",
            query=Paging,
            answer=Vehicles,
        ),
        Endpoint(
            "GET",
            "/api/v1/vehicles/{vin}",
            vehicle,
            role=Role.VIEWER,
            summary="Give a vehicle",
            tag="vehicles",
            answer=Vehicle,
            also=((404, "There is no such vehicle."),),
        ),
        Endpoint(
            "PUT",
            "/api/v1/vehicles/{vin}",
            change_vehicle,
            role=Role.OPERATOR,
            summary="Tell name, model, year or notes of a vehicle",
            tag="vehicles",
            body=VehicleChanged,
            answer=Vehicle,
            also=((404, "There is no such vehicle."),),
        ),
    ]


# -- sessions --------------------------------------------------------------------------------------
def _sessions(call: Call[Any, Any], connection: asyncpg.Connection) -> Sessions:
    gateway = call.gateway
    return Sessions(connection, gateway.clock.now_ns(), gateway.hotlog.session_id)


async def find_session(call: Call[Any, Any], sessions: Sessions) -> Session:
    """Give the session of the path, which is there and may be seen.

    Raises:
        Refusal: 404.
    """
    number = call.path["id"]
    found = await sessions.find(number)
    if found is None or not call.who.may_read(found.device):
        raise Refusal(404, "session", "the number of a session", str(number))
    return found


def _tell(gateway: Gateway, session: Session) -> None:
    """Publish on the live stream that a session has changed."""
    gateway.session_news.told(session)


async def list_sessions(call: Call[SessionsQuery, None]) -> SessionList:
    """Give sessions."""
    query = call.query
    start_ns, end_ns = query.range_ns
    asked = Asked(
        devices=call.who.visible(query.device),
        vin=query.vin,
        kind=query.kind,
        state=query.state,
        start_ns=start_ns,
        end_ns=end_ns,
    )
    async with call.gateway.pool.acquire() as connection:
        found = await _sessions(call, connection).list(asked, query.limit, query.offset)
    return SessionList(found, query.limit, query.offset)


async def make_session(call: Call[None, NewSession]) -> Session:
    """Make a manual session."""
    async with call.gateway.pool.acquire() as connection:
        made = await _make(call, connection, call.body)
    _tell(call.gateway, made)
    return made


async def _make(
    call: Call[Any, Any], connection: asyncpg.Connection, described: NewSession
) -> Session:
    own = call.gateway.config.device
    device = described.device or own
    await check_device(call.gateway, connection, call.who, device)
    return await _sessions(call, connection).make(device, described, own)


async def get_session(call: Call[None, None]) -> Session:
    """Give a session."""
    async with call.gateway.pool.acquire() as connection:
        return await find_session(call, _sessions(call, connection))


async def change_session(call: Call[None, Changed]) -> Session:
    """Change what is told of a session."""
    async with call.gateway.pool.acquire() as connection:
        sessions = _sessions(call, connection)
        found = await find_session(call, sessions)
        changed = await sessions.change(found.id, call.body)
    _tell(call.gateway, changed)
    return changed


async def remove_session(call: Call[None, None]) -> Response:
    """Forget a manual session."""
    async with call.gateway.pool.acquire() as connection:
        sessions = _sessions(call, connection)
        found = await find_session(call, sessions)
        await sessions.remove(found)
    _tell(call.gateway, msgspec.structs.replace(found, state="removed"))
    return Response(status_code=204)


async def start_session(call: Call[None, None]) -> Session:
    """Start a manual session."""
    async with call.gateway.pool.acquire() as connection:
        sessions = _sessions(call, connection)
        started = await sessions.start(await find_session(call, sessions))
    _tell(call.gateway, started)
    return started


async def stop_session(call: Call[None, None]) -> Session:
    """Stop a manual session."""
    async with call.gateway.pool.acquire() as connection:
        sessions = _sessions(call, connection)
        stopped = await sessions.stop(await find_session(call, sessions))
    _tell(call.gateway, stopped)
    return stopped


async def session_signals(call: Call[SignalsQuery, None]) -> SessionSignals:
    """Give readings of a session."""
    query = call.query
    signals = chosen(query.sources, query.channels, ())
    start_ns = 0 if query.start_time is None else parse_instant_ns(query.start_time, "start_time")
    end_ns = INT64_MAX if query.end_time is None else parse_instant_ns(query.end_time, "end_time")
    async with call.gateway.pool.acquire() as connection:
        session = await find_session(call, _sessions(call, connection))
        wanted = within(readings_of(session, signals), start_ns, end_ns)
        page = await read_page(connection, wanted, limit=query.limit, offset=query.offset)
    return SessionSignals(
        session.id,
        list(map(_signal, page.readings)),
        query.limit,
        query.offset,
        None if page.next is None else query.offset + query.limit,
    )


def _signal(row: Row) -> SessionSignal:
    try:
        known = by_id(row.signal)
        source, unit = source_of(known), known.unit
    except CatalogueError:
        source, unit = "", ""
    return SessionSignal(
        iso(row.time_ns), source, row.name, row.value, unit, row.state, row.time_ns
    )


async def session_statistics(call: Call[None, None]) -> SessionStatistics:
    """Give the figures of a session."""
    async with call.gateway.pool.acquire() as connection:
        session = await find_session(call, _sessions(call, connection))
        drive, signals = await _figures(connection, readings_of(session))
    return SessionStatistics(session, sum(s.count + s.others for s in signals), drive, signals)


async def _figures(
    connection: asyncpg.Connection, wanted: Wanted
) -> tuple[DriveFigures, list[SignalFigures]]:
    return await read_drive(connection, wanted), await read_statistics(connection, wanted)


async def session_series(call: Call[SeriesQuery, None]) -> SessionSeries:
    """Give signals of a session as lines."""
    query = call.query
    async with call.gateway.pool.acquire() as connection:
        session = await find_session(call, _sessions(call, connection))
        wanted = within(readings_of(session, query.signals), *query.range_ns)
        return SessionSeries(session.id, await read_series(connection, wanted, query.points))


async def session_aggregate(call: Call[AggregateQuery, None]) -> SessionAggregates:
    """Give the figures of a session in windows."""
    query = call.query
    window_ns = None if query.window_s is None else query.window_s * 10**9
    async with call.gateway.pool.acquire() as connection:
        session = await find_session(call, _sessions(call, connection))
        wanted = within(readings_of(session, query.signals), *query.range_ns)
        found = await aggregate(connection, wanted, window_ns)
    return SessionAggregates(session.id, query.window_s, found)


# -- start, stop, status ---------------------------------------------------------------------------
async def start_telemetry(call: Call[None, NewSession]) -> TelemetryStatus:
    """Start a session, unless one runs."""
    device = call.body.device or call.gateway.config.device
    async with call.gateway.pool.acquire() as connection:
        await check_device(call.gateway, connection, call.who, device)
        sessions = _sessions(call, connection)
        running = await sessions.running(device)
        if running is None:
            try:
                async with connection.transaction():
                    made = await _make(call, connection, call.body)
                    running = await sessions.start(made)
            except DeviceConflict:
                running = await sessions.running(device)  # somebody else's, started meanwhile
                if running is None:
                    raise
            else:
                _tell(call.gateway, running)
    return _status(call.gateway, device, running)


async def stop_telemetry(call: Call[DeviceQuery, None]) -> TelemetryStatus:
    """Stop the session that runs."""
    device = call.query.device or call.gateway.config.device
    async with call.gateway.pool.acquire() as connection:
        await check_device(call.gateway, connection, call.who, device)
        sessions = _sessions(call, connection)
        running = await sessions.running(device)
        if running is not None:
            running = await sessions.stop(running)
            _tell(call.gateway, running)
    return _status(call.gateway, device, running)


async def telemetry_status(call: Call[DeviceQuery, None]) -> TelemetryStatus:
    """Tell how it is."""
    device = call.query.device or call.gateway.config.device
    async with call.gateway.pool.acquire() as connection:
        await check_device(call.gateway, connection, call.who, device)
        running = await _sessions(call, connection).running(device)
    return _status(call.gateway, device, running)


def _status(gateway: Gateway, device: str, session: Session | None) -> TelemetryStatus:
    runs = session is not None and session.state == "running"
    return TelemetryStatus(
        "running" if runs else "idle",
        device,
        None if session is None else session.id,
        session,
        session.duration_s if session is not None and runs else None,
        not gateway.pipeline.failing,
        {status.name: status.state for status in gateway.links},
    )


# -- trips -----------------------------------------------------------------------------------------
async def trips(call: Call[TripsQuery, None]) -> Trips:
    """Give trips, brought up to what is stored."""
    query = call.query
    devices = call.who.visible(query.device)
    start_ns, end_ns = query.range_ns
    now_ns = call.gateway.clock.now_ns()
    async with call.gateway.pool.acquire() as connection:
        for device in await devices_of(connection, devices, query.vin):
            await refresh(connection, device, now_ns)
        found = await list_trips(
            connection,
            now_ns,
            devices=devices,
            vin=query.vin,
            start_ns=start_ns,
            end_ns=end_ns,
            limit=query.limit,
            offset=query.offset,
        )
    return Trips(found, query.limit, query.offset)


async def trip_statistics(call: Call[None, None]) -> TripStatistics:
    """Give a trip."""
    async with call.gateway.pool.acquire() as connection:
        found = await find_trip(connection, call.path["id"], call.gateway.clock.now_ns())
        if found is None or not call.who.may_read(found.device):
            raise Refusal(404, "trip", "the number of a trip", str(call.path["id"]))
        wanted = Wanted(found.device, found.start_ns, found.end_ns + 1)
        return TripStatistics(found, *await _figures(connection, wanted))


async def recompute_trips(call: Call[RecomputeQuery, None]) -> Trips:
    """Find all trips of a device again."""
    device = call.query.device
    now_ns = call.gateway.clock.now_ns()
    async with call.gateway.pool.acquire() as connection:
        await check_device(call.gateway, connection, call.who, device)
        await refresh(connection, device, now_ns, whole=True)
        found = await list_trips(connection, now_ns, devices=frozenset((device,)))
    return Trips(found, 1000, 0)


# -- vehicles --------------------------------------------------------------------------------------
async def vehicles(call: Call[Paging, None]) -> Vehicles:
    """Give the vehicles."""
    query = call.query
    async with call.gateway.pool.acquire() as connection:
        return Vehicles(
            await list_vehicles(
                connection, call.who.visible(None), limit=query.limit, offset=query.offset
            )
        )


async def vehicle(call: Call[None, None]) -> Vehicle:
    """Give a vehicle."""
    async with call.gateway.pool.acquire() as connection:
        return await _vehicle(call, connection)


async def change_vehicle(call: Call[None, VehicleChanged]) -> Vehicle:
    """Keep what is told of a vehicle; who may see all devices may tell of a new one."""
    async with call.gateway.pool.acquire() as connection:
        if call.who.visible(None) is not None:
            await _vehicle(call, connection)
        now_ns = call.gateway.clock.now_ns()
        await keep_vehicle(connection, call.path["vin"], call.body, now_ns)
        return await _vehicle(call, connection)


async def _vehicle(call: Call[Any, Any], connection: asyncpg.Connection) -> Vehicle:
    vin = call.path["vin"]
    found = await list_vehicles(connection, call.who.visible(None), vin=vin)
    if not found:
        raise Refusal(404, "vin", "the number of a vehicle that is known", repr(vin))
    return found[0]
