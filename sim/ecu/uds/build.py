"""The diagnostic services of one ECU, put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from sim.ecu.dtc import DtcStore
from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.parameter import PidSpec
from sim.ecu.uds.identification import WRITABLE, identification
from sim.ecu.uds.identifiers import DidSpec, Memory, ReadData, WriteData
from sim.ecu.uds.routines import BackgroundRoutine, LongRoutine, RoutineControl, RoutineRules
from sim.ecu.uds.security import PROGRAMMING_LEVEL, SecurityAccess
from sim.ecu.uds.server import UdsServer
from sim.ecu.uds.session import (
    CodeSetting,
    CommunicationControl,
    EcuReset,
    SessionControl,
    TesterPresent,
    stands,
)
from sim.ecu.uds.state import DiagnosticState, Session
from sim.ecu.uds.trouble_codes import ClearInformation, ReadInformation

if TYPE_CHECKING:
    from sim.ecu.plan import EcuPlan
    from sim.vehicle.state import VehicleState

SELF_TEST = 0x0202  # "on demand self test" of owners' tools for Fords; not confirmed
FAN_TEST = 0x0301  # telerig's own
ERASE_MEMORY = 0xFF00  # ISO 14229-1 table F.1
SELF_TEST_S, ERASE_S, FAN_TEST_S = 6.0, 9.5, 30.0  # assumed


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What an ECU's diagnostics consist of.

    Attributes:
        server: takes requests.
        state: session, security, communication.
        memory: what testers write.
        dids: identifiers of service 22 but for the mirror of mode 01.
        fan: the routine that runs in the background; None where the ECU has none.
    """

    server: UdsServer
    state: DiagnosticState
    memory: Memory
    dids: Mapping[int, DidSpec]
    fan: BackgroundRoutine | None

    def power_off(self) -> None:
        """Forget session and security: the ignition was switched off."""
        self.state.enter(Session.DEFAULT)


def build_diagnostics(
    env: simpy.Environment,
    plan: EcuPlan,
    dtcs: DtcStore,
    pids: Mapping[int, PidSpec],
    read_state: Callable[[], VehicleState],
    vin: str,
    uds_rng: random.Random,
) -> Diagnostics:
    """Return the diagnostics of the ECU that `plan` describes.

    Raises:
        ValueError: an identifier stands twice in the plan.
    """
    state = DiagnosticState(env, dtcs)
    memory = Memory(WRITABLE)
    dids = _by_number(
        plan.name, [*identification(plan.identity, plan.name, vin, state, memory), *plan.dids]
    )

    def may_disturb() -> bool:
        car = read_state()
        return stands(car) and not (plan.drives_engine and car.engine_on)

    def may_clear() -> bool:
        return not (plan.is_emission_related and read_state().engine_on)

    routines, fan = _routines(env, plan, dtcs, memory, may_disturb)
    services = (
        SessionControl(state, may_disturb),
        EcuReset(state, may_disturb),
        ClearInformation(dtcs, plan.codes, plan.is_emission_related, may_clear),
        ReadInformation(dtcs, plan.codes),
        ReadData(dids, pids, read_state),
        SecurityAccess(env, state, uds_rng),
        CommunicationControl(state),
        WriteData(memory, state),
        RoutineControl(routines, state),
        TesterPresent(),
        CodeSetting(dtcs),
    )
    return Diagnostics(UdsServer(services, state, uds_rng), state, memory, dids, fan)


def _routines(
    env: simpy.Environment,
    plan: EcuPlan,
    dtcs: DtcStore,
    memory: Memory,
    may_disturb: Callable[[], bool],
) -> tuple[list[LongRoutine | BackgroundRoutine], BackgroundRoutine | None]:
    both = frozenset({Session.DEFAULT, Session.EXTENDED})
    extended, programming = frozenset({Session.EXTENDED}), frozenset({Session.PROGRAMMING})

    def self_test() -> bytes:
        """Return the number of codes that are remembered."""
        return bytes((min(0xFF, len(dtcs.records)),))

    def erase() -> bytes:
        if memory.faulty:
            raise RefusedError(Nrc.GENERAL_PROGRAMMING_FAILURE)
        return b"\x00"  # ISO 14229-1 annex F leaves it to the maker; 00 = done

    routines: list[LongRoutine | BackgroundRoutine] = [
        LongRoutine(
            RoutineRules(SELF_TEST, "on demand self test", both, 0, may_disturb),
            SELF_TEST_S, self_test,
        ),
        LongRoutine(
            RoutineRules(ERASE_MEMORY, "erase memory", programming, PROGRAMMING_LEVEL, may_disturb),
            ERASE_S, erase,
        ),
    ]  # fmt: skip
    if not plan.drives_engine:
        return routines, None
    rules = RoutineRules(FAN_TEST, "radiator fan test", extended, 0, may_disturb)
    fan = BackgroundRoutine(env, rules, FAN_TEST_S)
    return [*routines, fan], fan


def _by_number(name: str, specs: list[DidSpec]) -> dict[int, DidSpec]:
    dids: dict[int, DidSpec] = {}
    for spec in specs:
        if spec.did in dids:
            raise ValueError(
                f"ECU {name!r}: expected each identifier once, got {spec.did:04X} twice"
            )
        dids[spec.did] = spec
    return dids
