"""Whether anything is known of a device, and whether the one who asks may know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from server.errors import UnknownDevice

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.users.principal import Principal

_HEARD = "SELECT EXISTS (SELECT FROM sessions WHERE device = $1)"


def unknown_device(device: str) -> UnknownDevice:
    """Make the error of a device that is not known."""
    return UnknownDevice("device", "the id of a registered device", repr(device[:80]))


async def check_device(
    gateway: Gateway, connection: asyncpg.Connection, who: Principal, device: str
) -> None:
    """Let pass a device that is the gateway's own, registered, or was ever heard.

    Raises:
        UnknownDevice: it is none of these, or not for this one to see: the answer is the same.
    """
    if not who.may_read(device):
        raise unknown_device(device)
    if device == gateway.config.device or await gateway.registry.find(device) is not None:
        return
    if not await connection.fetchval(_HEARD, device):
        raise unknown_device(device)
