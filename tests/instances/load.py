"""Devices that send readings to any of several addresses, and know what was acknowledged.

Each numbers its readings from 1 in one boot. A batch that is not acknowledged is sent again as it
was, at the next address, until it is: in the end each is stored once, or is lost or doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from server.wire.telemetry_pb2 import Readings
from tests.benchmarks.sender import device_key

BOOT = 7
STEP_NS = 1_000_000
ANSWER_TIMEOUT_S = 3.0
AGAIN_S = 0.05
AT_REST_S = 1.0
SIGNAL = "RPM"

Address = tuple[str, int]


def value_of(seq: int) -> float:
    """Give the value of a device's reading."""
    return (seq % 32_000) / 4


class Device:
    """One device: readings of one signal, 1 ms apart by its own clock.

    Args:
        name: its id.
        boot: number of its run.
        readings: of a batch.
        period_s: from one batch to the next.
        base_ns: instant of reading 0.

    Attributes:
        acknowledged: number of the newest reading that the fleet has answered for.
        sent: number of the newest reading that was ever sent.
        refusals: answers other than 2xx, and broken connections, by kind.
        took: by address, numbers of readings that were acknowledged there, as (first, last).
    """

    def __init__(self, name: str, boot: int, readings: int, period_s: float, base_ns: int) -> None:
        self.name = name
        self.boot = boot
        self.base_ns = base_ns
        self.acknowledged = 0
        self.sent = 0
        self.refusals: Counter[str] = Counter()
        self.took: dict[Address, list[tuple[int, int]]] = {}
        self._readings = readings
        self._period_s = period_s
        self._open: dict[Address, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._chance = random.Random(name)

    def time_ns(self, seq: int) -> int:
        """Give the instant of a reading."""
        return self.base_ns + seq * STEP_NS

    async def run(self, load: Load) -> None:
        """Send until the load ends, and everything that was begun until it is acknowledged."""
        await asyncio.sleep(self._chance.uniform(0, self._period_s))
        due_s = time.monotonic()
        turn = self._chance.randrange(1_000)
        try:
            while not load.ends:
                first = self.sent + 1
                body = self._batch(first)
                self.sent += self._readings
                while True:
                    address = load.address_of(self.name, turn)
                    if await self._post(address, body):
                        break
                    turn += 1
                    await asyncio.sleep(AGAIN_S)
                if load.hops:
                    turn += 1
                self.acknowledged = self.sent
                self.took.setdefault(address, []).append((first, self.sent))
                # What was late is not caught up: a device has no second mouth.
                due_s = max(due_s + self._period_s, time.monotonic() - self._period_s)
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        finally:
            for address in list(self._open):
                self._disconnect(address)

    def _batch(self, first: int) -> bytes:
        message = Readings(boot=self.boot, seq=first)
        values = [value_of(first + place) for place in range(self._readings)]
        message.columns.add(
            signal=SIGNAL,
            first_time_ns=self.time_ns(first),
            step_ns=[STEP_NS],
            values=struct.pack(f"<{len(values)}d", *values),
        )
        return message.SerializeToString()

    async def _post(self, address: Address, body: bytes) -> bool:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                status = await self._ask(address, body)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.refusals[type(error).__name__] += 1
            self._disconnect(address)
            return False
        if 200 <= status < 300:
            return True
        self.refusals[str(status)] += 1
        if status in (400, 401, 403, 413, 415, 422):
            raise RuntimeError(f"{self.name}: a good batch was refused with {status}")
        return False

    async def _ask(self, address: Address, body: bytes) -> int:
        if address not in self._open:
            self._open[address] = await asyncio.open_connection(*address)
        reader, writer = self._open[address]
        head = (
            f"POST /api/v1/ingest/batch HTTP/1.1\r\nhost: {address[0]}\r\n"
            f"x-api-key: {device_key(self.name)}\r\n"
            f"content-type: application/x-protobuf\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].split("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in answer:
            self._disconnect(address)
        return int(answer.split()[1])

    def _disconnect(self, address: Address) -> None:
        if address in self._open:
            # Held until its transport is closed: it complains otherwise.
            _, writer = self._open.pop(address)
            writer.transport.abort()


class Load:
    """Devices that send, around a block; at its end everything begun is acknowledged.

    Args:
        devices: names.
        addresses: of gateways, or of what stands before them.
        hops: each device goes to another address with each batch; else it stays where it is
            answered.
        readings: of a batch.
        period_s: of each device.
        boot: number of the run of each device.

    Attributes:
        devices: by name.
        ends: whether devices begin no more.
    """

    def __init__(
        self,
        devices: Sequence[str],
        addresses: Sequence[Address],
        *,
        hops: bool = False,
        readings: int = 5,
        period_s: float = 0.1,
        boot: int = BOOT,
    ) -> None:
        base_ns = time.time_ns()
        base_ns -= base_ns % STEP_NS
        self.boot = boot
        self.devices = {name: Device(name, boot, readings, period_s, base_ns) for name in devices}
        self.hops = hops
        self.ends = False
        self._addresses = list(addresses)
        self._tasks: list[asyncio.Task[None]] = []

    def address_of(self, device: str, turn: int) -> Address:
        """Give where a device tries next."""
        return self._addresses[turn % len(self._addresses)]

    @property
    def acknowledged(self) -> int:
        """Readings."""
        return sum(device.acknowledged for device in self.devices.values())

    @property
    def refusals(self) -> Counter[str]:
        """Of all devices."""
        return sum((device.refusals for device in self.devices.values()), Counter())

    async def at_rest(self) -> dict[str, int]:
        """Return when nothing more is acknowledged, because nobody can take it; give up to where
        everything is, by device."""
        while True:
            before = self.acknowledged
            await asyncio.sleep(AT_REST_S)
            if self.acknowledged == before:
                return {device.name: device.acknowledged for device in self.devices.values()}

    async def grows_by(self, readings: int, patience_s: float = 20.0) -> None:
        """Return when so many more readings are acknowledged."""
        wanted, due_s = self.acknowledged + readings, time.monotonic() + patience_s
        while self.acknowledged < wanted:
            self._raise()
            if time.monotonic() > due_s:
                raise AssertionError(
                    f"expected {readings} more readings acknowledged within {patience_s:g} s,"
                    f" {wanted - self.acknowledged} are missing; refusals: {dict(self.refusals)}"
                )
            await asyncio.sleep(0.01)

    async def end(self, patience_s: float = 30.0) -> None:
        """Begin no more, and wait for the acknowledgements."""
        self.ends = True
        done, pending = await asyncio.wait(self._tasks, timeout=patience_s)
        for task in done:
            task.result()
        if pending:
            raise AssertionError(
                f"{len(pending)} devices are not answered in {patience_s:g} s: {self.refusals}"
            )

    def _raise(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(device.run(self), name=name)
            for name, device in self.devices.items()
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.end()
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
