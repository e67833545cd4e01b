"""Service 31: routines that an ECU runs on request: for long, or beside everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import simpy

from sim.ecu.errors import Nrc, RefusedError
from sim.ecu.uds.server import Reply, Subfunctions, demand_length, positive
from sim.ecu.uds.state import ALL_SESSIONS, DiagnosticState, Session

START, STOP, RESULTS = 0x01, 0x02, 0x03
RUNNING, STOPPED, COMPLETED = b"\x01", b"\x02", b"\x03"  # first byte of a background's results


@dataclass(frozen=True, slots=True)
class RoutineRules:
    """When a routine may be used.

    Attributes:
        rid: routine identifier.
        name: what it does.
        sessions: sessions in which it is there.
        level: security level that must be unlocked; 0 = none.
        may_start: the conditions are right.
    """

    rid: int
    name: str
    sessions: frozenset[Session]
    level: int
    may_start: Callable[[], bool]


class Routine(Protocol):
    """One routine; each method returns what follows the routine identifier, or refuses."""

    rules: RoutineRules

    def start(self) -> tuple[float, Callable[[], bytes]]:
        """Return seconds of work before the answer, and what makes the answer."""
        ...

    def stop(self) -> bytes:
        """End it before its time."""
        ...

    def results(self) -> bytes:
        """Return its results, or how far it is."""
        ...

    def reset(self) -> None:
        """The session has changed, or the ECU restarted."""
        ...


class LongRoutine:
    """The answer to "start" comes when the work is done; meanwhile "response pending".

    Args:
        rules: when it may be used.
        work_s: how long it takes.
        make_result: called at the end; returns the results. May refuse.
    """

    def __init__(
        self, rules: RoutineRules, work_s: float, make_result: Callable[[], bytes]
    ) -> None:
        self.rules = rules
        self.work_s = work_s
        self._make_result = make_result
        self._result: bytes | None = None

    def start(self) -> tuple[float, Callable[[], bytes]]:
        """Begin to work."""
        self._result = None
        return self.work_s, self._finish

    def stop(self) -> bytes:
        """Cannot be: the ECU is busy until the routine is through."""
        raise RefusedError(Nrc.SUBFUNCTION_NOT_SUPPORTED)

    def results(self) -> bytes:
        """Return what the last run gave; without one it is too early to ask."""
        if self._result is None:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        return self._result

    def reset(self) -> None:
        """Results outlive a session."""

    def _finish(self) -> bytes:
        self._result = self._make_result()
        return self._result


class BackgroundRoutine:
    """The answer to "start" comes at once; the routine runs until stopped, done, or out of session.

    Results: 01 running, 02 stopped, 03 completed; then the whole seconds that it ran, two bytes.

    Args:
        env: the world's SimPy environment.
        rules: when it may be used.
        run_s: how long it runs at most.
    """

    def __init__(self, env: simpy.Environment, rules: RoutineRules, run_s: float) -> None:
        self.rules = rules
        self.run_s = run_s
        self._env = env
        self._started_s: float | None = None
        self._stopped_s: float | None = None

    @property
    def running(self) -> bool:
        """True between start and end."""
        return self._state() == RUNNING

    def start(self) -> tuple[float, Callable[[], bytes]]:
        """Begin; twice is an error of sequence."""
        if self.running:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        self._started_s = self._env.now
        self._stopped_s = None
        return 0.0, lambda: RUNNING

    def stop(self) -> bytes:
        """End it; what does not run cannot be stopped."""
        if not self.running:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        self._stopped_s = self._env.now
        return STOPPED

    def results(self) -> bytes:
        """Return how far it is."""
        state = self._state()
        if state is None or self._started_s is None:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        until_s = self._env.now if self._stopped_s is None else self._stopped_s
        return state + int(min(self.run_s, until_s - self._started_s)).to_bytes(2, "big")

    def reset(self) -> None:
        """Stop: an actuator does not run without its tester."""
        if self.running:
            self._stopped_s = self._env.now

    def _state(self) -> bytes | None:
        if self._started_s is None:
            return None
        if self._stopped_s is not None:
            return STOPPED
        return RUNNING if self._env.now - self._started_s < self.run_s else COMPLETED


class RoutineControl:
    """Start (01), stop (02) and results (03) of the ECU's routines."""

    sid = 0x31
    sessions = ALL_SESSIONS
    subfunctions: Subfunctions = dict.fromkeys((START, STOP, RESULTS), ALL_SESSIONS)
    minimum_bytes = 4

    def __init__(self, routines: Iterable[Routine], state: DiagnosticState) -> None:
        self._routines = {routine.rules.rid: routine for routine in routines}
        self._state = state
        state.on_session.append(self._reset)

    def perform(self, request: bytes) -> Reply:
        """Do it."""
        routine = self._routines.get(int.from_bytes(request[2:4], "big"))
        if routine is None or self._state.session not in routine.rules.sessions:
            raise RefusedError(Nrc.REQUEST_OUT_OF_RANGE)
        if routine.rules.level and self._state.unlocked_level != routine.rules.level:
            raise RefusedError(Nrc.SECURITY_ACCESS_DENIED)
        demand_length(request, 4)
        if request[1] == STOP:
            return Reply(positive(request, routine.stop(), echoed=4))
        if request[1] == RESULTS:
            return Reply(positive(request, routine.results(), echoed=4))
        if not routine.rules.may_start():
            raise RefusedError(Nrc.CONDITIONS_NOT_CORRECT)
        work_s, make_result = routine.start()
        if not work_s:
            return Reply(positive(request, make_result(), echoed=4))
        return Reply(b"", work_s, lambda: positive(request, make_result(), echoed=4))

    def _reset(self) -> None:
        for routine in self._routines.values():
            routine.reset()
