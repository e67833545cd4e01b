"""Commands over HTTP.

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

from server.answers import Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import INT64_MAX, Identifier
from server.control.command import OPEN, CommandStatus
from server.control.control import TIMEOUT_LIMIT_S, TIMEOUT_S
from server.control.templates import Template
from server.devices.routes import ONE, unknown_device

if TYPE_CHECKING:
    from server.gateway import Gateway

COMMANDS_LIMIT = 1_000
COMMANDS_DEFAULT = 100
WAIT_LIMIT_S = 60
LOOK_S = 0.1
LOOKS_OF_TABLE = 10


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """Body of an order."""

    name: str
    parameters: dict[str, Any] = {}
    timeout_s: Annotated[float, Meta(gt=0, le=TIMEOUT_LIMIT_S)] = TIMEOUT_S


class Templates(msgspec.Struct, frozen=True):
    """What a device can be told."""

    device: str
    templates: list[Template]


class OneCommand(msgspec.Struct, frozen=True):
    """A command."""

    command: CommandStatus


class Commands(msgspec.Struct, frozen=True):
    """Commands of a device, the newest first."""

    commands: list[CommandStatus]


class CommandsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A part of the commands; `before`: those with smaller numbers."""

    limit: Annotated[int, Meta(ge=1, le=COMMANDS_LIMIT)] = COMMANDS_DEFAULT
    before: Identifier = INT64_MAX


class CommandQuery(msgspec.Struct, forbid_unknown_fields=True):
    """How long to wait for the end of the command."""

    wait_s: Annotated[int, Meta(ge=0, le=WAIT_LIMIT_S)] = 0


class _CommandPath(msgspec.Struct):
    command: Identifier


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    api = _CommandApi(gateway)
    return [
        Endpoint(
            "GET",
            f"{ONE}/templates",
            api.templates,
            role=Role.VIEWER,
            summary="Give what a device can be told, with schemas",
            tag="commands",
            answer=Templates,
        ),
        Endpoint(
            "POST",
            f"{ONE}/commands",
            api.order,
            role=Role.OPERATOR,
            summary="Order a command; it goes out with the next answer to the device",
            tag="commands",
            body=Order,
            answer=OneCommand,
            status=202,
            also=(
                (403, "`[control] allowed` does not list it."),
                (409, "The device is deactivated, or the vehicle moves and it must not."),
                (429, "Too many commands of the device are open."),
            ),
        ),
        Endpoint(
            "GET",
            f"{ONE}/commands",
            api.commands,
            role=Role.VIEWER,
            summary="Give the commands of a device, the newest first",
            tag="commands",
            query=CommandsQuery,
            answer=Commands,
        ),
        Endpoint(
            "GET",
            f"{ONE}/commands/{{command}}",
            api.command,
            role=Role.VIEWER,
            summary="Give one command, after its end where that is waited for",
            tag="commands",
            query=CommandQuery,
            answer=OneCommand,
            path_types=_CommandPath,
        ),
    ]


class _CommandApi:
    """The handlers."""

    def __init__(self, gateway: Gateway) -> None:
        self._control = gateway.control
        self._registry = gateway.registry

    async def templates(self, call: Call[None, None]) -> Templates:
        """Give what a device can be told."""
        device = await self._device(call.path["device"])
        return Templates(device, await self._control.templates(device))

    async def order(self, call: Call[None, Order]) -> OneCommand:
        """Queue a command."""
        device = await self._device(call.path["device"], active=True)
        order = call.body
        return OneCommand(
            await self._control.order(device, order.name, order.parameters, order.timeout_s)
        )

    async def commands(self, call: Call[CommandsQuery, None]) -> Commands:
        """Give the commands of a device."""
        device = await self._device(call.path["device"])
        query = call.query
        return Commands(await self._control.commands(device, query.limit, query.before))

    async def command(self, call: Call[CommandQuery, None]) -> OneCommand:
        """Give one command."""
        device = await self._device(call.path["device"])
        status = await self._find(device, call.path["command"])
        for look in range(1, 1 + round(call.query.wait_s / LOOK_S)):
            if status.state not in OPEN:
                break
            await asyncio.sleep(LOOK_S)
            # What ended elsewhere is heard of; should that ever fail, the table knows.
            if not self._control.is_open(device, status.id) or look % LOOKS_OF_TABLE == 0:
                status = await self._find(device, status.id)
        return OneCommand(status)

    async def _find(self, device: str, number: int) -> CommandStatus:
        status = await self._control.command(device, number)
        if status is None:
            raise Refusal(404, "command", f"the id of a command of {device}", str(number))
        return status

    async def _device(self, asked: str, *, active: bool = False) -> str:
        device = await self._registry.find(asked)
        if device is None:
            raise unknown_device(asked)
        if active and not device.active:
            raise Refusal(409, "device", "an active device", f"{device.id!r} is deactivated")
        return device.id
