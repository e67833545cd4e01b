"""Whose request it is: by a device's key, wherever the app can put it, or by a configured id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection
from starlette.types import Scope

from server.answers import Refusal
from server.devices.access import HEADER, unauthorized
from server.devices.registry import Device
from server.ingest.body import header

if TYPE_CHECKING:
    from server.dialects.config import TorqueSender
    from server.gateway import Gateway

_HEADER = HEADER.lower().encode()
HIDDEN = "…"


def key_of(scope: Scope, in_path: str, parameter: str | None) -> str:
    """Give the key: of the path, the header, a bearer token, the parameter; empty without one."""
    if in_path:
        return in_path
    given = header(scope, _HEADER)
    if given:
        return given
    scheme, _, token = header(scope, b"authorization").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return parameter or ""


def hide_key(scope: Scope, key: str) -> None:
    """Take a key out of the path, so that no log and no answer shows it."""
    if key and key in scope["path"]:
        scope["path"] = scope["path"].replace(key, HIDDEN)


async def device_of_key(gateway: Gateway, scope: Scope, key: str) -> Device:
    """Give the device of a key.

    Raises:
        Refusal: 401, 429.
    """
    kept = [pair for pair in scope["headers"] if pair[0] != _HEADER]
    if key:
        kept.append((_HEADER, key.encode("latin-1", "replace")))
    return await gateway.access.device(HTTPConnection({**scope, "headers": kept}))


async def device_of_torque(
    gateway: Gateway, scope: Scope, senders: dict[str, TorqueSender], id: str, eml: str
) -> Device:
    """Give the device of a phone that sent no key.

    Raises:
        Refusal: 401, it is none of the configured ones; 403, its device is not active.
    """
    sender = senders.get(id)
    if sender is None or (sender.eml and sender.eml.casefold() != eml.casefold()):
        expected = "a device key, or an id of [[dialects.torque_senders]]"
        raise unauthorized(expected, HTTPConnection(scope))
    device = await gateway.registry.find(sender.device)
    if device is None or not device.active:
        expected = f"device {sender.device!r} to be registered and active"
        raise Refusal(403, "id", expected, "no such device" if device is None else "deactivated")
    return device
