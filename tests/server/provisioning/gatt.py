"""A stand-in for a device's Bluetooth: the layout of protocomm's characteristics, no radio.

The objects are bleak's own (services, characteristics, descriptors), so that what the transport
reads of them is what it would read of a real connection. Each endpoint is a characteristic whose
UUID is the service's with a 16-bit id of its own; descriptor 0x2901 names it. A write hands the
request to the device, the next read of the same characteristic gives the answer; a request that is
refused fails the write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.service import BleakGATTService
from bleak.exc import BleakError

from tests.firmware.provisioning.board import Rig

SERVICE = "021a9004-0382-4aea-bff4-6b3f1c5adfb4"
IDS = {
    "prov-ctrl": "ff4f",
    "prov-scan": "ff50",
    "prov-session": "ff51",
    "prov-config": "ff52",
    "proto-ver": "ff53",
    "custom-data": "ff54",
}
VALUE_LIMIT_BYTES = 512


def uuid(id_: str) -> str:
    """Give the service's UUID with another 16-bit id."""
    return SERVICE[:4] + id_ + SERVICE[8:]


class Peripheral:
    """A client of bleak's form that is connected to a board.

    Args:
        rig: the board.
        described: whether the characteristics carry their names.
    """

    def __init__(self, rig: Rig, *, described: bool = True) -> None:
        self.rig = rig
        self.is_connected = False
        self.fails: Exception | None = None
        self.cookie = b""
        self.answers: dict[str, bytes] = {}
        self.longest = 0
        self.names: dict[int, str] = {}
        other = BleakGATTService(None, 1, "00001801-0000-1000-8000-00805f9b34fb")
        self.services = [other, self._service(described)]

    def _service(self, described: bool) -> BleakGATTService:
        service = BleakGATTService(None, 40, SERVICE)
        handles: Iterator[int] = iter(range(41, 200))
        for name, id_ in IDS.items():
            characteristic = BleakGATTCharacteristic(
                None, next(handles), uuid(id_), ["read", "write"], lambda: 20, service
            )
            service.add_characteristic(characteristic)
            if described:
                descriptor = BleakGATTDescriptor(
                    None, next(handles), "00002901-0000-1000-8000-00805f9b34fb", characteristic
                )
                characteristic.add_descriptor(descriptor)
                self.names[descriptor.handle] = name
        return service

    async def connect(self) -> None:
        """Connect."""
        self.is_connected = True

    async def disconnect(self) -> None:
        """Disconnect."""
        self.is_connected = False

    async def read_gatt_descriptor(self, specifier: int) -> bytearray:
        """Give the name of an endpoint."""
        return bytearray(self.names[specifier].encode())

    async def write_gatt_char(self, specifier: Any, data: bytes, response: bool) -> None:
        """Hand a request to the board."""
        assert response, "protocomm's characteristics are written with response"
        if self.fails is not None:
            self.is_connected = False
            raise self.fails
        name = {uuid(id_): name for name, id_ in IDS.items()}[specifier.uuid]
        reply = self.rig.post(name, bytes(data), self.cookie)
        self.cookie = reply.headers.get("Set-Cookie", self.cookie.decode()).encode()
        if reply.status != 200:
            raise BleakError("Unlikely Error")
        assert len(reply.body) <= VALUE_LIMIT_BYTES, "longer than a characteristic can be"
        self.longest = max(self.longest, len(reply.body))
        self.answers[specifier.uuid] = reply.body

    async def read_gatt_char(self, specifier: Any) -> bytearray:
        """Give the answer to the last request."""
        return bytearray(self.answers.pop(specifier.uuid))


class Air:
    """What this computer's radio hears."""

    def __init__(self, peripheral: Peripheral | None, name: str = "PROV_1") -> None:
        self.peripheral, self.name = peripheral, name

    async def find(self, name: str) -> Peripheral | None:
        """Give the device of this name."""
        return self.peripheral if name == self.name else None

    def failures(self) -> tuple[type[Exception], ...]:
        """bleak's."""
        return BleakError, OSError, TimeoutError
