"""Uplinks that come by a link of the gateway itself, such as a serial line."""

from __future__ import annotations

from typing import Protocol

import msgspec

from server.answers import Refusal
from server.errors import StoreError
from server.ingest.service import Sender
from server.ingest.uplink import Uplinks, read_uplink
from server.links.base import UplinkRefused
from server.store.connection import DATABASE_ERRORS, first_line


class Known(Sender, Protocol):
    """A device as the registry knows it."""

    @property
    def active(self) -> bool:
        """Whether it may send."""


class Registered(Protocol):
    """Who knows the devices (`server.devices.registry`)."""

    async def authenticate(self, key: str) -> Known | None:
        """Give the device of a key."""

    async def find(self, device: str) -> Known | None:
        """Give a device by its id."""


class LocalDevice(msgspec.Struct, frozen=True):
    """A device that only the configuration knows: whoever can write that may plug it in."""

    id: str
    vin: str | None = None


class GatewayServices:
    """What links may ask of the gateway (`server.links.base.LinkServices`)."""

    def __init__(self, uplinks: Uplinks, registry: Registered) -> None:
        self._uplinks = uplinks
        self._registry = registry

    async def uplink(self, message: bytes, *, device: str = "", key: str = "") -> bytes:
        """Take the message of a remote device and give the answer.

        Raises:
            UplinkRefused: nothing is acknowledged.
        """
        try:
            return await self._uplinks.take(await self._sender(message, device, key), message)
        except Refusal as refusal:
            raise UplinkRefused(str(refusal), again=refusal.status == 429) from refusal
        except (StoreError, *DATABASE_ERRORS) as error:
            raise UplinkRefused(f"not stored: {first_line(error)}", again=True) from error

    async def _sender(self, message: bytes, device: str, key: str) -> Sender:
        if key:
            found = await self._registry.authenticate(key)
            if found is None:
                raise Refusal(401, "key", "a live key of an active device", "another key")
            return found
        claimed = device or read_uplink(message).device
        found = await self._registry.find(claimed)
        if found is None and device:
            return LocalDevice(device)
        if found is None or not found.active:
            expected = "a registered, active device (or `device` in the link's table)"
            raise Refusal(403, "device", expected, repr(claimed[:80]))
        return found
