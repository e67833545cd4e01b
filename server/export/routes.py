"""Downloads over HTTP.

GET  /api/v1/export/sessions/{id}/signals.csv|json|parquet     a row for each reading
GET  /api/v1/export/sessions/{id}/frames.csv|json|parquet      a row for each snapshot
GET  /api/v1/export/sessions/{id}/track.gpx|kml
GET  /api/v1/export/devices/{device}/…                         the same of a device
POST /api/export                                               as an older system had it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.answers import BadParameter, Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import INT64_MAX, Instant, InstantNs, parse_instant_ns
from server.export.choice import chosen, split
from server.export.job import (
    FORMATS,
    HOLD_S,
    MEDIA,
    PACKED_MEDIA,
    PERIOD_MS,
    Format,
    Job,
    Packing,
    Subject,
    What,
)
from server.export.process import ExportResponse
from server.export.subject import find_session

if TYPE_CHECKING:
    from server.gateway import Gateway

TAG = "export"
_Name = Annotated[str, Meta(max_length=200)]
Names = Annotated[list[_Name], Meta(max_length=500)]

_SUMMARIES = {
    What.SIGNALS: "Download readings, a row for each",
    What.FRAMES: "Download snapshots, a column for each signal",
    What.TRACK: "Download the positions",
}
_ALSO = (
    (404, "There is no such session or device, or no reading that passes the filters."),
    (503, "As many exports as may run are running, or the database is away: Retry-After."),
)
_NO_PARQUET = (501, "The gateway has no pyarrow: install telerig[export].")


class TimeFilter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of the time, by instants measured: start included, end excluded."""

    start_time: Instant | None = None
    start_ns: InstantNs | None = None
    end_time: Instant | None = None
    end_ns: InstantNs | None = None

    @property
    def range_ns(self) -> tuple[int, int]:
        """The two instants; all of time where none is given.

        Raises:
            BadParameter: not an instant, given twice, or the end is not after the start.
        """
        start_ns = _instant("start", self.start_time, self.start_ns, 0)
        end_ns = _instant("end", self.end_time, self.end_ns, INT64_MAX)
        if end_ns <= start_ns:
            raise BadParameter("end_time", "an instant after start_time", "one not after it")
        return start_ns, end_ns


class TrackQuery(TimeFilter, kw_only=True):
    """Positions: which, and how the file is compressed."""

    compress: Packing = Packing.NONE


class SignalsQuery(TrackQuery, kw_only=True):
    """Readings: which, and how the file is compressed.

    A reading passes where its source is one of `sources` (`gps`, `obd`, `can`, …), its signal one
    of `channels` (also the words of older systems: `latitude`, `speed`, `rpm`) and one of
    `signals`, as far as these are given.
    """

    sources: Names = []
    channels: Names = []
    signals: Names = []


class FramesQuery(SignalsQuery, kw_only=True):
    """Snapshots: of which readings, how often, and how long a value is shown."""

    period_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = PERIOD_MS
    hold_s: Annotated[float, Meta(gt=0, le=86_400 * 366)] = HOLD_S


class OldExport(msgspec.Struct, forbid_unknown_fields=True):
    """What an older system asked: a session, in a format."""

    session_id: int | str
    format: Literal["csv", "json"] = "csv"


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    declared: list[Endpoint | Socket] = []
    for base, is_session in (
        ("/api/v1/export/sessions/{id:int}", True),
        ("/api/v1/export/devices/{device}", False),
    ):
        for what, formats in FORMATS.items():
            for format in formats:
                declared.append(_endpoint(base, what, format, is_session))
    if gateway.config.compat.s0:
        declared.append(
            Endpoint(
                "POST",
                "/api/export",
                _old_export,
                role=Role.VIEWER,
                summary="Download a session, as an older system had it",
                tag="older systems",
                body=OldExport,
                answer=bytes,
                media=MEDIA[Format.CSV],
                more_media=(MEDIA[Format.JSON],),
                also=_ALSO,
            )
        )
    return declared


def _endpoint(base: str, what: What, format: Format, is_session: bool) -> Endpoint:
    queries: dict[What, type[TrackQuery]] = {
        What.SIGNALS: SignalsQuery,
        What.FRAMES: FramesQuery,
        What.TRACK: TrackQuery,
    }

    async def export(call: Call[TrackQuery, None]) -> Response:
        gateway = call.gateway
        if is_session:
            async with gateway.pool.acquire() as connection:
                subject = await find_session(connection, call.path["id"])
            if subject is None or not call.who.may_read(subject.device):
                raise _no_session(str(call.path["id"]))
        else:
            subject = Subject(await _known_device(gateway, call.path["device"]))
        return _response(gateway, _job(gateway, subject, what, format, call.query))

    return Endpoint(
        "GET",
        f"{base}/{what.value}.{format.value}",
        export,
        role=Role.VIEWER,
        summary=f"{_SUMMARIES[what]} ({format.value.upper()})",
        tag=TAG,
        query=queries[what],
        answer=bytes,
        media=MEDIA[format],
        more_media=() if format is Format.PARQUET else tuple(PACKED_MEDIA.values()),
        also=(*_ALSO, _NO_PARQUET) if format is Format.PARQUET else _ALSO,
    )


def _job(gateway: Gateway, subject: Subject, what: What, format: Format, query: TrackQuery) -> Job:
    start_ns, end_ns = query.range_ns
    subject = msgspec.structs.replace(
        subject,
        start_ns=max(subject.start_ns, start_ns),
        end_ns=min(subject.end_ns, end_ns),
    )
    if format is Format.PARQUET and query.compress is not Packing.NONE:
        expected = "none: Parquet is compressed inside"
        raise BadParameter("compress", expected, repr(query.compress.value))
    signals = None
    if isinstance(query, SignalsQuery):
        names = (split(query.sources), split(query.channels), split(query.signals))
        signals = chosen(*names)
    job = Job(_url(gateway), subject, what, format, query.compress, signals)
    if isinstance(query, FramesQuery):
        job = msgspec.structs.replace(job, period_ms=query.period_ms, hold_s=query.hold_s)
    return job


async def _old_export(call: Call[None, OldExport]) -> Response:
    gateway, asked = call.gateway, call.body
    text = str(asked.session_id)
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _no_session(repr(text[:80]))
    async with gateway.pool.acquire() as connection:
        subject = await find_session(connection, int(text))
    if subject is None or not call.who.may_read(subject.device):
        raise _no_session(text)
    return _response(gateway, Job(_url(gateway), subject, format=Format(asked.format)))


def _response(gateway: Gateway, job: Job) -> Response:
    return ExportResponse(gateway.exports, job)


def _url(gateway: Gateway) -> str:
    url = gateway.config.database.url
    if url is None:
        raise Refusal(503, "database", "a gateway that keeps readings", "one without a database")
    return url


async def _known_device(gateway: Gateway, device: str) -> str:
    if device != gateway.config.device and await gateway.registry.find(device) is None:
        raise Refusal(404, "device", "the id of a registered device", repr(device[:80]))
    return device


def _no_session(found: str) -> Refusal:
    return Refusal(404, "session", "the id of a session (/api/v1/sessions)", found)


def _instant(name: str, text: str | None, given_ns: int | None, default: int) -> int:
    if text is None:
        return default if given_ns is None else given_ns
    if given_ns is not None:
        raise BadParameter(name, f"one of {name}_time and {name}_ns", "both")
    return parse_instant_ns(text, f"{name}_time")
