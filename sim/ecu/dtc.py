"""Trouble codes and their life: pending, confirmed, MIL, freeze frame, healing, permanent, cleared.

The life cycle is that of SAE J1979 and 13 CCR 1968.2 (d)(2), two-trip logic:

    fault in one driving cycle            pending (service 07), freeze frame stored
    fault in the next driving cycle too   confirmed (03), MIL on, permanent (0A)
    a driving cycle without the fault     pending is erased
    three such cycles in a row            MIL off, permanent erased
    forty warm-ups after that             confirmed is erased

A driving cycle lasts from engine start to engine stop. Simplified: every cycle of at least
`TESTED_AFTER_S` counts as one in which each monitor ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.ecu.errors import DtcError

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

CYCLES_TO_CONFIRM = 2
GOOD_CYCLES_TO_MIL_OFF = 3
WARM_UPS_TO_ERASE = 40
TESTED_AFTER_S = 10.0  # engine run time after which a cycle counts; assumed
WARM_UP_RISE_C = 22.0  # 13 CCR 1968.2 (c): a warm-up cycle raises the coolant by 22 C ...
WARM_UP_COOLANT_C = 71.0  # ... to at least 71 C (160 F)

_LETTERS = "PCBU"
# Misfire and fuel system codes may overwrite the freeze frame of others (J1979, 6.2).
_PRIORITY_PREFIXES = ("P030", "P031", "P017", "P2A0")


def dtc_to_bytes(code: str) -> bytes:
    """Return the two bytes of a code such as "P0301".

    Raises:
        DtcError: not a letter of PCBU, a digit 0-3 and three hexadecimal digits.
    """
    text = code.strip().upper()
    if len(text) == 5 and text[0] in _LETTERS and text[1] in "0123":
        try:
            rest = int(text[2:], 16) if text[2:].isalnum() else -1
        except ValueError:
            rest = -1
        if rest >= 0:
            return (_LETTERS.index(text[0]) << 14 | int(text[1]) << 12 | rest).to_bytes(2, "big")
    raise DtcError(
        f"trouble code: expected P, C, B or U, 0-3 and three hex digits (P0301), got {code!r}"
    )


def dtc_from_bytes(data: bytes) -> str:
    """Return the code that the two bytes stand for."""
    raw = int.from_bytes(data[:2], "big")
    return f"{_LETTERS[raw >> 14]}{raw >> 12 & 3}{raw & 0xFFF:03X}"


@dataclass(slots=True)
class DtcRecord:
    """What the ECU remembers about one code.

    Attributes:
        code: for example "P0301".
        pending: seen in this or the last driving cycle.
        confirmed: seen in two cycles in a row; listed by service 03.
        mil: this code asks for the lamp.
        failed_cycles: driving cycles in a row with the fault.
        good_cycles: driving cycles in a row without it, since it was confirmed.
        warm_ups: warm-up cycles since the lamp went off.
        failed_now: the fault was seen in the driving cycle under way.
        first, latest: the parameters when it was first and last seen, PID -> data bytes.
    """

    code: str
    pending: bool = False
    confirmed: bool = False
    mil: bool = False
    failed_cycles: int = 0
    good_cycles: int = 0
    warm_ups: int = 0
    failed_now: bool = False
    first: Mapping[int, bytes] = field(default_factory=dict)
    latest: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FreezeFrame:
    """The parameters at the instant a code was stored: PID -> data bytes."""

    code: str
    values: Mapping[int, bytes]


@dataclass(slots=True)
class DtcHistory:
    """What was counted since the codes were last cleared.

    The defaults are those of a car that was cleared long ago (assumed).

    Attributes:
        warm_ups: warm-up cycles, 0-255.
        distance_m: distance.
        run_s: engine run time.
        mil_distance_m: distance with the MIL on.
        mil_run_s: engine run time with the MIL on.
    """

    warm_ups: int = 87
    distance_m: float = 3_120_000.0
    run_s: float = 252_000.0
    mil_distance_m: float = 0.0
    mil_run_s: float = 0.0


@dataclass(slots=True)
class _Cycle:
    """The driving cycle under way."""

    started_s: float
    lowest_coolant_c: float
    warmed_up: bool = False


def _nothing_captured() -> Mapping[int, bytes]:
    return {}


@dataclass(slots=True)
class DtcStore:
    """The trouble codes of one ECU.

    Faults are conditions of the car (`inject`, `heal`); codes are what the ECU makes of them. The
    owner calls `observe` about once a second: engine starts and stops, warm-ups, distances and
    times are taken from there.

    Attributes:
        capture: returns the freeze frame values of this instant, PID -> data bytes.
        faults: conditions that are there now.
        records: what is remembered, code -> record, oldest first.
        permanent: permanent codes, oldest first (service 0A); service 04 does not erase them.
        freeze_frame: the stored frame 0, or None.
        history: counters since the last clear.
        ignition_cycles: engine starts, for service 09 infotype 08.
        cycle_run_s: engine run time in the driving cycle under way.
        cleared_run_s: engine run time since service 04; None if it was never used.
        setting_on: False while a tester has switched the storing of codes off (UDS service 85).
    """

    capture: Callable[[], Mapping[int, bytes]] = _nothing_captured
    faults: set[str] = field(default_factory=set)
    records: dict[str, DtcRecord] = field(default_factory=dict)
    permanent: list[str] = field(default_factory=list)
    freeze_frame: FreezeFrame | None = None
    history: DtcHistory = field(default_factory=DtcHistory)
    ignition_cycles: int = 1204
    cycle_run_s: float = 0.0
    cleared_run_s: float | None = None
    setting_on: bool = True
    _cycle: _Cycle | None = None
    _seen_t_s: float | None = None
    _seen_distance_m: float = 0.0

    # -- what services read ----------------------------------------------------------------------
    @property
    def pending(self) -> list[str]:
        """Codes of service 07."""
        return [record.code for record in self.records.values() if record.pending]

    @property
    def confirmed(self) -> list[str]:
        """Codes of service 03."""
        return [record.code for record in self.records.values() if record.confirmed]

    @property
    def mil_on(self) -> bool:
        """True while a code asks for the malfunction indicator lamp."""
        return any(record.mil for record in self.records.values())

    @property
    def tested_this_cycle(self) -> bool:
        """True if each monitor has run in the driving cycle under way; False between cycles."""
        return self._cycle is not None and self.cycle_run_s >= TESTED_AFTER_S

    @property
    def tested_since_clear(self) -> bool:
        """True if each monitor has run since the codes were last cleared."""
        return self.cleared_run_s is None or self.cleared_run_s >= TESTED_AFTER_S

    def distance_since_clear_m(self, state: VehicleState) -> float:
        """Distance since the last clear, up to this instant."""
        return self.history.distance_m + self._distance_ahead_m(state)

    def distance_with_mil_m(self, state: VehicleState) -> float:
        """Distance with the lamp on, up to this instant."""
        ahead_m = self._distance_ahead_m(state) if self.mil_on else 0.0
        return self.history.mil_distance_m + ahead_m

    def _distance_ahead_m(self, state: VehicleState) -> float:
        """Distance driven since the last `observe`."""
        if self._seen_t_s is None:
            return 0.0
        return max(0.0, state.distance_m - self._seen_distance_m)

    # -- what the world does ---------------------------------------------------------------------
    def inject(self, code: str, *, confirmed: bool = False) -> None:
        """Let the fault behind `code` be there from now on.

        With the engine running the ECU sees it at once, otherwise after the next start. `confirmed`
        stores the code as confirmed with the lamp on, as if it were the second cycle.

        Raises:
            DtcError: `code` is not a trouble code.
        """
        code = dtc_from_bytes(dtc_to_bytes(code))
        self.faults.add(code)
        if confirmed:
            self._fail(code)
            self._confirm(self.records[code])
            self.records[code].failed_now = self._cycle is not None
        elif self._cycle is not None and self.setting_on:
            self._fail(code)

    def heal(self, code: str) -> None:
        """Take the fault away; what the ECU remembers of it goes through its life cycle."""
        self.faults.discard(dtc_from_bytes(dtc_to_bytes(code)))

    def clear(self) -> None:
        """Do what service 04 does: forget all but the permanent codes, and begin counting anew.

        A fault that is still there is seen again at the next `observe` with the engine running.
        """
        self.records.clear()
        self.freeze_frame = None
        self.history = DtcHistory(warm_ups=0, distance_m=0.0, run_s=0.0)
        self.cleared_run_s = 0.0

    def clear_code(self, code: str) -> None:
        """Forget one code and its freeze frame, as UDS service 14 does; the counters go on."""
        if code in self.records:
            self._erase(code)

    # -- the life cycle --------------------------------------------------------------------------
    def observe(self, t_s: float, state: VehicleState) -> None:
        """Take note of the car at `t_s` (virtual seconds, not decreasing)."""
        self._count(t_s, state)
        if state.engine_on:
            if self._cycle is None:
                self._begin_cycle(t_s, state)
            self._warm_up(state)
            if self.setting_on:
                self._look_for_faults()
        elif self._cycle is not None:
            self._end_cycle(t_s)

    def _count(self, t_s: float, state: VehicleState) -> None:
        seen_t_s = self._seen_t_s
        if seen_t_s is not None:
            history = self.history
            distance_m = max(0.0, state.distance_m - self._seen_distance_m)
            run_s = t_s - seen_t_s if self._cycle is not None else 0.0
            history.distance_m += distance_m
            history.run_s += run_s
            self.cycle_run_s += run_s
            if self.cleared_run_s is not None:
                self.cleared_run_s += run_s
            if self.mil_on:
                history.mil_distance_m += distance_m
                history.mil_run_s += run_s
        self._seen_t_s = t_s
        self._seen_distance_m = state.distance_m

    def _begin_cycle(self, t_s: float, state: VehicleState) -> None:
        self._cycle = _Cycle(t_s, state.coolant_c)
        self.cycle_run_s = 0.0
        self.ignition_cycles = min(0xFFFF, self.ignition_cycles + 1)

    def _warm_up(self, state: VehicleState) -> None:
        cycle = self._cycle
        if cycle is None or cycle.warmed_up:
            return
        cycle.lowest_coolant_c = min(cycle.lowest_coolant_c, state.coolant_c)
        rise_c = state.coolant_c - cycle.lowest_coolant_c
        if rise_c >= WARM_UP_RISE_C and state.coolant_c >= WARM_UP_COOLANT_C:
            cycle.warmed_up = True
            self.history.warm_ups = min(255, self.history.warm_ups + 1)

    def _look_for_faults(self) -> None:
        for code in sorted(self.faults):
            record = self.records.get(code)
            if record is None or not record.failed_now:
                self._fail(code)

    def _fail(self, code: str) -> None:
        """The monitor of `code` has failed in the driving cycle under way."""
        record = self.records.setdefault(code, DtcRecord(code))
        if record.failed_now:
            return
        record.failed_now = True
        record.pending = True
        record.failed_cycles += 1
        record.good_cycles = 0
        record.warm_ups = 0
        record.latest = dict(self.capture())
        record.first = record.first or record.latest
        if self._takes_freeze_frame(code):
            self.freeze_frame = FreezeFrame(code, record.latest)
        if record.failed_cycles >= CYCLES_TO_CONFIRM:
            self._confirm(record)

    def _takes_freeze_frame(self, code: str) -> bool:
        frame = self.freeze_frame
        if frame is None:
            return True
        return code.startswith(_PRIORITY_PREFIXES) and not frame.code.startswith(_PRIORITY_PREFIXES)

    def _confirm(self, record: DtcRecord) -> None:
        if not self.mil_on:
            self.history.mil_distance_m = 0.0  # 21 and 4D begin anew when the lamp goes on
            self.history.mil_run_s = 0.0
        record.confirmed = True
        record.mil = True
        if record.code not in self.permanent:
            self.permanent.append(record.code)

    def _end_cycle(self, t_s: float) -> None:
        cycle = self._cycle
        self._cycle = None
        if cycle is None:
            return
        tested = t_s - cycle.started_s >= TESTED_AFTER_S
        for record in list(self.records.values()):
            if record.failed_now:
                record.failed_now = False
            elif tested:
                self._pass(record, cycle.warmed_up)
        if tested:
            self.permanent = [
                code for code in self.permanent if code in self.records or code in self.faults
            ]

    def _pass(self, record: DtcRecord, warmed_up: bool) -> None:
        """A driving cycle has ended in which this code's monitor ran and found nothing."""
        record.pending = False
        record.failed_cycles = 0
        if not record.confirmed:
            self._erase(record.code)
            return
        record.good_cycles += 1
        if record.mil:
            if record.good_cycles >= GOOD_CYCLES_TO_MIL_OFF:
                record.mil = False
                if record.code in self.permanent:
                    self.permanent.remove(record.code)
        elif warmed_up:
            record.warm_ups += 1
            if record.warm_ups >= WARM_UPS_TO_ERASE:
                self._erase(record.code)

    def _erase(self, code: str) -> None:
        del self.records[code]
        if self.freeze_frame is not None and self.freeze_frame.code == code:
            self.freeze_frame = None
