"""The two ECUs of the car's powertrain: ECM (7E0/7E8) and TCM (7E1/7E9)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import simpy

from sim.can.bus import CanBus
from sim.ecu.diagnostics import diagnostic_pids
from sim.ecu.dtc import DtcStore
from sim.ecu.ecu import Ecu
from sim.ecu.identity import EcuIdentity, information_items
from sim.ecu.monitors import ENGINE_TESTS, MonitorTest
from sim.ecu.parameter import PidSpec
from sim.ecu.pids import ENGINE_PIDS, GEAR_PID, STATE_PIDS
from sim.ecu.services import (
    ClearCodes,
    CurrentData,
    FreezeFrameData,
    MonitorResults,
    OnPid,
    ReadState,
    Service,
    TroubleCodes,
    VehicleInformation,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from sim.vehicle.state import VehicleState

RESPONSE_TIME_S = (0.008, 0.020)  # a high-speed CAN car answers within 0-20 ms (forscan.org t=6142)
OBSERVE_EVERY_S = 1.0  # how often an ECU looks for engine start and stop, warm-up, distance

OnSample = Callable[[float, str, int, bytes, "VehicleState"], None]


class Car(Protocol):
    """What the ECUs need of a vehicle."""

    def at(self, t_s: float, /) -> VehicleState:
        """Return the state at `t_s` virtual seconds; `t_s` never decreases."""
        ...


@dataclass(frozen=True, slots=True)
class EcuPlan:
    """What distinguishes one ECU of the powertrain from another.

    Attributes:
        name: node on the bus and component of the random stream.
        request_id, response_id: physical addresses.
        identity: what it calls itself.
        state_pids: mode 01 parameters that follow from the vehicle state.
        diagnostic_pids: mode 01 parameters that follow from its trouble codes.
        tests: on-board tests of service 06; none = the service is not supported.
        knows_vin: True for the ECU that reports the VIN.
    """

    name: str
    request_id: int
    response_id: int
    identity: EcuIdentity
    state_pids: tuple[int, ...]
    diagnostic_pids: tuple[int, ...]
    tests: tuple[MonitorTest, ...] = ()
    knows_vin: bool = False


# The calibration names are made up, in Ford's manner.
ECM = EcuPlan(
    "ecm", 0x7E0, 0x7E8, EcuIdentity("ECM", "EngineControl", "DM5A-12A650-TRG"),
    tuple(ENGINE_PIDS), (0x01, 0x21, 0x30, 0x31, 0x41, 0x4D, 0x4E), ENGINE_TESTS, knows_vin=True,
)  # fmt: skip
# What a Focus ST answers here is not known. The engine's parameters are left to the ECM alone: two
# answers to each functional request would halve the rate that the bus allows.
TCM = EcuPlan(
    "tcm", 0x7E1, 0x7E9, EcuIdentity("TCM", "TransmisCtrl", "DM5P-7Z369-TRG"),
    (0x1C, GEAR_PID), (0x01, 0x30, 0x41),
)  # fmt: skip


class PowertrainEcu:
    """An ECU that answers J1979 and keeps trouble codes; on one bus, or on several (`attach`).

    Args:
        env: the world's SimPy environment.
        bus: the bus it sits on.
        plan: which ECU it is.
        car: the vehicle whose state it measures.
        rng: its own random stream.
        vin: 17 characters.
        response_time_s: shortest and longest response time.
        on_sample: called as on_sample(t_s, name, pid, data, state) for each mode 01 PID answered,
            at the instant it is sampled; bitmaps do not count.

    Attributes:
        ecu: the addressable unit on the first bus: response time, counters.
        pids: its mode 01 parameters, PID -> spec. Adding one is enough to have it answered and
            shown in the bitmap.
        dtcs: its trouble codes.
        awake: False = ignition off: the ECU answers nothing.
        muted: True lets it answer nothing on any bus; for faults. `Ecu.muted` is that of one bus.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        plan: EcuPlan,
        car: Car,
        rng: random.Random,
        vin: str,
        *,
        response_time_s: tuple[float, float] = RESPONSE_TIME_S,
        on_sample: OnSample | None = None,
    ) -> None:
        self.name = plan.name
        self.awake = True
        self.muted = False
        self.dtcs = DtcStore(capture=self._capture)
        codes = diagnostic_pids(self.dtcs, engine=plan.name == ECM.name)
        self.pids: dict[int, PidSpec] = {pid: STATE_PIDS[pid] for pid in plan.state_pids}
        self.pids.update((pid, codes[pid]) for pid in plan.diagnostic_pids)
        self._env = env
        self._car = car
        self._plan = plan
        self._freezable = plan.state_pids
        information = information_items(plan.identity, self.dtcs, vin if plan.knows_vin else None)
        self._read_state: ReadState = lambda: car.at(env.now)
        self._services = [*self._code_services(), VehicleInformation(information)]
        self.ecu = self._unit(bus, rng, response_time_s, on_sample)
        env.process(self._observe())

    def attach(self, bus: CanBus, rng: random.Random, *, on_sample: OnSample | None = None) -> Ecu:
        """Answer on a further bus, too: the same parameters, codes, ignition and mute.

        Each bus has its queue of requests; response times begin as those of the first one.

        Args:
            bus: the further bus.
            rng: random stream of the response times there.
            on_sample: as above, for the values that are asked for there.
        """
        unit = self._unit(bus, rng, self.ecu.response_time_s, on_sample)
        unit.service_times_s = self.ecu.service_times_s
        return unit

    def _unit(
        self,
        bus: CanBus,
        rng: random.Random,
        response_time_s: tuple[float, float],
        on_sample: OnSample | None,
    ) -> Ecu:
        plan = self._plan
        current = CurrentData(self.pids, self._read_state, self._on_pid(on_sample))
        return Ecu(
            self._env, bus, plan.name, plan.request_id, plan.response_id,
            [current, *self._services], response_time_s, rng,
            is_awake=lambda: self.awake and not self.muted,
        )  # fmt: skip

    def _code_services(self) -> list[Service]:
        dtcs, read_state, tests = self.dtcs, self._read_state, self._plan.tests
        services: list[Service] = [
            FreezeFrameData(dtcs, self._freezable),
            TroubleCodes(0x03, lambda: dtcs.confirmed),
            ClearCodes(dtcs, read_state),
            TroubleCodes(0x07, lambda: dtcs.pending),
            TroubleCodes(0x0A, lambda: dtcs.permanent),
        ]
        if tests:
            services.append(MonitorResults(tests, dtcs))
        return services

    def _on_pid(self, on_sample: OnSample | None) -> OnPid | None:
        if on_sample is None:
            return None
        env, name = self._env, self.name
        return lambda pid, data, state: on_sample(env.now, name, pid, data, state)

    def _capture(self) -> dict[int, bytes]:
        state = self._car.at(self._env.now)
        return {pid: self.pids[pid].encode(state) for pid in self._freezable}

    def _observe(self) -> Generator[simpy.Event, object, None]:
        while True:
            now_s = self._env.now
            self.dtcs.observe(now_s, self._car.at(now_s))
            yield self._env.timeout(OBSERVE_EVERY_S)


@dataclass(frozen=True, slots=True)
class Ecus:
    """The car's ECUs."""

    ecm: PowertrainEcu
    tcm: PowertrainEcu

    @property
    def all(self) -> tuple[PowertrainEcu, ...]:
        """Every ECU, in the order of their addresses."""
        return (self.ecm, self.tcm)

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
    ) -> None:
        """Let every ECU answer on a further bus, too; see `build_ecus` and `PowertrainEcu`."""
        for unit in self.all:
            unit.attach(bus, rng_of(f"ecu.{unit.name}"), on_sample=on_sample)


def build_ecus(
    env: simpy.Environment,
    bus: CanBus,
    vehicle: Car,
    rng_of: Callable[[str], random.Random],
    vin: str,
    on_sample: OnSample | None = None,
    response_time_s: tuple[float, float] = RESPONSE_TIME_S,
) -> Ecus:
    """Put ECM and TCM on the bus.

    Args:
        env: the world's SimPy environment.
        bus: the car's bus.
        vehicle: gives the state at an instant.
        rng_of: component name ("ecu.ecm", "ecu.tcm") -> random stream.
        vin: 17 characters.
        on_sample: see `PowertrainEcu`.
        response_time_s: shortest and longest response time, seconds.

    Raises:
        ValueError: the VIN has not 17 characters, or the response times are out of order.
    """
    ecm, tcm = (
        PowertrainEcu(
            env, bus, plan, vehicle, rng_of(f"ecu.{plan.name}"), vin,
            response_time_s=response_time_s, on_sample=on_sample,
        )
        for plan in (ECM, TCM)
    )  # fmt: skip
    return Ecus(ecm, tcm)
