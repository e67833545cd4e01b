"""Services 22 and 2E: data identifiers, what they mean, and how sure that is."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.ecu.bitmap import is_bitmap, supported_bitmap
from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.parameter import PidSpec
from sim.ecu.uds.security import EXTENDED_LEVEL, PROGRAMMING_LEVEL
from sim.ecu.uds.server import Reply, demand_length
from sim.ecu.uds.state import ALL_SESSIONS, NON_DEFAULT, DiagnosticState

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

MAX_IDENTIFIERS = 32  # in one request; the standard leaves it to the maker. No answer is too long
MIRROR_BASE = 0xF400  # ISO 14229-1 table C.1: F400-F4FF are the parameters of service 01


class Certainty(enum.Enum):
    """Where an identifier's meaning comes from."""

    STANDARD = "ISO 14229-1, annex C"
    COMMUNITY = "community data"  # found by owners, not confirmed by the maker
    ASSUMED = "assumed"  # telerig's own


@dataclass(frozen=True, slots=True)
class DidSpec:
    """One data identifier.

    Attributes:
        did: 0x0000-0xFFFF.
        name: what it is.
        n_bytes: length of its data.
        read: state -> data bytes.
        certainty: where its meaning comes from.
        source: the document or page.
        unit: of the value; "" for texts and codes.
        scale: how bytes A, B … become the value, as the source writes it; "unknown" where none
            does, and then the model's own scale is in brackets.
        decode: data bytes -> value, None for texts and codes.
    """

    did: int
    name: str
    n_bytes: int
    read: Callable[[VehicleState], bytes]
    certainty: Certainty
    source: str
    unit: str = ""
    scale: str = ""
    decode: Callable[[bytes], float] | None = None


def number(
    did: int,
    name: str,
    unit: str,
    truth: Callable[[VehicleState], float],
    resolution: float,
    *,
    offset: float = 0.0,
    n_bytes: int = 1,
    scale: str,
    source: str,
    certainty: Certainty = Certainty.COMMUNITY,
) -> DidSpec:
    """Return an identifier with value = offset + resolution * unsigned integer of `n_bytes`."""
    top = (1 << 8 * n_bytes) - 1

    def read(state: VehicleState) -> bytes:
        raw = math.floor((truth(state) - offset) / resolution + 0.5)
        return min(top, max(0, raw)).to_bytes(n_bytes, "big")

    def decode(data: bytes) -> float:
        return offset + int.from_bytes(data[:n_bytes], "big") * resolution

    return DidSpec(did, name, n_bytes, read, certainty, source, unit, scale, decode)


def constant(did: int, name: str, data: bytes, certainty: Certainty, source: str) -> DidSpec:
    """Return an identifier whose data never change."""
    return DidSpec(did, name, len(data), lambda _state: data, certainty, source)


class ReadData:
    """Service 22: several identifiers in one request; those that are not known are left out.

    Args:
        dids: identifier -> spec.
        pids: mode 01 parameters, mirrored from F400 on; none = no mirror.
        read_state: returns the vehicle state of this instant.
    """

    sid = 0x22
    sessions = ALL_SESSIONS
    subfunctions = None
    minimum_bytes = 3

    def __init__(
        self,
        dids: Mapping[int, DidSpec],
        pids: Mapping[int, PidSpec],
        read_state: Callable[[], VehicleState],
    ) -> None:
        self._dids = dids
        self._pids = pids
        self._read_state = read_state

    def perform(self, request: bytes) -> Reply:
        """Return 62 and identifier, data for each one that is known."""
        if len(request) % 2 == 0 or len(request) > 1 + 2 * MAX_IDENTIFIERS:
            raise RefusedError(Nrc.INVALID_LENGTH_OR_FORMAT)
        state = self._read_state()
        answer = b"\x62"
        for place in range(1, len(request), 2):
            did = int.from_bytes(request[place : place + 2], "big")
            data = self.value(did, state)
            if data is not None:
                answer += request[place : place + 2] + data
        if len(answer) == 1:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        return Reply(answer)

    def value(self, did: int, state: VehicleState) -> bytes | None:
        """Return the data of `did`, None if it is not known."""
        spec = self._dids.get(did)
        if spec is not None:
            return spec.read(state)
        if not self._pids or did & 0xFF00 != MIRROR_BASE:
            return None
        pid = did & 0xFF
        if is_bitmap(pid):
            return supported_bitmap(self._pids, pid)
        parameter = self._pids.get(pid)
        return None if parameter is None else parameter.encode(state)


class Memory:
    """What a tester has written: identifier -> data; survives restarts.

    Attributes:
        faulty: True lets each writing fail with "general programming failure"; for faults.
    """

    def __init__(self, values: Mapping[int, bytes]) -> None:
        self.values = dict(values)
        self.faulty = False

    def spec(self, did: int, name: str, certainty: Certainty, source: str) -> DidSpec:
        """Return the identifier by which `did` is read."""
        length = len(self.values[did])
        return DidSpec(did, name, length, lambda _state: self.values[did], certainty, source)

    def write(self, did: int, data: bytes) -> None:
        """Store `data`. Raises RefusedError if the memory is faulty."""
        if self.faulty:
            raise RefusedError(Nrc.GENERAL_PROGRAMMING_FAILURE)
        self.values[did] = data


class WriteData:
    """Service 2E: into a memory, with security unlocked."""

    sid = 0x2E
    sessions = NON_DEFAULT
    subfunctions = None
    minimum_bytes = 4

    def __init__(self, memory: Memory, state: DiagnosticState) -> None:
        self._memory = memory
        self._state = state

    def perform(self, request: bytes) -> Reply:
        """Write; the length must be the identifier's."""
        did = int.from_bytes(request[1:3], "big")
        present = self._memory.values.get(did)
        if present is None:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        if self._state.unlocked_level not in (EXTENDED_LEVEL, PROGRAMMING_LEVEL):
            raise RefusedError(Nrc.SECURITY_ACCESS_DENIED)
        demand_length(request, 3 + len(present))
        self._memory.write(did, request[3:])
        return Reply(b"\x6e" + request[1:3])
