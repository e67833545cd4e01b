"""A stand-in for an edge logger: rows, packets of the real encoder, uplinks."""

from __future__ import annotations

import math
import time
from typing import Any

from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan
from server.wire.telemetry_pb2 import Downlink, Uplink

PERIOD_MS = 100
START_MS = time.time_ns() // 1_000_000 - 3_000_000
"""Rows begin fifty minutes ago."""
SPEED, RPM, FUEL = 13, 12, 47


def plan() -> Profile:
    """Speed and engine speed in every row, fuel in every tenth and with an error bound."""
    return Profile.cold(
        PERIOD_MS,
        [
            SignalPlan(RPM, 1, 4, maximum=65535),
            SignalPlan(SPEED),
            SignalPlan(FUEL, 20, 51, divider=10, phase=3, bound=2),
        ],
    )


def row(number: int) -> list[int | None]:
    """The steps of a row: now and then one is missing."""
    steps: list[int | None] = [
        round(8000 + 2000 * math.sin(number / 30)),
        None if number % 50 == 7 else round(60 + 30 * math.sin(number / 50)),
    ]
    if number % 10 == 3:
        steps.append(200 - number // 100)
    return steps


def truth(rows: int) -> dict[tuple[int, int], float]:
    """What is to be stored of the first rows, by signal and instant; fuel within its bound."""
    found = {}
    for number in range(rows):
        time_ns = (START_MS + number * PERIOD_MS) * 1_000_000
        steps = row(number)
        for signal, scale, step in zip((RPM, SPEED, FUEL), (0.25, 1, 20 / 51), steps, strict=False):
            if step is not None:
                found[signal, time_ns] = step * scale
    return found


class Logger:
    """Packs rows and keeps packets until they are acknowledged."""

    def __init__(self, boot: int, device: str = "") -> None:
        self.boot = boot
        self.device = device
        self.profile = plan()
        self.encoder = Encoder(self.profile, boot)
        self.packets: list[bytes] = []
        self.rows = 0

    def drive(self, rows: int) -> list[bytes]:
        """Take rows; give the packets that they fill."""
        done = []
        for number in range(self.rows, self.rows + rows):
            packet = self.encoder.add(number, row(number))
            if packet is not None:
                done.append(packet)
        self.rows += rows
        packet = self.encoder.flush()
        if packet is not None:
            done.append(packet)
        self.packets += done
        return done

    def uplink(
        self,
        packets: list[bytes] | None = None,
        *,
        hello: bool = True,
        short: bool = False,
        **more: Any,
    ) -> bytes:
        """Make an uplink of packets; a short hello names the profile by its hash."""
        message = Uplink(boot=self.boot, device=self.device, **more)
        if hello:
            if short:
                message.hello.profile_hash = self.profile.hash
            else:
                message.hello.profile = self.profile.to_bytes()
            message.hello.firmware = "telerig-logger test"
            message.time.row = 0
            message.time.utc_ms = START_MS
            message.time.source = 1
        message.packets.extend(self.packets if packets is None else packets)
        return message.SerializeToString()

    def hear(self, downlink: bytes) -> Downlink:
        """Take an answer: later packets continue from what it acknowledges."""
        answer = Downlink.FromString(downlink)
        for seq in [answer.ack - 1, *answer.acked]:
            if seq >= 0:
                self.encoder.acknowledged(seq)
        return answer
