"""A board in a car that stands still, with a firmware of a few lines."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import simpy

from sim.can.bus import CanBus
from sim.esp32 import Board, BoardSetup, HttpAnswer, HttpRequest
from sim.esp32.hal import BoardHal
from sim.gnss import Motion

EPOCH_NS = 1_777_622_400_000_000_000


class StandingCar:
    """A bus, and a place."""

    def __init__(self, env: simpy.Environment) -> None:
        self.bus = CanBus(env)

    def motion(self, _time_s: float) -> Motion:
        return Motion(50.0, 7.0, 300.0)


class NotingFirmware:
    """Notes each call; does what a test gives it to do."""

    def __init__(self, hal: BoardHal, bench: Bench) -> None:
        self.hal = hal
        self.bench = bench

    def start(self) -> None:
        self.bench.calls.append(("start", self.hal.ticks_ms()))
        if self.bench.on_start is not None:
            self.bench.on_start(self.hal)

    def poll(self) -> int:
        self.bench.calls.append(("poll", self.hal.ticks_ms()))
        return 1000 if self.bench.on_poll is None else self.bench.on_poll(self.hal)


class EchoInternet:
    """Answers after a while with what a test wants."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.delay_s = 0.1
        self.answer = HttpAnswer(200, b"answer")
        self.requests: list[HttpRequest] = []

    def exchange(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        self.requests.append(request)
        event = self.env.timeout(self.delay_s)
        event.callbacks.append(lambda _event: answer(self.answer))


class Bench:
    """A board, what its firmware was called for, and what it noted."""

    def __init__(self, setup: BoardSetup) -> None:
        self.env = simpy.Environment()
        self.car = StandingCar(self.env)
        self.calls: list[tuple[str, int]] = []
        self.notes: list[tuple[float, str]] = []
        self.console = b""
        self.on_start: Callable[[BoardHal], None] | None = None
        self.on_poll: Callable[[BoardHal], int] | None = None
        self.board = Board(
            self.env,
            "esp32",
            self.car,
            setup,
            lambda name: random.Random(name),
            EPOCH_NS,
            firmware=lambda hal: NotingFirmware(hal, self),
        )
        self.internet = EchoInternet(self.env)
        self.board.internet = self.internet
        self.board.on_note.append(lambda name, _: self.notes.append((self.env.now, name)))
        self.board.line.attach_host(self._hear)

    @property
    def hal(self) -> BoardHal:
        """The hardware layer of the board, whatever its firmware does."""
        return BoardHal(self.board)

    def at(self, time_s: float, action: Callable[[], Any]) -> None:
        """Do something at an instant."""
        event = self.env.timeout(time_s - self.env.now)
        event.callbacks.append(lambda _event: action())

    def run(self, until_s: float) -> None:
        self.env.run(until=until_s)

    def ticks_of(self, what: str) -> list[int]:
        return [ticks for name, ticks in self.calls if name == what]

    def _hear(self, data: bytes) -> None:
        self.console += data


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    """A bench whose board is not yet switched on; keywords change its set-up."""
    quiet = BoardSetup(crystal_ppm=0.0, drift_ppm_per_h=0.0)

    def make(*, hears_gnss: bool = False, **changes: Any) -> Bench:
        bench = Bench(replace(quiet, **changes))
        if not hears_gnss:
            bench.board.gnss.line.to_host.receiver = None
        return bench

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """The usual one."""
    return make_bench()
