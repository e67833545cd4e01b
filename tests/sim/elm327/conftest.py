"""A bench for the adapter: a serial line, a CAN bus, and ECUs that answer from a script."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import simpy

from sim.can.bus import CanBus, CanNode
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel
from sim.elm327 import PROFILES, AdapterProfile, Elm327
from sim.serial_line import SerialLine

VIN = b"1D4GP00R55B123456"  # the datasheet's example (ELM327DSJ p.42)
ANSWERS = {
    "0100": "4100BE3EB811",
    "0105": "41057B",
    "010C": "410C1AF8",
    "010D": "410D32",
    "010405": "41043F0544",
    "0104050B0C": "41043F05440B210C17B8",  # p.45
    "0902": "490201" + VIN.hex(),
}


class ScriptedEcu:
    """Answers requests from a table after a fixed time; silent on everything else."""

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        request_id: int,
        answers: dict[str, str],
        response_s: float,
    ) -> None:
        self.env = env
        self.answers = {bytes.fromhex(k): bytes.fromhex(v) for k, v in answers.items()}
        self.response_s = response_s
        self.requests: list[bytes] = []
        self.node: CanNode = bus.attach(f"ecu {request_id:X}", self._on_frame)
        self.channel = IsoTpChannel(
            env, self.node, request_id + 8, request_id, self._on_message, functional_id=0x7DF
        )

    def _on_frame(self, frame: CanFrame, t_s: float) -> None:
        self.channel.on_frame(frame, t_s)

    def _on_message(self, payload: bytes, functional: bool) -> None:
        self.requests.append(payload)
        answer = self.answers.get(payload)
        if answer is not None:
            event = self.env.timeout(self.response_s)
            event.callbacks.append(lambda _: self.channel.send(answer))


class Bench:
    """An adapter between a host that is the test and a bus with scripted ECUs."""

    def __init__(
        self,
        profile: str | AdapterProfile = "elm327_v15",
        *,
        baud: int = 38400,
        paced: bool = True,
        response_s: float = 0.010,
        ecus: int = 1,
        bitrate_bps: int = 500_000,
        battery_v: float = 12.6,
    ) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env, bitrate_bps)
        self.line = SerialLine(self.env, "obd", baud, paced=paced)
        self.writes: list[tuple[float, bytes]] = []
        self.events: list[tuple[str, str]] = []
        self.bus_frames: list[CanFrame] = []
        self.bus.taps.append(lambda t_s, sender, frame: self.bus_frames.append(frame))
        self.line.attach_host(lambda data: self.writes.append((self.env.now, data)))
        self.adapter = Elm327(
            self.env,
            self.bus,
            self.line,
            PROFILES[profile] if isinstance(profile, str) else profile,
            random.Random(7),
            lambda: battery_v,
            lambda t_s, kind, detail: self.events.append((kind, detail)),
        )
        self.ecus = [
            ScriptedEcu(self.env, self.bus, 0x7E0 + i, ANSWERS, response_s) for i in range(ecus)
        ]
        self.car = self.bus.attach("car", lambda frame, t_s: None)  # for broadcast frames

    def ask(self, text: str, within_s: float = 30.0) -> str:
        """Send `text` and a CR; return what comes up to the prompt, or what came in that time."""
        return self.type(text + "\r", within_s)

    def type(self, characters: str, within_s: float = 30.0) -> str:
        """Send `characters` as they are; return what comes up to the prompt."""
        self.writes.clear()
        self.line.feed(characters.encode("latin-1"))
        end_s = self.env.now + within_s
        while b">" not in self.heard and self.env.peek() < end_s:
            self.env.step()
        if b">" not in self.heard:
            self.env.run(max(end_s, self.env.now + 1e-6))
        return self.heard.decode("latin-1")

    def setup(self, *commands: str) -> None:
        """Send commands that must be answered with OK."""
        for command in commands:
            answer = self.ask(command)
            assert answer.replace("\n", "").endswith("OK\r\r>"), (command, answer)

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.env.run(self.env.now + seconds)

    def broadcast(self, identifier: int, data: str, *, extended: bool = False) -> None:
        """Put a frame of the car on the bus and let it pass."""
        self.car.send(CanFrame(identifier, bytes.fromhex(data), extended))
        self.wait(0.001)

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
    """A genuine v1.5 with echo off on protocol 6."""
    made = Bench()
    made.setup("ATE0", "ATSP6")
    return made
