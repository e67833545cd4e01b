"""The registry of this very gateway, for the thread in which a device is provisioned."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, TypeVar

from server.api.problems import KNOWN
from server.errors import DeviceConflict
from server.history.pages import read_page
from server.history.wanted import Wanted
from server.provisioning.errors import ProvisionError
from server.provisioning.gateway_api import Credentials, GatewayUnreachable
from server.store.connection import STORE_ERRORS

if TYPE_CHECKING:
    from server.gateway import Gateway

PATIENCE_S = 30.0

_T = TypeVar("_T")


class OwnRegistrar:
    """As `GatewayApi`, without HTTP; called in another thread than the gateway's loop.

    Args:
        gateway: that registers.
        loop: its event loop.
    """

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self._gateway, self._loop = gateway, loop
        self._registry = gateway.registry

    def register(self, device: str, vin: str | None) -> Credentials:
        """Register a device, or mint another key for one that is registered."""
        return self._do(self._register(device, vin))

    def revoke(self, credentials: Credentials) -> None:
        """End a key that is of no use."""
        if credentials.key_id is not None:
            self._do(self._registry.revoke(credentials.device, credentials.key_id))

    def has_reading(self, credentials: Credentials) -> bool:
        """Say whether a reading has come since the key was made."""
        return self._do(self._has_reading(credentials))

    def end_older(self, credentials: Credentials) -> None:
        """End the keys that the device had before: it has shown that it uses the new one."""
        for key in credentials.older:
            self._do(self._registry.revoke(credentials.device, key))

    async def _register(self, device: str, vin: str | None) -> Credentials:
        known_before = False
        try:
            if device == self._gateway.config.device:
                raise DeviceConflict("device", "an id of its own", f"{device!r}, the gateway's")
            _, minted = await self._registry.register(device, "", vin)
        except DeviceConflict:
            if await self._registry.find(device) is None:
                raise
            known_before = True
            minted = await self._registry.rotate(device, None)
        keys = await self._registry.keys(device)
        made_ns = next((key.made_ns for key in keys if key.id == minted.id), 0)
        older = tuple(key.id for key in keys if key.live and key.id != minted.id)
        return Credentials(device, minted.key, minted.id, made_ns, known_before, older)

    async def _has_reading(self, credentials: Credentials) -> bool:
        start_ns = credentials.since_ns if credentials.known_before else 0
        wanted = Wanted(credentials.device, start_ns=start_ns)
        async with self._gateway.pool.acquire() as connection:
            page = await read_page(connection, wanted, limit=1)
        return bool(page.readings)

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(PATIENCE_S)
        except FutureTimeoutError:
            future.cancel()
            raise GatewayUnreachable(
                f"expected an answer of the gateway's database within {PATIENCE_S:g} s, found none"
            ) from None
        except STORE_ERRORS as error:
            raise GatewayUnreachable(f"the gateway's database is away: {error}") from None
        except KNOWN as error:
            raise ProvisionError(f"the gateway did not register the device: {error}") from None
