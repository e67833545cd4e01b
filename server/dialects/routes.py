"""Where other people's devices send to, on where [dialects] says so.

    GET, POST  /api/v1/torque, /api/v1/torque/{key}     the Torque app
    GET, POST  /api/v1/osmand, /api/v1/osmand/{key}     OsmAnd, Traccar Client and their like
                                                        (both also with a slash at the end)
    POST       /api/v1/{key}/telemetry                  ThingsBoard devices; the token is the key
    POST       /api/v1/{key}/attributes                 taken and not kept

These are ASGI applications of their own: the apps send parameters that no schema knows. A device is
known by its key: in the path, in `X-API-Key`, as `Authorization: Bearer`, or as parameter `key`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from server.answers import Refusal
from server.api.endpoint import FORM, JSON, Endpoint, Role, Socket
from server.devices.registry import Device
from server.dialects.gathered import Gathered
from server.dialects.osmand import read_form, read_message
from server.dialects.sender import device_of_key, device_of_torque, hide_key, key_of
from server.dialects.thingsboard import read_telemetry
from server.dialects.torque import OK, read_torque
from server.errors import StoreAway, StoreFull
from server.ingest.body import header, read_body
from server.ingest.limits import JSON_BATCH_BYTES, SINGLE_BYTES
from server.ingest.problems import Problem, Problems
from server.ingest.protobuf_readings import check_device
from server.store.connection import DATABASE_ERRORS

if TYPE_CHECKING:
    from server.gateway import Gateway

TAG = "dialects"
TEXT = "text/plain; charset=utf-8"
FIELDS_MOST = 1000
RETRY_S = 2
_ALSO = (
    (401, "No key, or not a live one."),
    (429, "The device asks too often, or has too much waiting: Retry-After."),
    (503, "The database is away: Retry-After; the same again changes nothing."),
)

Parameters = list[tuple[str, str]]
Taker = Callable[[Scope, Receive], Awaitable[tuple[str, bytes]]]


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints that are switched on."""
    config = gateway.config.dialects
    dialects = Dialects(gateway)
    declared: list[Endpoint | Socket] = []
    if config.torque:
        for path in ("/api/v1/torque", "/api/v1/torque/{key:path}"):
            for method in ("GET", "POST"):
                summary = "Take an upload of the Torque app; answered OK!"
                declared.append(_endpoint(method, path, dialects.torque, summary, TEXT))
    if config.osmand:
        for path in ("/api/v1/osmand", "/api/v1/osmand/{key:path}"):
            for method in ("GET", "POST"):
                summary = "Take a position of OsmAnd, Traccar Client or their like"
                declared.append(_endpoint(method, path, dialects.osmand, summary, TEXT))
    if config.thingsboard:
        summary = "Take telemetry of a ThingsBoard device"
        declared.append(
            _endpoint("POST", "/api/v1/{key}/telemetry", dialects.telemetry, summary, JSON)
        )
        summary = "Take attributes of a ThingsBoard device; they are not kept"
        declared.append(
            _endpoint("POST", "/api/v1/{key}/attributes", dialects.attributes, summary, JSON)
        )
    return declared


def _endpoint(method: str, path: str, take: Taker, summary: str, media: str) -> Endpoint:
    return Endpoint(
        method,
        path,
        Lean(take),
        role=Role.COMPAT,
        summary=summary,
        tag=TAG,
        body=bytes if method == "POST" else None,
        body_media=(JSON, FORM),
        limit_bytes=JSON_BATCH_BYTES,
        answer=bytes,
        media=media,
        also=_ALSO,
        is_lean=True,
    )


class Lean:
    """One path: hands on, answers."""

    def __init__(self, take: Taker) -> None:
        self._take = take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        Raises:
            Refusal: it is not served.
        """
        try:
            content_type, body = await self._take(scope, receive)
        except StoreFull as error:
            status = 429 if error.one_device else 503
            raise _later(status, str(error)) from error
        except (StoreAway, *DATABASE_ERRORS) as error:
            raise _later(503, str(error) or "no answer") from error
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Dialects:
    """Takes requests of all dialects."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._config = gateway.config.dialects
        self._senders = dict(self._config.torque_senders)

    async def torque(self, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        """Take an upload of Torque; content never refuses it, because it would come for ever."""
        in_path = _key_in_path(scope)
        parameters, size_bytes = await _parameters(scope, receive)
        given = dict(parameters)
        key = key_of(scope, in_path, given.get("key"))
        if key:
            device = await device_of_key(self._gateway, scope, key)
        else:
            device = await device_of_torque(
                self._gateway, scope, self._senders, given.get("id", ""), given.get("eml", "")
            )
        gathered = read_torque(parameters, self._now_ns)
        await self._store(device, gathered, size_bytes)
        return TEXT, OK

    async def osmand(self, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        """Take a position, or several."""
        in_path = _key_in_path(scope)
        content_type = header(scope, b"content-type").partition(";")[0].strip().lower()
        if content_type == JSON:
            body = await read_body(scope, receive, JSON_BATCH_BYTES)
            query = _pairs(scope["query_string"])
            key = key_of(scope, in_path, dict(query).get("key"))
            device = await device_of_key(self._gateway, scope, key)
            with _Counting(self._gateway, device):
                sender, gathered = read_message(body, self._now_ns)
            size_bytes = len(body)
        else:
            parameters, size_bytes = await _parameters(scope, receive)
            key = key_of(scope, in_path, dict(parameters).get("key"))
            device = await device_of_key(self._gateway, scope, key)
            with _Counting(self._gateway, device):
                sender, gathered = read_form(parameters, self._now_ns)
        with _Counting(self._gateway, device):
            check_device(sender, device.id)
        await self._store(device, gathered, size_bytes)
        return TEXT, b""

    async def telemetry(self, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        """Take telemetry of ThingsBoard."""
        key = _key_in_path(scope)
        device = await device_of_key(self._gateway, scope, key)
        with _Counting(self._gateway, device):
            body = await read_body(scope, receive, JSON_BATCH_BYTES)
            gathered = read_telemetry(body, self._config.thingsboard_keys, self._now_ns)
        accepted = await self._store(device, gathered, len(body))
        told = {"accepted": accepted, "rejected": gathered.problems.count}
        return JSON, json.dumps(told).encode()

    async def attributes(self, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        """Take attributes, and say that they are not kept."""
        key = _key_in_path(scope)
        device = await device_of_key(self._gateway, scope, key)
        with _Counting(self._gateway, device):
            await read_body(scope, receive, SINGLE_BYTES)
        told = {"accepted": 0, "detail": "attributes are not kept; send telemetry"}
        return JSON, json.dumps(told).encode()

    @property
    def _now_ns(self) -> int:
        return self._gateway.clock.now_ns()

    async def _store(self, device: Device, gathered: Gathered, size_bytes: int) -> int:
        """Commit what is good, count the rest; give how many readings were new."""
        ingest = self._gateway.ingest
        batch = gathered.batch(self._now_ns, size_bytes)
        if batch is None or not batch.good.columns:
            ingest.refused(device.id, gathered.problems)
            return 0
        ingest.log.check_room(device.id, size_bytes)
        return (await ingest.store(device, batch)).accepted


class _Counting:
    """Counts a refusal for its device, as ingest does."""

    def __init__(self, gateway: Gateway, device: Device) -> None:
        self._gateway = gateway
        self._device = device

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refusal):
            problems = Problems()
            problems.add(Problem(error.expected, error.found, error.where, f"http {error.status}"))
            self._gateway.ingest.refused(self._device.id, problems)


def _key_in_path(scope: Scope) -> str:
    """Give the key of the path, and hide it there; empty where there is none.

    A slash behind it, as people end a server's URL, is no part of it, and not redirected: Traccar
    Client takes any answer below 400 for a position that has arrived.
    """
    key: str = scope["path_params"].get("key", "").rstrip("/")
    hide_key(scope, key)
    return key


async def _parameters(scope: Scope, receive: Receive) -> tuple[Parameters, int]:
    """Give the parameters of the query and of a form, and their size."""
    query: bytes = scope["query_string"]
    if len(query) > SINGLE_BYTES:
        raise Refusal(414, "query", f"at most {SINGLE_BYTES} bytes", f"{len(query)} bytes")
    body = b""
    if scope["method"] == "POST":
        body = await read_body(scope, receive, SINGLE_BYTES)
    return [*_pairs(query), *_pairs(body)], len(query) + len(body)


def _pairs(text: bytes) -> Parameters:
    try:
        return parse_qsl(
            text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MOST
        )
    except ValueError:
        expected = f"at most {FIELDS_MOST} parameters"
        raise Refusal(413, "query", expected, "more") from None


def _later(status: int, found: str) -> Refusal:
    headers = {"retry-after": str(RETRY_S)}
    return Refusal(status, "database", "a commit of the database", found, headers=headers)
