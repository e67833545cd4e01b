"""A bench for the adapter: the test is its host, and a second node stands for the car."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.serial_line import SerialLine
from sim.slcan import PROFILES, SlcanAdapter, SlcanMemory, SlcanProfile

SOON_S = 0.01  # every answer is there within it, whatever the profile's baud


class Bench:
    """An adapter with its line unpaced unless told otherwise.

    `clock` is a `WallClock` for clients in wall time; None steps virtual time by hand.
    """

    def __init__(
        self,
        profile: str | SlcanProfile = "lawicel_canusb",
        *,
        baud: int | None = None,
        paced: bool = False,
        bitrate_bps: int = 500_000,
        memory: SlcanMemory | None = None,
        clock: Any = None,
    ) -> None:
        self.clock = clock
        self.env = simpy.Environment() if clock is None else clock.env
        self.bus = CanBus(self.env, bitrate_bps)
        kind = PROFILES[profile] if isinstance(profile, str) else profile
        self.line = SerialLine(self.env, "can", baud or kind.baud, paced=paced)
        self.writes: list[tuple[float, bytes]] = []
        self.line.attach_host(lambda data: self.writes.append((self.env.now, data)))
        self.events: list[tuple[str, str]] = []
        self.adapter = SlcanAdapter(
            self.env,
            self.bus,
            self.line,
            kind,
            memory=memory,
            on_event=lambda _t_s, what, detail: self.events.append((what, detail)),
        )
        self.passed: list[CanFrame] = []
        self.bus.taps.append(lambda _t_s, _sender, frame: self.passed.append(frame))
        self.car = self.bus.attach("car", lambda _frame, _t_s: None)

    @property
    def counters(self) -> Any:
        """Those of the adapter."""
        return self.adapter.counters

    def type(self, characters: str | bytes, within_s: float = SOON_S) -> bytes:
        """Send characters as they are; return what comes within that time."""
        data = characters.encode("latin-1") if isinstance(characters, str) else characters
        self.writes.clear()
        self.line.feed(data)
        self.wait(within_s)
        return self.heard

    def ask(self, *commands: str) -> bytes:
        """Send commands with their CRs, in one write."""
        return self.type("".join(command + "\r" for command in commands))

    def broadcast(self, *frames: CanFrame) -> bytes:
        """Let the car send frames; return what the host hears of it."""
        self.writes.clear()
        for frame in frames:
            assert self.car.send(frame)
        self.wait(SOON_S)
        return self.heard

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.env.run(self.env.now + seconds)

    @property
    def heard(self) -> bytes:
        """What the host has received since it sent last."""
        return b"".join(data for _, data in self.writes)


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    """Build a bench; arguments as for `Bench`."""
    return Bench


@pytest.fixture
def bench() -> Bench:
    """A CANUSB that is open at the bus's 500 kbit/s."""
    made = Bench()
    assert made.ask("S6", "O") == b"\r\r"
    return made
