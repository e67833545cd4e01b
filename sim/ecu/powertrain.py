"""The car's ECUs on its bus: ECM (7E0/7E8) and TCM (7E1/7E9), and those of the body."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from sim.can.bus import CanBus
from sim.ecu.addressing import Addressing
from sim.ecu.body import BODY
from sim.ecu.control_unit import RESPONSE_TIME_S, Car, ControlUnit, OnSample
from sim.ecu.identity import EcuIdentity
from sim.ecu.monitors import ENGINE_TESTS
from sim.ecu.pids import ENGINE_PIDS, GEAR_PID
from sim.ecu.plan import EcuPlan
from sim.ecu.uds.community import ENGINE_DIDS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

OBSERVE_EVERY_S = 1.0  # how often an ECU looks for engine start and stop, warm-up, distance

# The calibration names are made up, in Ford's manner.
ECM = EcuPlan(
    "ecm", 0x7E0, 0x7E8, EcuIdentity("ECM", "EngineControl", "DM5A-12A650-TRG"),
    tuple(ENGINE_PIDS), (0x01, 0x21, 0x30, 0x31, 0x41, 0x4D, 0x4E), ENGINE_TESTS, knows_vin=True,
    node_address=0x10, dids=ENGINE_DIDS, drives_engine=True,
    supported_codes=("P0101", "P0113", "P0118", "P0128", "P0335", "P0562", "U0101", "U0121"),
)  # fmt: skip
# What a Focus ST answers here is not known. The engine's parameters are left to the ECM alone: two
# answers to each functional request would halve the rate that the bus allows.
TCM = EcuPlan(
    "tcm", 0x7E1, 0x7E9, EcuIdentity("TCM", "TransmisCtrl", "DM5P-7Z369-TRG"),
    (0x1C, GEAR_PID), (0x01, 0x30, 0x41), node_address=0x18,
    supported_codes=("P0700", "P0705", "P0720", "U0100"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ecus:
    """The car's ECUs.

    Attributes:
        ecm, tcm: those that answer OBD.
        body: the others, in the order of their addresses.
    """

    ecm: ControlUnit
    tcm: ControlUnit
    body: tuple[ControlUnit, ...] = ()

    @property
    def all(self) -> tuple[ControlUnit, ...]:
        """Every ECU: those that answer OBD in the order of their addresses, then the others."""
        return (self.ecm, self.tcm, *self.body)

    def named(self, name: str) -> ControlUnit:
        """Return the ECU called `name`. Raises KeyError."""
        for unit in self.all:
            if unit.name == name:
                return unit
        known = ", ".join(unit.name for unit in self.all)
        raise KeyError(f"ECU: expected one of {known}; got {name!r}")

    def set_awake(self, awake: bool) -> None:
        """Switch the ignition: asleep, no ECU answers anything."""
        for unit in self.all:
            unit.awake = awake

    def attach(
        self,
        bus: CanBus,
        rng_of: Callable[[str], random.Random],
        *,
        on_sample: OnSample | None = None,
        addressing: Addressing = Addressing.NORMAL_11,
    ) -> None:
        """Let every ECU answer on a further bus, too; see `build_ecus` and `ControlUnit`."""
        for unit in self.all:
            rng = rng_of(f"ecu.{unit.name}")
            unit.attach(bus, rng, on_sample=on_sample, addressing=addressing)


def build_ecus(
    env: simpy.Environment,
    bus: CanBus,
    vehicle: Car,
    rng_of: Callable[[str], random.Random],
    vin: str,
    on_sample: OnSample | None = None,
    response_time_s: tuple[float, float] = RESPONSE_TIME_S,
    addressing: Addressing = Addressing.NORMAL_11,
) -> Ecus:
    """Put the car's ECUs on the bus.

    Args:
        env: the world's SimPy environment.
        bus: the car's bus.
        vehicle: gives the state at an instant.
        rng_of: component name -> random stream: "ecu.ecm", "ecu.tcm" and so on for the response
            times to J1979, "ecu.ecm.uds" and so on for those to UDS and for security seeds.
        vin: 17 characters.
        on_sample: see `ControlUnit`.
        response_time_s: shortest and longest response time, seconds.
        addressing: 11 or 29 bit identifiers.

    Raises:
        ValueError: the VIN has not 17 characters, or the response times are out of order.
    """
    units = [
        ControlUnit(
            env, bus, plan, vehicle, rng_of(f"ecu.{plan.name}"), vin,
            rng_of(f"ecu.{plan.name}.uds"), response_time_s=response_time_s,
            on_sample=on_sample, addressing=addressing,
        )
        for plan in (ECM, TCM, *BODY)
    ]  # fmt: skip
    ecus = Ecus(units[0], units[1], tuple(units[2:]))
    env.process(_observe(env, ecus.all))
    return ecus


def _observe(
    env: simpy.Environment, units: Iterable[ControlUnit]
) -> Generator[simpy.Event, object, None]:
    while True:
        for unit in units:
            unit.observe()
        yield env.timeout(OBSERVE_EVERY_S)
