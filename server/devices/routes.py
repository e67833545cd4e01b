"""The registry over HTTP, and what devices have sent.

POST   /api/v1/devices                       register {id, name?, vin?}; the key, shown once
GET    /api/v1/devices                       active ones; ?all=true the others too
GET    /api/v1/devices/{id}                  one, with its keys
DELETE /api/v1/devices/{id}                  deactivate: no key of it works any more
POST   /api/v1/devices/{id}/keys             rotate {overlap_s?}; the new key, shown once
DELETE /api/v1/devices/{id}/keys/{key}       revoke, from the next request on
GET    /api/v1/devices/{id}/stats            readings, bytes, ratios, refusals
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.answers import NO_STORE, BadParameter, JsonResponse
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import Identifier
from server.devices.key import DEVICE_ID
from server.devices.registry import OVERLAP_S, Device, KeyStatus, RefusedRequests
from server.devices.statistics import Boot, Day, Refused, Sums, last_heard, of_device, of_vehicle
from server.errors import UnknownDevice

if TYPE_CHECKING:
    from server.gateway import Gateway

OVERLAP_LIMIT_S = 90 * 86_400
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


class Registered(msgspec.Struct, frozen=True):
    """A device and its new key, which is shown this once."""

    device: Device
    key: str
    key_id: int


class NewKey(msgspec.Struct, frozen=True):
    """A new key, which is shown this once."""

    key: str
    key_id: int


class DevicesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which devices: `all` those too that were deactivated."""

    all: bool = False


class ListedDevice(msgspec.Struct, frozen=True):
    """A device in the list of them.

    Attributes:
        id: by which it sends.
        name: for people.
        vin: of its vehicle, where it is known.
        active: False: it may not send any more.
        registered_ns: when it was registered.
        last_used_ns: when one of its keys was used last; null: none was.
        heard_ns: when something of it was stored last; null: nothing was.
    """

    id: str
    name: str
    vin: str | None
    active: bool
    registered_ns: int
    last_used_ns: int | None
    heard_ns: int | None


class Devices(msgspec.Struct, frozen=True):
    """Devices by id."""

    devices: list[ListedDevice]


class OneDevice(msgspec.Struct, frozen=True):
    """A device, its keys without their secrets, and what was refused because of them."""

    device: Device
    keys: list[KeyStatus]
    refused: list[RefusedRequests]


class DeviceChanged(msgspec.Struct, frozen=True):
    """A device after a change."""

    device: Device


class Keys(msgspec.Struct, frozen=True):
    """Keys of a device."""

    keys: list[KeyStatus]


class StatsOfDevice(msgspec.Struct, frozen=True):
    """Everything that is counted of a device; days and boots, the newest first."""

    device: str
    total: Sums
    days: list[Day]
    boots: list[Boot]
    refused: list[Refused]


class StatsOfVehicle(msgspec.Struct, frozen=True):
    """Everything that is counted of a vehicle, over all devices that were in it."""

    vin: str
    total: Sums
    days: list[Day]


class _KeyPath(msgspec.Struct):
    key: Identifier


ONE = "/api/v1/devices/{device}"


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    api = _DeviceApi(gateway)
    return [*_registry_endpoints(api), *_reading_endpoints(api)]


def _registry_endpoints(api: _DeviceApi) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/api/v1/devices",
            api.register,
            role=Role.ADMIN,
            summary="Register a device; its key is in this answer and nowhere else",
            tag="devices",
            body=Registration,
            answer=Registered,
            status=201,
            also=((409, "It is registered and active, or the gateway's own."),),
        ),
        Endpoint(
            "GET",
            "/api/v1/devices",
            api.devices,
            role=Role.VIEWER,
            summary="Give the devices",
            tag="devices",
            query=DevicesQuery,
            answer=Devices,
        ),
        Endpoint(
            "GET",
            ONE,
            api.device,
            role=Role.VIEWER,
            summary="Give a device, its keys, and what was refused because of them",
            tag="devices",
            answer=OneDevice,
        ),
        Endpoint(
            "DELETE",
            ONE,
            api.deactivate,
            role=Role.ADMIN,
            summary="Deactivate a device: no key of it works any more; its readings stay",
            tag="devices",
            answer=DeviceChanged,
        ),
        Endpoint(
            "POST",
            f"{ONE}/keys",
            api.rotate,
            role=Role.ADMIN,
            summary="Give a device a new key; the one before works for `overlap_s` more",
            tag="devices",
            body=Rotation,
            body_optional=True,
            answer=NewKey,
            status=201,
            also=((409, "The device is deactivated."),),
        ),
        Endpoint(
            "DELETE",
            f"{ONE}/keys/{{key}}",
            api.revoke,
            role=Role.ADMIN,
            summary="Revoke a key, from the next request on",
            tag="devices",
            answer=Keys,
            path_types=_KeyPath,
        ),
    ]


def _reading_endpoints(api: _DeviceApi) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            f"{ONE}/stats",
            api.stats,
            role=Role.VIEWER,
            summary="Give what a device has sent, left out and had refused",
            tag="devices",
            answer=StatsOfDevice,
        ),
        Endpoint(
            "GET",
            "/api/v1/vehicles/{vin}/stats",
            api.vehicle_stats,
            role=Role.VIEWER,
            summary="Give what the devices of a vehicle have sent; zero where nobody named it",
            tag="devices",
            answer=StatsOfVehicle,
        ),
    ]


class _DeviceApi:
    """The handlers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registry = gateway.registry

    async def register(self, call: Call[None, Registration]) -> Response:
        """Register a device."""
        device, minted = await self._registry.register(*_checked(call.body))
        answer = Registered(device, minted.key, minted.id)
        return JsonResponse(answer, status_code=201, headers=NO_STORE)

    async def devices(self, call: Call[DevicesQuery, None]) -> Devices:
        """Give the devices."""
        found = await self._registry.devices(inactive=call.query.all)
        used, heard = await self._registry.last_used(), await self._heard()
        return Devices(
            [
                ListedDevice(
                    **msgspec.structs.asdict(device),
                    last_used_ns=used.get(device.id),
                    heard_ns=heard.get(device.id),
                )
                for device in found
                if call.who.may_read(device.id)
            ]
        )

    async def _heard(self) -> dict[str, int]:
        if not self._gateway.config.database.enabled:
            return {}
        async with self._gateway.pool.acquire() as connection:
            return await last_heard(connection)

    async def device(self, call: Call[None, None]) -> OneDevice:
        """Give a device."""
        device = call.path["device"]
        keys = await self._registry.keys(device)
        found = await self._registry.find(device)
        assert found is not None  # its keys are there, and no device is ever deleted
        return OneDevice(found, keys, await self._registry.refused(device))

    async def deactivate(self, call: Call[None, None]) -> DeviceChanged:
        """End a device."""
        return DeviceChanged(await self._registry.deactivate(call.path["device"]))

    async def rotate(self, call: Call[None, Rotation]) -> Response:
        """Give a device a new key."""
        minted = await self._registry.rotate(call.path["device"], call.body.overlap_s)
        return JsonResponse(NewKey(minted.key, minted.id), status_code=201, headers=NO_STORE)

    async def revoke(self, call: Call[None, None]) -> Keys:
        """End a key."""
        device = call.path["device"]
        await self._registry.revoke(device, call.path["key"])
        return Keys(await self._registry.keys(device))

    async def stats(self, call: Call[None, None]) -> StatsOfDevice:
        """Give the statistics of a device."""
        device = await self._readable(call.path["device"])
        async with self._gateway.pool.acquire() as connection:
            found = await of_device(connection, device)
        return StatsOfDevice(device, found.total, found.days, found.boots, found.refused)

    async def vehicle_stats(self, call: Call[None, None]) -> StatsOfVehicle:
        """Give the statistics of a vehicle."""
        vin = call.path["vin"]
        async with self._gateway.pool.acquire() as connection:
            found = await of_vehicle(connection, vin, call.who.visible(None))
        return StatsOfVehicle(vin, found.total, found.days)

    async def _readable(self, device: str) -> str:
        """Give the device, which must be known: a registered one, or the gateway."""
        if device != self._gateway.config.device and await self._registry.find(device) is None:
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
