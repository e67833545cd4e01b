"""What distinguishes one ECU of the car from another."""

from __future__ import annotations

from dataclasses import dataclass

from sim.ecu.addressing import Addressing, EcuIds, normal_fixed
from sim.ecu.identity import EcuIdentity
from sim.ecu.monitors import MonitorTest
from sim.ecu.uds.identifiers import DidSpec


@dataclass(frozen=True, slots=True)
class EcuPlan:
    """One ECU.

    Attributes:
        name: node on the bus and component of the random stream.
        request_id, response_id: physical addresses, 11 bit.
        identity: what it calls itself.
        state_pids: mode 01 parameters that follow from the vehicle state.
        diagnostic_pids: mode 01 parameters that follow from its trouble codes.
        tests: on-board tests of service 06; none = the service is not supported.
        knows_vin: True for the ECU that reports the VIN by service 09.
        node_address: its address in 29 bit identifiers.
        dids: data identifiers beside the usual ones.
        supported_codes: trouble codes that it can set, beside those of `tests`.
        drives_engine: a running engine forbids what would disturb it.
    """

    name: str
    request_id: int
    response_id: int
    identity: EcuIdentity
    state_pids: tuple[int, ...] = ()
    diagnostic_pids: tuple[int, ...] = ()
    tests: tuple[MonitorTest, ...] = ()
    knows_vin: bool = False
    node_address: int = 0x00
    dids: tuple[DidSpec, ...] = ()
    supported_codes: tuple[str, ...] = ()
    drives_engine: bool = False

    @property
    def is_emission_related(self) -> bool:
        """True if it answers the services of SAE J1979; the others know UDS alone."""
        return bool(self.diagnostic_pids)

    @property
    def codes(self) -> tuple[str, ...]:
        """Every trouble code that it can set."""
        tested = (code for test in self.tests for code in test.codes)
        return tuple(dict.fromkeys((*tested, *self.supported_codes)))

    def ids(self, addressing: Addressing) -> EcuIds:
        """Return the identifiers that it has under `addressing`."""
        if addressing is Addressing.NORMAL_FIXED_29:
            return normal_fixed(self.node_address)
        return EcuIds(self.request_id, self.response_id)
