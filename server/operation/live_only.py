"""A gateway without a database (`[database] enabled = false`): all is shown live, nothing is kept.

Where the store stands otherwise: a hot log that keeps nothing, a pool that has no connection to
give. What needs stored data is answered with 503 and the reason. Devices are known by the fixed
keys of the configuration only, and what they send is published, with `kept` false.
"""

from __future__ import annotations

from typing import Any, NoReturn

from server.clock import Clock
from server.compat.edge import VEHICLES_IN_MEMORY, EdgeRecords, _State, _Vehicle
from server.devices.registry import Device, Registry, _Entry
from server.errors import StoreAway
from server.store.appends import Append, Appended
from server.store.devicelog import DeviceLog
from server.store.hotlog import Batch, HotLog

REASON = "nothing is kept: the gateway runs without a database ([database] enabled = false)"


class NoHotLog(HotLog):
    """Takes batches and keeps none."""

    def __init__(self, device: str, boot: int, clock: Clock) -> None:
        super().__init__("", device=device, boot=boot, clock=clock)

    async def open(self) -> None:
        """Do nothing."""

    async def append(self, batch: Batch) -> None:
        """Forget a batch."""

    async def close(self) -> None:
        """Do nothing."""


class NoPool:
    """Stands where connections come from, and has none."""

    async def __aenter__(self) -> NoPool:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def acquire(self, *, timeout: float | None = None) -> _NoConnection:
        """Give what refuses to be entered."""
        return _NoConnection()

    async def execute(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse.

        Raises:
            StoreAway: always.
        """
        raise StoreAway(REASON)

    fetch = fetchrow = fetchval = executemany = execute


class _NoConnection:
    async def __aenter__(self) -> NoReturn:
        raise StoreAway(REASON)

    async def __aexit__(self, *_: object) -> None:
        return None

    def __await__(self) -> NoReturn:
        raise StoreAway(REASON)


class NoDeviceLog(DeviceLog):
    """Takes what devices send and keeps none; everything counts as new."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("", clock=clock)

    async def append(self, append: Append) -> Appended:
        """Give everything back as new."""
        return Appended(append.pieces, 0)

    async def close(self, timeout_s: float = 0.0) -> None:
        """Do nothing."""

    def _refused(self) -> None:
        """Leave what was refused uncounted: nobody could ask for it."""


class FixedRegistry(Registry):
    """Knows the devices of the configuration, and none beside."""

    async def fresh(self) -> None:
        if not self._entries:
            now_ns = self._clock.now_ns()
            self._entries = {
                device: _Entry(Device(device, "", None, True, now_ns), ())
                for device in self._fixed.values()
            }

    async def last_used(self) -> dict[str, int]:
        """Know of none: keys of the configuration are not counted."""
        return {}

    async def adopt(self, device: str, name: str, vin: str | None) -> Device:
        """Know a device from now on."""
        self._check_not_own(device)
        await self.fresh()
        entry = self._entries.get(device)
        if entry is None:
            entry = _Entry(Device(device, name, vin, True, self._clock.now_ns()), ())
            self._entries[device] = entry
        return entry.device


class LiveEdgeRecords(EdgeRecords):
    """Completes the records of loggers from what came since the start."""

    async def _count(self) -> None:
        self._counted = True

    async def _vehicle(self, device: str) -> _Vehicle:
        vehicle = self._vehicles.get(device)
        if vehicle is None:
            vehicle = self._vehicles[device] = _Vehicle(_State({}, []))
            if len(self._vehicles) > VEHICLES_IN_MEMORY:
                self._vehicles.popitem(last=False)
        return vehicle
