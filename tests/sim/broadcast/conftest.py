"""A car on a bus, and what was heard there."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import simpy

from sim.broadcast import BroadcastSender
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.vehicle import FOCUS_ST, Drive, Vehicle


class Listener:
    """A car with its broadcasting control units and a listener on the bus.

    Attributes:
        frames: (t_s, frame) in the order in which they ended.
    """

    def __init__(self, drive: Drive, seed: int = 1, **options: Any) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env)
        self.vehicle = Vehicle(FOCUS_ST, drive, random.Random(seed))
        self.frames: list[tuple[float, CanFrame]] = []
        self.sender = BroadcastSender(
            self.env,
            self.bus,
            self.vehicle,
            random.Random(seed),
            vin=FOCUS_ST.vin,
            **options,
        )
        self.bus.attach("listener", lambda frame, t_s: self.frames.append((t_s, frame)))

    def run(self, until_s: float) -> None:
        self.env.run(until=until_s)

    def times_s(self, arbitration_id: int) -> list[float]:
        return [t_s for t_s, frame in self.frames if frame.arbitration_id == arbitration_id]

    def data(self, arbitration_id: int) -> list[bytes]:
        return [frame.data for _, frame in self.frames if frame.arbitration_id == arbitration_id]


@pytest.fixture
def listen() -> Callable[..., Listener]:
    return Listener
