"""Clients of the live stream that note which reading came when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.instances.gateways import SECRET
from tests.instances.load import BOOT, Load, value_of

PATIENCE_S = 20.0


class Listener:
    """One client at one address, which takes everything.

    Args:
        address: of a gateway or of what stands before it, "127.0.0.1:8000".
        name: in messages.
        boot: of the devices' runs that it notes.

    Attributes:
        newest: by device, number of the newest reading.
        seen: by device, numbers of readings.
        faults: what must not be: readings doubled, out of order, with a wrong value, left out.
        others: messages of other types, by type.
        came_s: by device, monotonic instants at which a message came, and its last number.
        lost: why the connection ended; empty while it lasts.
    """

    def __init__(self, address: str, name: str = "", boot: int = BOOT) -> None:
        self._boot = boot
        self.name = name or address
        self.newest: dict[str, int] = {}
        self.seen: dict[str, set[int]] = {}
        self.faults: list[str] = []
        self.others: list[dict[str, Any]] = []
        self.came_s: dict[str, list[tuple[float, int]]] = {}
        self.lost = ""
        self._url = f"ws://{address}/api/v1/live?form=rows&heartbeat=1"
        self._up = asyncio.Event()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name=f"listener {self.name}")
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait(
            {up, self._task}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S
        )
        up.cancel()
        assert self._up.is_set(), f"listener {self.name}: {self.lost or 'no hello'}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        headers = {"X-API-Key": SECRET}
        try:
            async with connect(
                self._url, additional_headers=headers, proxy=None, max_size=None, ping_interval=None
            ) as socket:
                async for text in socket:
                    self._take(json.loads(text))
        except (OSError, WebSocketException) as error:
            self.lost = f"{type(error).__name__}: {error}"
        else:
            self.lost = "closed"

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "readings":
            if message["boot"] == self._boot:
                self._readings(message["device"], message["readings"])
                self._more.set()
                self._more = asyncio.Event()
        elif kind == "hello":
            self._up.set()
        elif kind in ("dropped", "gap"):
            self.faults.append(f"{self.name}: {message}")
        elif kind != "heartbeat":
            self.others.append(message)

    def _readings(self, device: str, rows: list[list[Any]]) -> None:
        seen = self.seen.setdefault(device, set())
        newest = self.newest.get(device, 0)
        for seq, _, _, value, _, _ in rows:
            if seq in seen:
                self.faults.append(f"{self.name}: {device} {seq} doubled")
            elif seq <= newest:
                self.faults.append(f"{self.name}: {device} {seq} after {newest}")
            if value != value_of(seq):
                self.faults.append(f"{self.name}: {device} {seq} has value {value}")
            seen.add(seq)
            newest = max(newest, seq)
        self.newest[device] = newest
        self.came_s.setdefault(device, []).append((time.monotonic(), newest))

    async def until(self, holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Wait until something holds, looked at with each message; tell whether it does."""
        due_s = time.monotonic() + patience_s
        while not holds():
            more = self._more
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await more.wait()
            if time.monotonic() > due_s:
                return holds()
        return True

    def lacks(self, load: Load, after: Mapping[str, int]) -> int:
        """Count what was acknowledged and has not come, behind these numbers of the devices."""
        return sum(
            seq not in self.seen.get(device.name, ())
            for device in load.devices.values()
            for seq in range(after[device.name] + 1, device.acknowledged + 1)
        )

    async def has_all(self, load: Load, patience_s: float = PATIENCE_S) -> None:
        """Check that everything acknowledged has come once, and in each device's order.

        The client was there before the load.
        """
        await self.until(
            lambda: all(
                len(self.seen.get(device.name, ())) >= device.acknowledged
                for device in load.devices.values()
            ),
            patience_s,
        )
        assert not self.faults, self.faults[:10]
        for device in load.devices.values():
            missing = set(range(1, device.acknowledged + 1)) - self.seen.get(device.name, set())
            assert not missing, (
                f"{self.name}: {device.name} lacks {len(missing)} of {device.acknowledged},"
                f" {min(missing)} to {max(missing)}; connection: {self.lost or 'open'};"
                f" acknowledged by {places_of(device.took, missing)}"
            )


def places_of(took: dict[Any, list[tuple[int, int]]], numbers: set[int]) -> list[Any]:
    """Give who has acknowledged these readings."""
    return [
        address
        for address, parts in took.items()
        if any(number in numbers for first, last in parts for number in range(first, last + 1))
    ]
