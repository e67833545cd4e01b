"""A tester on the bus of a car whose state the test sets by hand."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import pytest
import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel
from sim.ecu import Ecus, build_ecus
from sim.vehicle.state import VehicleState

FUNCTIONAL_ID = 0x7DF
ECM_ID, TCM_ID = 0x7E0, 0x7E1
REQUEST_IDS = (ECM_ID, TCM_ID, 0x720, 0x726, 0x730, 0x760)
VIN = "WF0DXXGAKDDK12345"


def cruising() -> VehicleState:
    """Return a car at 108 km/h in sixth gear."""
    return VehicleState(
        t_s=0.0, speed_mps=30.0, accel_mps2=0.0, distance_m=0.0, rpm=2487.3, gear=6,
        clutch_closed=True, pedal_pct=21.0, throttle_pct=24.3, brake_pct=0.0, engine_on=True,
        torque_nm=118.0, load_pct=44.2, absolute_load_pct=51.7, map_kpa=83.4, baro_kpa=101.3,
        boost_kpa=-17.9, maf_gps=21.37, lambda_ratio=1.0, fuel_rate_lph=6.13, fuel_used_l=0.1,
        fuel_level_pct=71.0, coolant_c=90.4, oil_c=93.1, intake_c=31.7, ambient_c=20.0,
        battery_v=14.123, timing_deg=22.3, rail_kpa=6043.0, run_time_s=312.6, overboost=False,
        st_trim_pct=1.2, lt_trim_pct=-2.7, grade=0.0, fuel_cut=False, closed_loop=True,
    )  # fmt: skip


class HandSetCar:
    """A vehicle that is in whatever state the test has put it."""

    def __init__(self) -> None:
        self.state = cruising()
        self.asked_t_s: list[float] = []

    def at(self, t_s: float) -> VehicleState:
        """Return the state that the test has set."""
        self.asked_t_s.append(t_s)
        return self.state


Sample = tuple[float, str, int, bytes, VehicleState]


class Bench:
    """The car's bus with its ECUs, and a tester that asks them."""

    def __init__(self, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env)
        self.car = HandSetCar()
        self.samples: list[Sample] = []
        self.frames: list[tuple[float, CanFrame]] = []
        self.answers: list[tuple[float, int, bytes]] = []
        self.ecus: Ecus = build_ecus(
            self.env, self.bus, self.car, lambda name: random.Random(f"{seed}/{name}"), VIN,
            on_sample=lambda *sample: self.samples.append(sample),
        )  # fmt: skip
        self.node = self.bus.attach("tester", self._on_frame)
        self._channels = {request_id: self._channel(request_id) for request_id in REQUEST_IDS}

    def _channel(self, request_id: int) -> IsoTpChannel:
        def heard(payload: bytes, _functional: bool) -> None:
            self.answers.append((self.env.now, request_id + 8, payload))

        return IsoTpChannel(self.env, self.node, request_id, request_id + 8, heard)

    def _on_frame(self, frame: CanFrame, t_s: float) -> None:
        self.frames.append((t_s, frame))
        for channel in self._channels.values():
            channel.on_frame(frame, t_s)

    def send(self, request: str, to: int = FUNCTIONAL_ID) -> None:
        """Put one single-frame request, written in hex, on the bus."""
        payload = bytes.fromhex(request)
        self.node.send(CanFrame(to, (bytes((len(payload),)) + payload).ljust(8, b"\x00")))

    def ask(self, request: str, to: int = FUNCTIONAL_ID, wait_s: float = 0.2) -> list[bytes]:
        """Send a request and return the answers of all ECUs, in the order of their addresses."""
        self.answers.clear()
        self.frames.clear()
        self.send(request, to)
        self.env.run(until=self.env.now + wait_s)
        return [payload for _t, _id, payload in sorted(self.answers, key=lambda answer: answer[1])]

    def talk(self, request: str, to: int = ECM_ID, wait_s: float = 0.1) -> str:
        """Send a request of any length to one ECU; return its answers in hex, joined by spaces."""
        self.answers.clear()
        self._channels[to].send(bytes.fromhex(request))
        self.env.run(until=self.env.now + wait_s)
        return " ".join(payload.hex() for _t, _id, payload in self.answers)

    def ask_ecm(self, request: str) -> bytes:
        """Ask the ECM alone and return its one answer."""
        (answer,) = self.ask(request, ECM_ID)
        return answer

    def run(self, for_s: float) -> None:
        """Let time pass."""
        self.env.run(until=self.env.now + for_s)

    def lines(self) -> list[str]:
        """Return the ECUs' frames since the last request as an ELM327 prints them with headers."""
        return [
            f"{frame.arbitration_id:03X}" + frame.data.hex().upper()
            for _t, frame in self.frames
            if frame.arbitration_id >= 0x7E8
        ]

    def drive_cycle(self, run_s: float = 60.0) -> None:
        """Start the engine, run it, and stop it again."""
        self.car.state.engine_on = True
        self.run(run_s)
        self.car.state.engine_on = False
        self.run(5.0)


@pytest.fixture
def bench() -> Bench:
    """A car that cruises, and a tester."""
    return Bench()


@pytest.fixture(scope="session")
def make_bench() -> Callable[[int], Bench]:
    """Make benches from seeds."""
    return Bench


@pytest.fixture
def make_state() -> Callable[..., VehicleState]:
    """Make states that differ from a cruising car in the given fields."""

    def make(**changes: object) -> VehicleState:
        return dataclasses.replace(cruising(), **changes)  # type: ignore[arg-type]

    return make
