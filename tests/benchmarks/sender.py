"""Devices that send batches to a gateway and know what was acknowledged.

Each device numbers its samples from 1 in one boot. A batch that is not acknowledged, for whatever
reason, is sent again as it was, until it is: so in the end everything is stored once, or something
is lost or doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field

import asyncpg

from server.history.reader import Wanted, columns
from server.wire.telemetry_pb2 import Readings

SIGNALS = ("RPM", "SPEED", "COOLANT_TEMP", "THROTTLE_POS", "MAF", "INTAKE_TEMP", "ENGINE_LOAD",
           "AMBIANT_AIR_TEMP", "FUEL_LEVEL", "INTAKE_PRESSURE")  # fmt: skip
SCALES = (0.25, 1.0, 1.0, 100 / 255, 0.01, 1.0, 100 / 255, 1.0, 100 / 255, 1.0)
ANSWER_TIMEOUT_S = 15.0


def device_key(device: str) -> str:
    """Give the fixed key of a device."""
    return f"load-key-of-{device}-0123456789abcdef"


def device_keys(devices: list[str]) -> str:
    """Give `[api] device_keys` as TOML."""
    return "[" + ", ".join(f'"{name}:{device_key(name)}"' for name in devices) + "]"


@dataclass
class Sender:
    """One device.

    Attributes:
        device: its id.
        acknowledged: samples that the gateway has answered for.
        rejected: samples that the gateway did not take, as its answers say.
        refusals: answers other than 2xx, and broken connections, by kind.
        latencies_ms: of answers, the last ten thousand.
    """

    device: str
    boot: int = 7
    acknowledged: int = 0
    sent: int = 0
    rejected: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    _seq: int = 1
    _levels: list[int] = field(default_factory=lambda: [400] * len(SIGNALS))
    _connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def __post_init__(self) -> None:
        self._chance = random.Random(self.device)

    def batch(self, samples: int, span_s: float) -> bytes:
        """Make the next batch: columns of signals that wander, up to now."""
        each = samples // len(SIGNALS)
        step_ns = round(span_s * 1e9 / each)
        first_ns = time.time_ns() - step_ns * each
        message = Readings(boot=self.boot, seq=self._seq)
        for place, (signal, scale) in enumerate(zip(SIGNALS, SCALES, strict=True)):
            level = self._levels[place]
            values = array("d")
            for _ in range(each):
                level = min(900, max(1, level + self._chance.randint(-3, 3)))
                values.append(min(100.0, level * scale) if scale < 1 else float(min(200, level)))
            self._levels[place] = level
            message.columns.add(
                signal=signal,
                first_time_ns=first_ns,
                step_ns=[step_ns],
                values=struct.pack(f"<{each}d", *values),
            )
        self._seq += each * len(SIGNALS)
        self.sent += each * len(SIGNALS)
        return message.SerializeToString()

    async def deliver(self, port: int, body: bytes, samples: int, stop: asyncio.Event) -> bool:
        """Send a batch until it is acknowledged; False where `stop` comes first."""
        while True:
            began_s = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    status = await self._post(port, body)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self.refusals[type(error).__name__] += 1
                self.disconnect()
                status = 0
            if 200 <= status < 300:
                self.acknowledged += samples
                self.latencies_ms.append((time.monotonic() - began_s) * 1000)
                del self.latencies_ms[:-10_000]
                return True
            if status:
                self.refusals[str(status)] += 1
                if status in (400, 413, 415, 422):
                    raise RuntimeError(f"{self.device}: a good batch was refused with {status}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await stop.wait()
                return False

    async def _post(self, port: int, body: bytes) -> int:
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = self._connection
        head = (
            "POST /api/v1/ingest/batch HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"x-api-key: {device_key(self.device)}\r\n"
            f"content-type: application/x-protobuf\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].split("\r\n")[0])
        told = json.loads(await reader.readexactly(length))
        self.rejected += told.get("rejected", 0)
        if "connection: close" in answer:
            self.disconnect()
        return int(answer.split()[1])

    def disconnect(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection[1].transport.abort()
            self._connection = None


async def stored(url: str, devices: list[str]) -> dict[str, int]:
    """Count what each device's readings are in the store, as anybody reads them."""
    connection = await asyncpg.connect(url)
    try:
        found = {}
        for device in devices:
            found[device] = 0
            async for column in columns(connection, Wanted(device)):
                found[device] += len(column.times_ns)
        return found
    finally:
        await connection.close()
