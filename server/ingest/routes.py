"""What devices send over HTTP, with their key in `X-API-Key`:

POST /api/v1/ingest           one reading, JSON; or protobuf `Readings`
POST /api/v1/ingest/batch     many: JSON rows or columns, or protobuf `Readings`
POST /api/v1/uplink           protobuf `Uplink`, answered by `Downlink`

Answered after the commit. 503 and 429 carry Retry-After: the same request again changes nothing.
These are bare ASGI applications: what Starlette does for a request object costs as much as the
rest of a small request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from server.answers import Refusal
from server.api.endpoint import JSON, PROTOBUF, Endpoint, Role
from server.devices.registry import Device
from server.errors import StoreAway, StoreFull
from server.ingest.batch import Batch
from server.ingest.body import header, read_body
from server.ingest.json_readings import JsonBatch, JsonSingle, read_batch, read_single
from server.ingest.limits import BATCH_BYTES, JSON_BATCH_BYTES, SINGLE_BYTES
from server.ingest.problems import Problem, Problems
from server.ingest.protobuf_readings import check_implementation, read_protobuf
from server.ingest.service import Answer
from server.store.connection import DATABASE_ERRORS

if TYPE_CHECKING:
    from server.gateway import Gateway

_PROTOBUF_TYPES = (PROTOBUF, "application/protobuf", "application/vnd.google.protobuf")
RETRY_AWAY_S = 2
_SAME_AGAIN = (
    "Answered after the commit; the same request again changes nothing. The body may be compressed"
    " with gzip. Messages: `server/wire/telemetry.proto`."
)
_ALSO = (
    (403, "The body names another device than the key."),
    (415, "Another content type or coding."),
    (429, "The device has too much waiting, or asks too often; `Retry-After` says when."),
)

_json = msgspec.json.Encoder()
Reader = Callable[[bytes, str, int], Batch]
Handler = Callable[[Device, Scope, Receive], Awaitable[tuple[str, bytes]]]


class _Endpoint:
    """One path: authenticates, hands on, answers; counts what is refused for its device."""

    def __init__(self, gateway: Gateway, handler: Handler) -> None:
        self._gateway = gateway
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        device = None
        try:
            device = await self._gateway.access.device(HTTPConnection(scope))
            content_type, body = await self._handler(device, scope, receive)
        except Refusal as refusal:
            if device is not None:
                self._count(device, refusal)
            raise
        except StoreFull as error:
            status = 429 if error.one_device else 503
            raise _later(status, "room for it", str(error), error.again_s) from error
        except (StoreAway, *DATABASE_ERRORS) as error:
            expected = "a commit of the database"
            raise _later(503, expected, str(error) or "no answer", RETRY_AWAY_S) from error
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _count(self, device: Device, refusal: Refusal) -> None:
        problems = Problems()
        problems.add(
            Problem(refusal.expected, refusal.found, refusal.where, f"http {refusal.status}")
        )
        self._gateway.ingest.refused(device.id, problems)


class _Readings:
    """Plain readings, in either form."""

    def __init__(
        self, gateway: Gateway, read_json: Reader, json_bytes: int, protobuf_bytes: int
    ) -> None:
        self._gateway = gateway
        self._read_json = read_json
        self._json_bytes = json_bytes
        self._protobuf_bytes = protobuf_bytes

    async def __call__(self, device: Device, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        is_protobuf = _is_protobuf(scope)
        read = read_protobuf if is_protobuf else self._read_json
        most_bytes = self._protobuf_bytes if is_protobuf else self._json_bytes
        body = await read_body(scope, receive, most_bytes)
        ingest = self._gateway.ingest
        with ingest.turns.let_in():
            async with ingest.turns.turn():
                ingest.log.check_room(device.id, len(body))
                batch = read(body, device.id, ingest.clock.now_ns())
            return JSON, _json.encode(await ingest.store(device, batch))


class _Uplink:
    """Messages of edge loggers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, device: Device, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        body = await read_body(scope, receive, SINGLE_BYTES)
        self._gateway.ingest.log.check_room(device.id, len(body))
        return PROTOBUF, await self._gateway.uplinks.take(device, body)


def endpoints(gateway: Gateway) -> list[Endpoint]:
    """Declare the endpoints.

    Raises:
        ServerError: protobuf would be parsed without bounds.
    """
    check_implementation()
    single = _Readings(gateway, read_single, SINGLE_BYTES, SINGLE_BYTES)
    batch = _Readings(gateway, read_batch, JSON_BATCH_BYTES, BATCH_BYTES)
    return [
        Endpoint(
            "POST",
            "/api/v1/ingest",
            _Endpoint(gateway, single),
            role=Role.DEVICE,
            summary="Take one reading, or a protobuf `Readings`",
            description=_SAME_AGAIN,
            tag="ingest",
            body=JsonSingle,
            body_media=(JSON, PROTOBUF),
            limit_bytes=SINGLE_BYTES,
            answer=Answer,
            also=_ALSO,
            is_lean=True,
        ),
        Endpoint(
            "POST",
            "/api/v1/ingest/batch",
            _Endpoint(gateway, batch),
            role=Role.DEVICE,
            summary="Take rows or columns of readings",
            description=_SAME_AGAIN,
            tag="ingest",
            body=JsonBatch,
            body_media=(JSON, PROTOBUF),
            limit_bytes=BATCH_BYTES,
            answer=Answer,
            also=_ALSO,
            is_lean=True,
        ),
        Endpoint(
            "POST",
            "/api/v1/uplink",
            _Endpoint(gateway, _Uplink(gateway)),
            role=Role.DEVICE,
            summary="Take a protobuf `Uplink` of an edge logger; answer a `Downlink`",
            tag="ingest",
            body=bytes,
            body_media=(PROTOBUF,),
            limit_bytes=SINGLE_BYTES,
            answer=bytes,
            media=PROTOBUF,
            also=_ALSO,
            is_lean=True,
        ),
    ]


def _is_protobuf(scope: Scope) -> bool:
    text = header(scope, b"content-type")
    kind = text.partition(";")[0].strip().lower()
    if kind in _PROTOBUF_TYPES:
        return True
    if kind in ("", JSON):
        return False
    raise Refusal(415, "content-type", f"{JSON} or {PROTOBUF}", repr(text[:80]))


def _later(status: int, expected: str, found: str, seconds: int) -> Refusal:
    return Refusal(status, "database", expected, found, headers={"retry-after": str(seconds)})
