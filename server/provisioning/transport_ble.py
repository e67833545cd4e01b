"""To the device over Bluetooth LE, with bleak. Not yet proven on a radio: see docs/provisioning.md.

protocomm gives each endpoint a characteristic; its user description (descriptor 0x2901) is the
endpoint's name. Firmware without them is reached by the 16-bit ids that ESP-IDF puts into the
service's 128-bit UUID. A request is a write, its answer a read of the same characteristic.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from server.provisioning.errors import DeviceUnreachable, RequestRefused

SCAN_TIMEOUT_S = 15.0
TIMEOUT_S = 30.0
USER_DESCRIPTION = "2901"
SESSION_ENDPOINT = "prov-session"
NAME_LIMIT_BYTES = 64
ENDPOINT_IDS = {
    "ff4f": "prov-ctrl",
    "ff50": "prov-scan",
    "ff51": "prov-session",
    "ff52": "prov-config",
    "ff53": "proto-ver",
    "ff54": "custom-data",
}

_T = TypeVar("_T")


class GattClient(Protocol):
    """What is used of bleak.BleakClient."""

    @property
    def services(self) -> Iterable[Any]: ...

    @property
    def is_connected(self) -> bool: ...

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def read_gatt_descriptor(self, specifier: Any) -> bytearray: ...

    async def read_gatt_char(self, specifier: Any) -> bytearray: ...

    async def write_gatt_char(self, specifier: Any, data: bytes, response: bool) -> None: ...


class Bluetooth(Protocol):
    """The radio of this computer."""

    async def find(self, name: str) -> GattClient | None:
        """Look for a device by name or address; None when it is not heard."""
        ...

    def failures(self) -> tuple[type[Exception], ...]:
        """Give the exceptions by which an exchange can fail."""
        ...


class BleakBluetooth:
    """The radio as bleak offers it; imported only here, when it is used."""

    async def find(self, name: str) -> GattClient | None:
        """Look for a device by name or address."""
        from bleak import BleakClient, BleakScanner

        found = await BleakScanner.find_device_by_filter(
            lambda device, advertised: name in (device.name, advertised.local_name, device.address),
            timeout=SCAN_TIMEOUT_S,
        )
        client: Any = None if found is None else BleakClient(found)
        return client  # type: ignore[no-any-return]

    def failures(self) -> tuple[type[Exception], ...]:
        """Give bleak's exceptions."""
        from bleak.exc import BleakError

        return BleakError, OSError, TimeoutError


class BleTransport:
    """Writes and reads the characteristics of the provisioning service.

    Args:
        name: that the device advertises, or its address.
        bluetooth: this computer's radio.
    """

    # ESP-IDF's characteristics hold 512 bytes at most.
    networks_per_answer = 4

    def __init__(self, name: str, bluetooth: Bluetooth | None = None) -> None:
        self._name = name
        self._bluetooth = bluetooth or BleakBluetooth()
        self._loop = asyncio.new_event_loop()
        # bleak's connection lives in an event loop that has to go on between our requests.
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client: GattClient | None = None
        self._endpoints: dict[str, Any] = {}

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Send a request and give the answer."""
        try:
            failures = self._bluetooth.failures()
        except ImportError:
            raise DeviceUnreachable(
                "expected the library bleak for Bluetooth, found none; "
                "install it: pip install 'telerig[provision]'"
            ) from None
        try:
            return self._run(self._exchange(endpoint, body))
        except failures as error:
            told = " ".join(str(error).split()) or type(error).__name__
            if self._client is not None and self._client.is_connected:
                raise RequestRefused(endpoint, 0, told) from None
            raise DeviceUnreachable(
                f"expected a Bluetooth connection to {self._name!r}, found: {told}; is Bluetooth "
                "switched on here, and the device near and in provisioning mode?"
            ) from None

    async def _exchange(self, endpoint: str, body: bytes) -> bytes:
        if self._client is None:
            await self._connect()
        client = self._client
        assert client is not None
        characteristic = self._endpoints.get(endpoint)
        if characteristic is None:
            raise RequestRefused(endpoint, 404, "the device has no such characteristic")
        await client.write_gatt_char(characteristic, body, True)
        return bytes(await client.read_gatt_char(characteristic))

    async def _connect(self) -> None:
        client = await self._bluetooth.find(self._name)
        if client is None:
            raise DeviceUnreachable(
                f"expected a Bluetooth device {self._name!r}, heard none in {SCAN_TIMEOUT_S:g} s; "
                "is it near, powered and in provisioning mode?"
            )
        await client.connect()
        self._client = client
        for service in client.services:
            names = await self._names(client, service)
            if SESSION_ENDPOINT in names:
                self._endpoints = names
                return
        raise DeviceUnreachable(
            f"expected the provisioning service at {self._name!r}, found other services only; "
            "is it an ESP32 in provisioning mode?"
        )

    async def _names(self, client: GattClient, service: Any) -> dict[str, Any]:
        """Give the characteristics of a service by the names of their endpoints."""
        names = {}
        for characteristic in service.characteristics:
            name = ENDPOINT_IDS.get(str(characteristic.uuid)[4:8].lower(), "")
            if not _same_base(str(characteristic.uuid), str(service.uuid)):
                name = ""
            for descriptor in characteristic.descriptors:
                if str(descriptor.uuid)[4:8] == USER_DESCRIPTION:
                    told = await client.read_gatt_descriptor(descriptor.handle)
                    name = bytes(told)[:NAME_LIMIT_BYTES].rstrip(b"\0").decode("utf-8", "replace")
            if name:
                names[name.lower()] = characteristic
        return names

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        async def bounded() -> _T:
            async with asyncio.timeout(SCAN_TIMEOUT_S + TIMEOUT_S):
                return await work

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result()

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            with contextlib.suppress(TimeoutError, *self._bluetooth.failures()):
                self._run(self._client.disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()


def _same_base(left: str, right: str) -> bool:
    """Say whether two UUIDs differ in their 16-bit id at most."""
    return (left[:4] + left[8:]).lower() == (right[:4] + right[8:]).lower()
