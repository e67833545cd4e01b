"""Commands over HTTP; the operator's (header X-API-Key: the API secret).

GET  /api/v1/devices/{id}/templates       what the device can be told, with schemas
POST /api/v1/devices/{id}/commands        {name, parameters?, timeout_s?}; 202, queued
GET  /api/v1/devices/{id}/commands        the newest first; ?limit=&before=
GET  /api/v1/devices/{id}/commands/{n}    one; ?wait_s= waits for its end so long
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.answers import JsonResponse, Refusal, error_response
from server.control.command import OPEN, CommandStatus
from server.control.control import TIMEOUT_LIMIT_S, TIMEOUT_S
from server.devices.routes import device_of_path, unknown_device
from server.errors import CommandRefused
from server.requests import integer, known, read_json

if TYPE_CHECKING:
    from server.gateway import Gateway

COMMANDS_LIMIT = 1_000
COMMANDS_DEFAULT = 100
WAIT_LIMIT_S = 60
LOOK_S = 0.1
_INT64_MAX = 2**63 - 1


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """Body of an order."""

    name: str
    parameters: dict[str, Any] = {}
    timeout_s: Annotated[float, Meta(gt=0, le=TIMEOUT_LIMIT_S)] = TIMEOUT_S


_order = msgspec.json.Decoder(Order)


class CommandApi:
    """The endpoints of commands."""

    def __init__(self, gateway: Gateway) -> None:
        self._control = gateway.control
        self._registry = gateway.registry
        self._access = gateway.access

    @property
    def routes(self) -> list[Route]:
        """The paths."""
        one = "/api/v1/devices/{device}"
        return [
            Route(f"{one}/templates", self.templates, methods=["GET"]),
            Route(f"{one}/commands", self.order, methods=["POST"]),
            Route(f"{one}/commands", self.commands, methods=["GET"]),
            Route(f"{one}/commands/{{command}}", self.command, methods=["GET"]),
        ]

    async def templates(self, request: Request) -> Response:
        """Give what a device can be told."""
        device = await self._device(request)
        known(request, ())
        found = await self._control.templates(device)
        return JsonResponse({"device": device, "templates": found})

    async def order(self, request: Request) -> Response:
        """Queue a command."""
        device = await self._device(request, active=True)
        order = await read_json(request, _order)
        status = await self._control.order(device, order.name, order.parameters, order.timeout_s)
        return JsonResponse({"command": status}, status_code=202)

    async def commands(self, request: Request) -> Response:
        """Give the commands of a device."""
        device = await self._device(request)
        parameters = known(request, ("limit", "before"))
        limit = integer(parameters, "limit", COMMANDS_DEFAULT, 1, COMMANDS_LIMIT)
        before = integer(parameters, "before", _INT64_MAX, 1, _INT64_MAX)
        return JsonResponse({"commands": await self._control.commands(device, limit, before)})

    async def command(self, request: Request) -> Response:
        """Give one command, after its end where that is asked for."""
        device = await self._device(request)
        wait_s = integer(known(request, ("wait_s",)), "wait_s", 0, 0, WAIT_LIMIT_S)
        status = await self._find(device, request.path_params["command"])
        for _ in range(round(wait_s / LOOK_S)):
            if status.state not in OPEN:
                break
            await asyncio.sleep(LOOK_S)
            if not self._control.is_open(device, status.id):
                status = await self._find(device, str(status.id))
        return JsonResponse({"command": status})

    async def _find(self, device: str, text: str) -> CommandStatus:
        is_id = text.isascii() and text.isdigit() and len(text) < 19
        status = await self._control.command(device, int(text)) if is_id else None
        if status is None:
            raise Refusal(404, "command", f"the id of a command of {device}", repr(text[:40]))
        return status

    async def _device(self, request: Request, *, active: bool = False) -> str:
        self._access.operator(request)
        device = await self._registry.find(device_of_path(request))
        if device is None:
            raise unknown_device(request.path_params["device"])
        if active and not device.active:
            raise Refusal(409, "device", "an active device", f"{device.id!r} is deactivated")
        return device.id


async def command_refused(request: Request, error: Exception) -> Response:
    """Answer a CommandRefused (an exception handler of Starlette)."""
    assert isinstance(error, CommandRefused)
    return error_response(error.status, error.expected, error.found, error.where)
