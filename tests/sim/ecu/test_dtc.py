"""Trouble codes: their bytes and their life."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.ecu.dtc import (
    GOOD_CYCLES_TO_MIL_OFF,
    WARM_UPS_TO_ERASE,
    DtcStore,
    dtc_from_bytes,
    dtc_to_bytes,
)
from sim.ecu.errors import DtcError

MISFIRE = "P0301"
CATALYST = "P0420"


class Garage:
    """A trouble code store and a car whose engine is started and stopped by hand."""

    def __init__(self, make_state: Any) -> None:
        self.captures = 0
        self.store = DtcStore(capture=self._capture)
        self.state = make_state(engine_on=False, coolant_c=20.0)
        self.t_s = 0.0

    def _capture(self) -> dict[int, bytes]:
        self.captures += 1
        return {0x05: bytes((self.captures,))}

    def run(self, seconds: int, engine_on: bool) -> None:
        """Let the store observe the car each second."""
        self.state.engine_on = engine_on
        for _ in range(seconds):
            self.t_s += 1.0
            if engine_on:
                self.state.distance_m += 20.0
            self.store.observe(self.t_s, self.state)

    def cycle(self, *, warm: bool = False) -> None:
        """Drive one driving cycle."""
        self.state.coolant_c = 20.0
        self.run(20, engine_on=True)
        if warm:
            self.state.coolant_c = 90.0
        self.run(20, engine_on=True)
        self.run(3, engine_on=False)


@pytest.fixture
def garage(make_state: Any) -> Garage:
    """A sound car with its engine off."""
    return Garage(make_state)


@given(st.integers(0, 0xFFFF))
def test_code_and_bytes_are_two_writings(raw: int) -> None:
    """Each pair of bytes is one code, and back."""
    data = raw.to_bytes(2, "big")
    assert dtc_to_bytes(dtc_from_bytes(data)) == data


@pytest.mark.parametrize(
    ("code", "data"), [("P0301", "0301"), ("C0123", "4123"), ("B1234", "9234"), ("U3FFF", "ffff")]
)
def test_known_codes(code: str, data: str) -> None:
    """Letters are the upper two bits: P, C, B, U."""
    assert dtc_to_bytes(code).hex() == data


@given(st.text(max_size=7))
def test_any_text_is_a_code_or_refused(text: str) -> None:
    """A text is a code that reads back, or refused with a message that shows it."""
    try:
        data = dtc_to_bytes(text)
    except DtcError as error:
        assert repr(text) in str(error)  # noqa: PT017
    else:
        assert dtc_from_bytes(data) == text.strip().upper()


def test_first_cycle_makes_it_pending(garage: Garage) -> None:
    """A fault in one driving cycle is pending, with a freeze frame, and no lamp."""
    garage.run(5, engine_on=True)
    garage.store.inject(CATALYST)
    assert garage.store.pending == [CATALYST]
    assert garage.store.confirmed == []
    assert not garage.store.mil_on
    assert garage.store.freeze_frame is not None
    assert garage.store.freeze_frame.code == CATALYST


def test_fault_with_engine_off_is_seen_after_the_start(garage: Garage) -> None:
    """An ECU sees nothing with the engine off, and sees the fault once it runs."""
    garage.run(5, engine_on=False)
    garage.store.inject(CATALYST)
    assert garage.store.pending == []
    garage.run(1, engine_on=True)
    assert garage.store.pending == [CATALYST]


def test_second_cycle_confirms_it(garage: Garage) -> None:
    """A fault in two driving cycles in a row is confirmed, lights the lamp and is permanent."""
    garage.store.inject(CATALYST)
    garage.cycle()
    assert garage.store.confirmed == []
    garage.run(1, engine_on=True)
    assert garage.store.confirmed == [CATALYST]
    assert garage.store.permanent == [CATALYST]
    assert garage.store.mil_on
    assert garage.captures == 2  # one in each cycle


def test_good_cycle_erases_a_pending_code(garage: Garage) -> None:
    """A fault that does not come back is forgotten after one good cycle, frame included."""
    garage.store.inject(CATALYST)
    garage.cycle()
    garage.store.heal(CATALYST)
    assert garage.store.pending == [CATALYST]
    garage.cycle()
    assert garage.store.pending == []
    assert garage.store.records == {}
    assert garage.store.freeze_frame is None


def test_interrupted_fault_is_not_confirmed(garage: Garage) -> None:
    """Two faulty cycles with a good one in between do not confirm a code."""
    garage.store.inject(CATALYST)
    garage.cycle()
    garage.store.heal(CATALYST)
    garage.cycle()
    garage.store.inject(CATALYST)
    garage.cycle()
    assert garage.store.confirmed == []
    assert not garage.store.mil_on


def test_too_short_a_cycle_proves_nothing(garage: Garage) -> None:
    """A start and stop within seconds does not heal a pending code."""
    garage.store.inject(CATALYST)
    garage.cycle()
    garage.store.heal(CATALYST)
    garage.run(3, engine_on=True)
    garage.run(3, engine_on=False)
    assert garage.store.pending == [CATALYST]


def test_three_good_cycles_put_the_lamp_out(garage: Garage) -> None:
    """The lamp goes out after the third good cycle; the code stays, the permanent one goes."""
    garage.store.inject(CATALYST, confirmed=True)
    garage.cycle()
    garage.store.heal(CATALYST)
    for _ in range(GOOD_CYCLES_TO_MIL_OFF):
        assert garage.store.mil_on
        garage.cycle()
    assert not garage.store.mil_on
    assert garage.store.confirmed == [CATALYST]
    assert garage.store.permanent == []


def test_forty_warm_ups_erase_a_healed_code(garage: Garage) -> None:
    """Forty warm-up cycles after the lamp went out, and not before, the code is forgotten."""
    garage.store.inject(CATALYST, confirmed=True)
    garage.cycle()
    garage.store.heal(CATALYST)
    for _ in range(GOOD_CYCLES_TO_MIL_OFF):
        garage.cycle()
    for _ in range(5):
        garage.cycle(warm=False)
    for _ in range(WARM_UPS_TO_ERASE):
        assert garage.store.confirmed == [CATALYST]
        garage.cycle(warm=True)
    assert garage.store.confirmed == []


def test_return_of_the_fault_starts_healing_anew(garage: Garage) -> None:
    """A fault that comes back amid healing needs three good cycles again."""
    garage.store.inject(CATALYST, confirmed=True)
    garage.cycle()
    garage.store.heal(CATALYST)
    garage.cycle()
    garage.cycle()
    garage.store.inject(CATALYST)
    garage.cycle()
    garage.store.heal(CATALYST)
    garage.cycle()
    garage.cycle()
    assert garage.store.mil_on
    garage.cycle()
    assert not garage.store.mil_on


def test_clear_forgets_all_but_the_permanent(garage: Garage) -> None:
    """Clearing erases codes, frame and counters, and leaves the permanent code."""
    garage.store.inject(CATALYST, confirmed=True)
    garage.cycle()
    garage.store.heal(CATALYST)
    garage.store.clear()
    assert garage.store.confirmed == garage.store.pending == []
    assert not garage.store.mil_on
    assert garage.store.freeze_frame is None
    assert garage.store.history.distance_m == 0
    assert garage.store.permanent == [CATALYST]
    garage.cycle()
    assert garage.store.permanent == []


def test_clear_does_not_repair(garage: Garage) -> None:
    """A fault that is still there after a clear comes back, and keeps its permanent code."""
    garage.store.inject(CATALYST, confirmed=True)
    garage.cycle()
    garage.store.clear()
    garage.cycle()
    assert garage.store.pending == [CATALYST]
    assert garage.store.permanent == [CATALYST]


def test_misfire_takes_over_the_freeze_frame(garage: Garage) -> None:
    """A misfire overwrites another code's freeze frame, and nothing overwrites a misfire's."""
    garage.run(5, engine_on=True)
    garage.store.inject(CATALYST)
    garage.store.inject(MISFIRE)
    garage.store.inject("P0171")
    assert garage.store.freeze_frame is not None
    assert garage.store.freeze_frame.code == MISFIRE
    assert garage.store.pending == [CATALYST, MISFIRE, "P0171"]


def test_counters_since_the_clear(garage: Garage) -> None:
    """Distance, run time and warm-ups count from the clear on, up to the instant of reading."""
    garage.run(1, engine_on=False)
    garage.store.clear()
    garage.cycle(warm=True)
    assert garage.store.history.warm_ups == 1
    assert garage.store.history.run_s == pytest.approx(40, abs=1)
    garage.state.distance_m += 7.0
    assert garage.store.distance_since_clear_m(garage.state) == 807.0


def test_distance_with_the_lamp_on(garage: Garage) -> None:
    """Distance and time with the lamp on begin when it goes on."""
    garage.cycle()
    garage.store.inject(CATALYST, confirmed=True)
    assert garage.store.distance_with_mil_m(garage.state) == 0
    garage.run(10, engine_on=True)
    assert garage.store.distance_with_mil_m(garage.state) == 200.0
    assert garage.store.history.mil_run_s == pytest.approx(10, abs=1)


def test_confirmed_with_the_engine_off_heals_in_three_cycles(garage: Garage) -> None:
    """A code that was set while the car stood heals as fast as one set on the road."""
    garage.store.inject(CATALYST, confirmed=True)
    garage.store.heal(CATALYST)
    for _ in range(GOOD_CYCLES_TO_MIL_OFF):
        assert garage.store.mil_on
        garage.cycle()
    assert not garage.store.mil_on


def test_wrong_code_is_refused(garage: Garage) -> None:
    """Something that is no trouble code is refused and changes nothing."""
    with pytest.raises(DtcError, match="P0301"):
        garage.store.inject("X0301")
    assert garage.store.faults == set()
