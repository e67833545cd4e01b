"""Uplinks that come by a link of the gateway itself, such as a serial line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from server.answers import Refusal
from server.errors import StoreError
from server.ingest.service import Sender
from server.ingest.uplink import Uplinks, read_uplink
from server.links.base import T, UplinkRefused
from server.readings import Reading, ReadingSink
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

    def __init__(self, uplinks: Uplinks, registry: Registered, vehicle: Callable[[], str]) -> None:
        self._uplinks = uplinks
        self._registry = registry
        self._vehicle = vehicle
        self._kept: dict[str, Any] = {}
        self._takers: list[ReadingSink] = []

    @property
    def vehicle(self) -> str:
        """The vehicle's number, as far as the gateway knows it; else empty."""
        return self._vehicle()

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """Give what is kept under this name; what `make` makes at the first time."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]
        return found

    def subscribe(self, take: ReadingSink) -> Callable[[], None]:
        """Hand accepted readings to `take` until the result is called."""
        takers = self._takers
        takers.append(take)
        return lambda: takers.remove(take) if take in takers else None

    def accepted(self, readings: Sequence[Reading]) -> None:
        """Hand readings on."""
        for take in tuple(self._takers):
            take(readings)

    async def uplink(self, message: bytes, *, device: str = "", key: str = "") -> bytes:
        """Take the message of a remote device and give the answer.

        Raises:
            UplinkRefused: nothing is acknowledged.
        """
        with _refusals():
            return await self._uplinks.take(await self._sender(message, device, key), message)

    async def store(self, readings: Sequence[Reading], *, device: str) -> int:
        """Commit readings of a device that does not number them; give how many were new.

        Raises:
            UplinkRefused: nothing is stored.
        """
        with _refusals():
            return await self._uplinks.plain(await self._configured(device), readings)

    async def boots(self, device: str) -> Sequence[int]:
        """Give the latest boots of a device, the newest first.

        Raises:
            UplinkRefused: the store is away.
        """
        with _refusals():
            return await self._uplinks.boots(device)

    async def _sender(self, message: bytes, device: str, key: str) -> Sender:
        if key:
            found = await self._registry.authenticate(key)
            if found is None:
                raise Refusal(401, "key", "a live key of an active device", "another key")
            return found
        if device:
            return await self._configured(device)
        claimed = read_uplink(message).device
        return _active(await self._registry.find(claimed), claimed)

    async def _configured(self, device: str) -> Sender:
        """Give a device that the configuration names, registered or not."""
        found = await self._registry.find(device)
        return LocalDevice(device) if found is None else _active(found, device)


def _active(found: Known | None, claimed: str) -> Sender:
    if found is None or not found.active:
        expected = "a registered, active device (or `device` in the link's table)"
        raise Refusal(403, "device", expected, repr(claimed[:80]))
    return found


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the path refuses into UplinkRefused."""
    try:
        yield
    except Refusal as refusal:
        raise UplinkRefused(str(refusal), again=refusal.status == 429) from refusal
    except (StoreError, *DATABASE_ERRORS) as error:
        raise UplinkRefused(f"not stored: {first_line(error)}", again=True) from error
