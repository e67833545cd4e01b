"""Services 10 (session), 11 (reset), 3E (tester present), 28 (communication), 85 (code setting)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.ecu.dtc import DtcStore
from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.uds.server import Reply, Subfunctions, demand_length, positive
from sim.ecu.uds.state import (
    ALL_SESSIONS,
    NON_DEFAULT,
    P2_SERVER_S,
    P2_STAR_SERVER_S,
    DiagnosticState,
    Session,
)

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

Condition = Callable[[], bool]

STANDING_MPS = 0.3  # a slower car is taken as standing; assumed
HARD_RESET, KEY_OFF_ON_RESET, SOFT_RESET = 0x01, 0x02, 0x03
BOOT_S = {HARD_RESET: 0.8, KEY_OFF_ON_RESET: 1.5, SOFT_RESET: 0.3}  # silent for so long; assumed
P2_BYTES = round(P2_SERVER_S * 1000).to_bytes(2, "big") + round(P2_STAR_SERVER_S * 100).to_bytes(
    2, "big"
)  # P2 in ms, P2* in 10 ms


def stands(state: VehicleState) -> bool:
    """Return whether the car stands."""
    return state.speed_mps < STANDING_MPS


class SessionControl:
    """Service 10; into the programming session only while `may_disturb()`."""

    sid = 0x10
    sessions = ALL_SESSIONS
    subfunctions: Subfunctions = dict.fromkeys(Session, ALL_SESSIONS)
    minimum_bytes = 2

    def __init__(self, state: DiagnosticState, may_disturb: Condition) -> None:
        self._state = state
        self._may_disturb = may_disturb

    def perform(self, request: bytes) -> Reply:
        """Enter the session; the response tells P2 and P2*."""
        demand_length(request, 2)
        session = Session(request[1])
        if session is Session.PROGRAMMING and not self._may_disturb():
            raise RefusedError(Nrc.CONDITIONS_NOT_CORRECT)
        self._state.enter(session)
        return Reply(positive(request, P2_BYTES))


class EcuReset:
    """Service 11: after its response the ECU is silent until it has booted."""

    sid = 0x11
    sessions = ALL_SESSIONS
    subfunctions: Subfunctions = dict.fromkeys(BOOT_S, ALL_SESSIONS)
    minimum_bytes = 2

    def __init__(self, state: DiagnosticState, may_disturb: Condition) -> None:
        self._state = state
        self._may_disturb = may_disturb

    def perform(self, request: bytes) -> Reply:
        """Answer, then restart."""
        demand_length(request, 2)
        if not self._may_disturb():
            raise RefusedError(Nrc.CONDITIONS_NOT_CORRECT)
        boot_s = BOOT_S[request[1]]
        return Reply(positive(request), after=lambda: self._state.restart(boot_s))


class TesterPresent:
    """Service 3E: does nothing; that a request came keeps the session."""

    sid = 0x3E
    sessions = ALL_SESSIONS
    subfunctions: Subfunctions = {0x00: ALL_SESSIONS}
    minimum_bytes = 2

    def perform(self, request: bytes) -> Reply:
        """Answer."""
        demand_length(request, 2)
        return Reply(positive(request))


class CommunicationControl:
    """Service 28: normal frames may be heard (bit 1 clear) and sent (bit 0 clear)."""

    sid = 0x28
    sessions = NON_DEFAULT
    subfunctions: Subfunctions = dict.fromkeys(range(4), NON_DEFAULT)
    minimum_bytes = 3
    kinds = frozenset({0x01, 0x02, 0x03})  # low half: normal, network management, both
    networks = frozenset({0x0, 0xF})  # high half: all, the one that the request came by

    def __init__(self, state: DiagnosticState) -> None:
        self._state = state

    def perform(self, request: bytes) -> Reply:
        """Switch reception and transmission."""
        demand_length(request, 3)
        if request[2] & 0xF not in self.kinds or request[2] >> 4 not in self.networks:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        if request[2] & 0x01:
            # 00 both on, 01 hears only, 02 sends only, 03 both off
            self._state.hears_normal = request[1] in (0x00, 0x01)
            self._state.sends_normal = request[1] in (0x00, 0x02)
        return Reply(positive(request))


class CodeSetting:
    """Service 85: storing of trouble codes on (01) and off (02)."""

    sid = 0x85
    sessions = NON_DEFAULT
    subfunctions: Subfunctions = {0x01: NON_DEFAULT, 0x02: NON_DEFAULT}
    minimum_bytes = 2

    def __init__(self, dtcs: DtcStore) -> None:
        self._dtcs = dtcs

    def perform(self, request: bytes) -> Reply:
        """Switch it; the option record (a group of codes) is not supported."""
        if len(request) > 2:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        self._dtcs.setting_on = request[1] == 0x01
        return Reply(positive(request))
