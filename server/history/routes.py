"""What was stored, over HTTP: readings, series, figures, latest values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import asyncpg
import msgspec
from msgspec import Meta

from server.answers import BadParameter
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import DeviceId, Limit, Offset
from server.api.parameters import Wanted as WantedQuery
from server.history.aggregate import Aggregate, aggregate
from server.history.known import check_device
from server.history.latest import Newest, latest_of_device, latest_of_vehicle
from server.history.pages import Page, Place, Row, read_page
from server.history.series import Series, read_series
from server.history.statistics import SignalFigures, read_statistics
from server.history.wanted import Wanted

if TYPE_CHECKING:
    from server.gateway import Gateway

WINDOW_LIMIT_S = 366 * 86_400
POINTS_LIMIT = 20_000
_TAG = "readings"

After = Annotated[str, Meta(max_length=80, description="The `next` of the page before.")]
Points = Annotated[
    int,
    Meta(
        ge=2,
        le=POINTS_LIMIT,
        description="At most so many of each signal: the extremes of equal parts of the time, "
        "at their own instants. Without it all of them.",
    ),
]


class PageQuery(WantedQuery, kw_only=True):
    """A part of some signals, some time."""

    limit: Limit = 1_000
    offset: Offset = 0
    after: After | None = None


class ReadingsQuery(PageQuery, kw_only=True):
    """Readings of a device; without one, of the gateway's own links."""

    device: DeviceId | None = None


class AggregateQuery(WantedQuery, kw_only=True):
    """Windows of `window_s` seconds that begin at whole multiples; without it, one for all."""

    window_s: Annotated[int, Meta(ge=1, le=WINDOW_LIMIT_S)] | None = None


class SeriesQuery(WantedQuery, kw_only=True):
    """Some signals, some time, with at most so many points of each."""

    points: Points | None = None


class Readings(msgspec.Struct, frozen=True):
    """A page of a device's readings, by time; `next` is the `after` of the next one, or null."""

    device: str
    readings: list[Row]
    next: str | None


class Aggregates(msgspec.Struct, frozen=True):
    """Figures of each signal in each window, by window and signal."""

    device: str
    window_s: int | None
    windows: list[Aggregate]


class AllSeries(msgspec.Struct, frozen=True):
    """Signals as lines, by id."""

    device: str
    series: list[Series]


class Statistics(msgspec.Struct, frozen=True):
    """Figures of every signal, by id."""

    device: str
    signals: list[SignalFigures]


class Latest(msgspec.Struct, frozen=True):
    """The newest reading of each signal, by id."""

    latest: list[Newest]


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    device = "/api/v1/devices/{device}"
    return [
        _get(
            "/api/v1/readings",
            readings,
            "Give readings of a device, by time",
            ReadingsQuery,
            Readings,
            "`next` is the `after` of the following page; null on the last one. What is stored "
            "later with an earlier instant is on an earlier page.",
            or_device=True,
        ),
        _get(
            f"{device}/history", history, "Give readings of a device, by time", PageQuery, Readings
        ),
        _get(
            f"{device}/aggregate",
            aggregates,
            "Give minimum, maximum, mean and count of each signal in each window",
            AggregateQuery,
            Aggregates,
        ),
        _get(f"{device}/series", series, "Give signals as lines", SeriesQuery, AllSeries),
        _get(
            f"{device}/statistics",
            statistics,
            "Give figures of every signal over some time",
            WantedQuery,
            Statistics,
        ),
        _get(f"{device}/latest", latest, "Give the newest reading of each signal", None, Latest),
        Endpoint(
            "GET",
            "/api/v1/vehicles/{vin}/latest",
            vehicle_latest,
            role=Role.VIEWER,
            summary="Give the newest reading of each signal of a vehicle's devices",
            tag="vehicles",
            answer=Latest,
        ),
    ]


def _get(
    path: str,
    handler: Any,
    summary: str,
    query: Any,
    answer: Any,
    description: str = "",
    or_device: bool = False,
) -> Endpoint:
    return Endpoint(
        "GET",
        path,
        handler,
        role=Role.VIEWER,
        summary=summary,
        description=description,
        tag=_TAG,
        query=query,
        answer=answer,
        or_device=or_device,
    )


def wanted_of(query: WantedQuery, device: str) -> Wanted:
    """Give what a query asks of a device."""
    start_ns, end_ns = query.range_ns
    return Wanted(device, start_ns, end_ns, query.signals)


def place_of(text: str | None) -> Place | None:
    """Read `after`, which says where a page begins.

    Raises:
        BadParameter: it is none.
    """
    if text is None:
        return None
    found = Place.parse(text)
    if found is None:
        raise BadParameter("after", 'the "next" of an earlier answer', repr(text[:80]))
    return found


@asynccontextmanager
async def _reading(call: Call[Any, Any]) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """Give a connection, and the device of the path, which is there and may be seen."""
    device = call.path["device"]
    async with call.gateway.pool.acquire() as connection:
        await check_device(call.gateway, connection, call.who, device)
        yield connection, device


async def readings(call: Call[ReadingsQuery, None]) -> Readings:
    """Give a page of readings; none of a device that one may not see, as of one that is silent."""
    query = call.query
    device = query.device or call.who.device or call.gateway.config.device
    if not call.who.may_read(device):
        return Readings(device, [], None)
    async with call.gateway.pool.acquire() as connection:
        page = await _page(connection, query, device)
    return Readings(device, page.readings, page.next)


async def history(call: Call[PageQuery, None]) -> Readings:
    """Give a page of readings of a device."""
    async with _reading(call) as (connection, device):
        page = await _page(connection, call.query, device)
    return Readings(device, page.readings, page.next)


async def _page(connection: asyncpg.Connection, query: PageQuery, device: str) -> Page:
    return await read_page(
        connection,
        wanted_of(query, device),
        limit=query.limit,
        after=place_of(query.after),
        offset=query.offset,
    )


async def aggregates(call: Call[AggregateQuery, None]) -> Aggregates:
    """Give the figures of windows."""
    query = call.query
    window_ns = None if query.window_s is None else query.window_s * 10**9
    async with _reading(call) as (connection, device):
        found = await aggregate(connection, wanted_of(query, device), window_ns)
    return Aggregates(device, query.window_s, found)


async def series(call: Call[SeriesQuery, None]) -> AllSeries:
    """Give signals as lines."""
    async with _reading(call) as (connection, device):
        found = await read_series(connection, wanted_of(call.query, device), call.query.points)
    return AllSeries(device, found)


async def statistics(call: Call[WantedQuery, None]) -> Statistics:
    """Give figures of every signal."""
    async with _reading(call) as (connection, device):
        found = await read_statistics(connection, wanted_of(call.query, device))
    return Statistics(device, found)


async def latest(call: Call[None, None]) -> Latest:
    """Give the newest readings of a device."""
    async with _reading(call) as (connection, device):
        return Latest(await latest_of_device(connection, device, call.gateway.clock.now_ns()))


async def vehicle_latest(call: Call[None, None]) -> Latest:
    """Give the newest readings of a vehicle; none where nobody has named it."""
    now_ns = call.gateway.clock.now_ns()
    async with call.gateway.pool.acquire() as connection:
        return Latest(
            await latest_of_vehicle(connection, call.path["vin"], call.who.visible(None), now_ns)
        )
