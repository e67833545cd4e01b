"""The registry over HTTP; all of it is the operator's (header X-API-Key: the API secret).

POST   /api/v1/devices                       register {id, name?, vin?}; the key, shown once
GET    /api/v1/devices                       active ones; ?all=true the others too
GET    /api/v1/devices/{id}                  one, with its keys
DELETE /api/v1/devices/{id}                  deactivate: no key of it works any more
POST   /api/v1/devices/{id}/keys             rotate {overlap_s?}; the new key, shown once
DELETE /api/v1/devices/{id}/keys/{key}       revoke, from the next request on
GET    /api/v1/devices/{id}/history          as /api/v1/readings
GET    /api/v1/devices/{id}/aggregate        ?window_s=: min, max, avg, count of each signal
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.answers import BadParameter, JsonResponse, Refusal, error_response
from server.devices.history import TooMuch, aggregate, read_page
from server.devices.key import DEVICE_ID
from server.devices.registry import OVERLAP_S
from server.devices.statistics import of_device, of_vehicle
from server.errors import DeviceConflict, RegistryError, UnknownDevice
from server.requests import (
    JSON_LIMIT_BYTES,
    cursor,
    decode_json,
    instant_ns,
    integer,
    known,
    read_body,
    read_json,
    signals,
)
from server.store.reader import Filter

if TYPE_CHECKING:
    from server.gateway import Gateway

HISTORY_LIMIT = 10_000
HISTORY_DEFAULT = 1_000
WINDOW_LIMIT_S = 366 * 86_400
OVERLAP_LIMIT_S = 90 * 86_400
_INT64_MAX = 2**63 - 1
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")  # ISO 3779: without I, O and Q
_VIN_EXPECTED = "17 capital letters (no I, O, Q) and digits"
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}")


class Registration(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a registration; `device_id` is an older name of `id`."""

    id: str = ""
    device_id: str = ""
    name: str = ""
    vin: str | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a rotation; `overlap_s` null: the key before works until it is revoked."""

    overlap_s: Annotated[float, Meta(ge=0, le=OVERLAP_LIMIT_S)] | None = OVERLAP_S


_registration = msgspec.json.Decoder(Registration)
_rotation = msgspec.json.Decoder(Rotation)


class DeviceApi:
    """The endpoints of the registry."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registry = gateway.registry
        self._access = gateway.access

    @property
    def routes(self) -> list[Route]:
        """The paths."""
        one = "/api/v1/devices/{device}"
        return [
            Route("/api/v1/devices", self.register, methods=["POST"]),
            Route("/api/v1/devices", self.devices, methods=["GET"]),
            Route(one, self.device, methods=["GET"]),
            Route(one, self.deactivate, methods=["DELETE"]),
            Route(f"{one}/keys", self.rotate, methods=["POST"]),
            Route(f"{one}/keys/{{key}}", self.revoke, methods=["DELETE"]),
            Route(f"{one}/history", self.history, methods=["GET"]),
            Route(f"{one}/aggregate", self.aggregate, methods=["GET"]),
            Route(f"{one}/stats", self.stats, methods=["GET"]),
            Route("/api/v1/vehicles/{vin}/stats", self.vehicle_stats, methods=["GET"]),
        ]

    async def register(self, request: Request) -> Response:
        """Register a device; its key is in this answer and nowhere else."""
        self._access.operator(request)
        body = await read_json(request, _registration)
        wanted = _checked(body)
        own = self._gateway.config.device
        if wanted[0] == own:
            raise DeviceConflict("id", "an id of its own", f"{own!r}, the gateway's own links")
        device, minted = await self._registry.register(*wanted)
        answer = {"device": device, "key": minted.key, "key_id": minted.id}
        return JsonResponse(answer, status_code=201, headers=NO_STORE)

    async def devices(self, request: Request) -> Response:
        """Give the devices."""
        self._access.operator(request)
        every = known(request, ("all",)).get("all", "false")
        if every not in ("true", "false"):
            raise BadParameter("all", "true or false", repr(every[:40]))
        return JsonResponse({"devices": await self._registry.devices(inactive=every == "true")})

    async def device(self, request: Request) -> Response:
        """Give a device, its keys without their secrets, and what was refused because of them."""
        self._access.operator(request)
        known(request, ())
        device = device_of_path(request)
        keys = await self._registry.keys(device)
        found = await self._registry.find(device)
        assert found is not None  # its keys are there, and no device is ever deleted
        refused = await self._registry.refused(device)
        return JsonResponse({"device": found, "keys": keys, "refused": refused})

    async def deactivate(self, request: Request) -> Response:
        """End a device."""
        self._access.operator(request)
        known(request, ())
        found = await self._registry.deactivate(device_of_path(request))
        return JsonResponse({"device": found})

    async def rotate(self, request: Request) -> Response:
        """Give a device a new key."""
        self._access.operator(request)
        text = await read_body(request, JSON_LIMIT_BYTES)
        body = decode_json(text, _rotation) if text else Rotation()
        device = device_of_path(request)
        minted = await self._registry.rotate(device, body.overlap_s)
        answer = {"key": minted.key, "key_id": minted.id}
        return JsonResponse(answer, status_code=201, headers=NO_STORE)

    async def revoke(self, request: Request) -> Response:
        """End a key."""
        self._access.operator(request)
        text = request.path_params["key"]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise BadParameter("key", "the id of a key (not the key itself)", "something else")
        device = device_of_path(request)
        await self._registry.revoke(device, int(text))
        return JsonResponse({"keys": await self._registry.keys(device)})

    async def history(self, request: Request) -> Response:
        """Give readings of a device by order of writing."""
        device = await self._readable(request)
        names = ("signal", "start", "end", "start_ns", "end_ns", "limit", "after")
        parameters = known(request, names)
        limit = integer(parameters, "limit", HISTORY_DEFAULT, 1, HISTORY_LIMIT)
        wanted, after = _filter(request), cursor(parameters)
        async with self._gateway.pool.acquire() as connection:
            page = await read_page(connection, device, wanted, after, limit)
        return JsonResponse({"device": device, "readings": page.readings, "next": page.next})

    async def aggregate(self, request: Request) -> Response:
        """Give minimum, maximum, mean and count of each signal in each window."""
        device = await self._readable(request)
        names = ("signal", "start", "end", "start_ns", "end_ns", "window_s")
        window_s = integer(known(request, names), "window_s", 0, 1, WINDOW_LIMIT_S)
        wanted = _filter(request)
        try:
            async with self._gateway.pool.acquire() as connection:
                found = await aggregate(
                    connection, device, wanted, window_s * 10**9 if window_s else None
                )
        except TooMuch as error:
            expected = "a shorter time, fewer signals or longer windows"
            raise BadParameter("query", expected, str(error)) from None
        return JsonResponse({"device": device, "window_s": window_s or None, "windows": found})

    async def stats(self, request: Request) -> Response:
        """Give the statistics of a device."""
        device = await self._readable(request)
        known(request, ())
        async with self._gateway.pool.acquire() as connection:
            found = await of_device(connection, device)
        return JsonResponse({"device": device, **msgspec.structs.asdict(found)})

    async def vehicle_stats(self, request: Request) -> Response:
        """Give the statistics of a vehicle; all zero where nobody has named it."""
        self._access.operator(request)
        known(request, ())
        vin = request.path_params["vin"]
        if not _VIN.fullmatch(vin):
            raise Refusal(404, "vin", _VIN_EXPECTED, repr(vin[:80]))
        async with self._gateway.pool.acquire() as connection:
            found = await of_vehicle(connection, vin)
        return JsonResponse({"vin": vin, **msgspec.structs.asdict(found)})

    async def _readable(self, request: Request) -> str:
        """Give the device of the path, which must be known: a registered one, or the gateway."""
        self._access.operator(request)
        device = device_of_path(request)
        if device != self._gateway.config.device and await self._registry.find(device) is None:
            raise unknown_device(device)
        return device


NO_STORE = {"cache-control": "no-store"}


def device_of_path(request: Request) -> str:
    """Give the {device} of the path; raise UnknownDevice for what can be none."""
    device: str = request.path_params["device"]
    if not DEVICE_ID.fullmatch(device):
        raise unknown_device(device)
    return device


def unknown_device(device: str) -> UnknownDevice:
    """Make the error of a device that is not registered."""
    return UnknownDevice("device", "the id of a registered device", repr(device[:80]))


def _checked(body: Registration) -> tuple[str, str, str | None]:
    device = body.id or body.device_id
    if not DEVICE_ID.fullmatch(device):
        expected = "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit"
        raise BadParameter("id", expected, repr(device[:80]))
    if body.name and not _NAME.fullmatch(body.name):
        raise BadParameter("name", "1 to 100 printable characters", repr(body.name[:80]))
    if body.vin is not None and not _VIN.fullmatch(body.vin):
        raise BadParameter("vin", _VIN_EXPECTED, repr(body.vin[:80]))
    return device, body.name, body.vin


def _filter(request: Request) -> Filter:
    return Filter(
        signals(request),
        instant_ns(request.query_params, "start", 0),
        instant_ns(request.query_params, "end", _INT64_MAX),
    )


async def registry_refused(request: Request, error: Exception) -> Response:
    """Answer a RegistryError (an exception handler of Starlette)."""
    assert isinstance(error, RegistryError)
    status = 404 if isinstance(error, UnknownDevice) else 409
    return error_response(status, error.expected, error.found, error.where)
