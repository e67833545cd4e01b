"""An ECU of the car: its services, its trouble codes, its diagnostics; on one bus or on several."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import simpy

from sim.can.bus import CanBus
from sim.ecu.addressing import Addressing
from sim.ecu.diagnostics import diagnostic_pids
from sim.ecu.dtc import DtcStore
from sim.ecu.ecu import Ecu
from sim.ecu.identity import information_items
from sim.ecu.parameter import PidSpec
from sim.ecu.pids import STATE_PIDS
from sim.ecu.plan import EcuPlan
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
from sim.ecu.uds.build import Diagnostics, build_diagnostics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.vehicle.state import VehicleState

RESPONSE_TIME_S = (0.008, 0.020)  # a high-speed CAN car answers within 0-20 ms (forscan.org t=6142)

OnSample = Callable[[float, str, int, bytes, "VehicleState"], None]


class Car(Protocol):
    """What the ECUs need of a vehicle."""

    def at(self, t_s: float, /) -> VehicleState:
        """Return the state at `t_s` virtual seconds; `t_s` never decreases."""
        ...


class ControlUnit:
    """An ECU that answers UDS, and J1979 if it is emission-related, and keeps trouble codes.

    Args:
        env: the world's SimPy environment.
        bus: the bus it sits on.
        plan: which ECU it is.
        car: the vehicle whose state it measures.
        rng: random stream of its response times to J1979.
        vin: 17 characters.
        uds_rng: random stream of its UDS response times and security seeds.
        response_time_s: shortest and longest response time.
        on_sample: called as on_sample(t_s, name, pid, data, state) for each mode 01 PID answered,
            at the instant it is sampled; bitmaps do not count.
        addressing: of the first bus.

    Attributes:
        plan: which ECU it is.
        ecu: the addressable unit on the first bus: response time, counters.
        pids: its mode 01 parameters, PID -> spec. Adding one is enough to have it answered, shown
            in the bitmap and mirrored by service 22.
        dtcs: its trouble codes.
        diagnostics: session, security, memory and routines.
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
        uds_rng: random.Random,
        *,
        response_time_s: tuple[float, float] = RESPONSE_TIME_S,
        on_sample: OnSample | None = None,
        addressing: Addressing = Addressing.NORMAL_11,
    ) -> None:
        self.name = plan.name
        self.plan = plan
        self.muted = False
        self.dtcs = DtcStore(capture=self._capture)
        codes = diagnostic_pids(self.dtcs, engine=plan.drives_engine)
        self.pids: dict[int, PidSpec] = {pid: STATE_PIDS[pid] for pid in plan.state_pids}
        self.pids.update((pid, codes[pid]) for pid in plan.diagnostic_pids)
        self._env = env
        self._car = car
        self._awake = True
        self._read_state: ReadState = lambda: car.at(env.now)
        self._services = self._obd_services(vin) if plan.is_emission_related else []
        self.diagnostics: Diagnostics = build_diagnostics(
            env, plan, self.dtcs, self.pids, self._read_state, vin, uds_rng
        )
        self.ecu = self._unit(bus, rng, response_time_s, on_sample, addressing)

    @property
    def awake(self) -> bool:
        """False = ignition off: the ECU answers nothing, and forgets session and security."""
        return self._awake

    @awake.setter
    def awake(self, awake: bool) -> None:
        if self._awake and not awake:
            self.diagnostics.power_off()
        self._awake = awake

    def attach(
        self,
        bus: CanBus,
        rng: random.Random,
        *,
        on_sample: OnSample | None = None,
        addressing: Addressing = Addressing.NORMAL_11,
    ) -> Ecu:
        """Answer on a further bus, too: the same parameters, codes, session, ignition and mute.

        Each bus has its queue of requests; response times begin as those of the first one.

        Args:
            bus: the further bus.
            rng: random stream of the response times there.
            on_sample: as above, for the values that are asked for there.
            addressing: of that bus.
        """
        unit = self._unit(bus, rng, self.ecu.response_time_s, on_sample, addressing)
        unit.service_times_s = self.ecu.service_times_s
        return unit

    def observe(self) -> None:
        """Look for engine start and stop, warm-up, distance, faults; about once a second."""
        now_s = self._env.now
        self.dtcs.observe(now_s, self._car.at(now_s))

    def _unit(
        self,
        bus: CanBus,
        rng: random.Random,
        response_time_s: tuple[float, float],
        on_sample: OnSample | None,
        addressing: Addressing,
    ) -> Ecu:
        services: list[Service] = list(self._services)
        if self.plan.is_emission_related:
            services.append(CurrentData(self.pids, self._read_state, self._on_pid(on_sample)))
        return Ecu(
            self._env, bus, self.plan.name, self.plan.ids(addressing), services,
            response_time_s, rng, uds=self.diagnostics.server,
            is_awake=lambda: self._awake and not self.muted,
        )  # fmt: skip

    def _obd_services(self, vin: str) -> list[Service]:
        """Return the services of SAE J1979 that are the same on every bus."""
        dtcs, read_state, plan = self.dtcs, self._read_state, self.plan
        information = information_items(plan.identity, dtcs, vin if plan.knows_vin else None)
        services: list[Service] = [
            FreezeFrameData(dtcs, plan.state_pids),
            TroubleCodes(0x03, lambda: dtcs.confirmed),
            ClearCodes(dtcs, read_state),
            TroubleCodes(0x07, lambda: dtcs.pending),
            TroubleCodes(0x0A, lambda: dtcs.permanent),
            VehicleInformation(information),
        ]
        if plan.tests:
            services.append(MonitorResults(plan.tests, dtcs))
        return services

    def _on_pid(self, on_sample: OnSample | None) -> OnPid | None:
        if on_sample is None:
            return None
        env, name = self._env, self.name
        return lambda pid, data, state: on_sample(env.now, name, pid, data, state)

    def _capture(self) -> Mapping[int, bytes]:
        """Return what is stored with a code: PIDs, or the plan's identifiers without PIDs."""
        state = self._car.at(self._env.now)
        if self.plan.state_pids:
            return {pid: self.pids[pid].encode(state) for pid in self.plan.state_pids}
        return {spec.did: spec.read(state) for spec in self.plan.dids}
