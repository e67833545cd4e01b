"""The mode 01 table: formulas, ranges, rounding."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.ecu.parameter import PidSpec
from sim.ecu.pids import ENGINE_PIDS, PIDS, STATE_PIDS
from sim.vehicle.state import VehicleState

# What a petrol turbo car answers: facts of the project, part 6.
EXPECTED_PIDS = {
    0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x13, 0x15, 0x1C,
    0x1F, 0x21, 0x23, 0x24, 0x2C, 0x2E, 0x2F, 0x30, 0x31, 0x33, 0x34, 0x3C, 0x41, 0x42, 0x43, 0x44,
    0x45, 0x46, 0x47, 0x49, 0x4A, 0x4C, 0x4D, 0x4E, 0x51, 0x52, 0x59, 0x5C, 0x5E, 0x61, 0x62, 0x63,
}  # fmt: skip

WIDE = st.floats(-1e5, 1e5)


def _field(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    if field.type == "bool":
        return st.booleans()
    if field.type == "int":
        return st.integers(0, 6)
    return WIDE


states = st.builds(
    VehicleState, **{field.name: _field(field) for field in dataclasses.fields(VehicleState)}
)


@pytest.mark.promise("D01")
def test_all_expected_pids_are_there() -> None:
    """The table holds each PID that the project promises, at least forty."""
    assert set(PIDS) >= EXPECTED_PIDS
    assert len(ENGINE_PIDS) >= 40


@given(states)
def test_any_state_gives_whole_answers(state: VehicleState) -> None:
    """Even an impossible state is encoded, limited to the range, in the promised length."""
    for spec in PIDS.values():
        assert len(spec.encode(state)) == spec.n_bytes


def _range(spec: PidSpec) -> tuple[float, float]:
    low = spec.decode(bytes(spec.n_bytes))
    high = spec.decode(b"\xff" * spec.n_bytes)
    assert low is not None
    assert high is not None
    return low, high


@given(states)
def test_decoded_value_is_within_half_a_step_of_the_truth(state: VehicleState) -> None:
    """Inside of its range a value loses at most half a step; outside it stands at the limit."""
    for pid, spec in STATE_PIDS.items():
        truth, value = spec.truth(state), spec.decode(spec.encode(state))
        assert truth is not None
        assert value is not None
        low, high = _range(spec)
        nearest = min(max(truth, low), high)
        assert abs(value - nearest) <= spec.resolution * (0.5 + 1e-6), f"PID {pid:02X}"


@pytest.mark.parametrize(
    ("pid", "field", "value", "data"),
    [
        (0x05, "coolant_c", 83.0, "7b"),
        (0x0C, "rpm", 1726.0, "1a f8"),
        (0x0B, "map_kpa", 300.0, "ff"),
        (0x0D, "speed_mps", 100 / 3.6, "64"),
        (0x0E, "timing_deg", -64.0, "00"),
        (0x10, "maf_gps", 655.35, "ff ff"),
        (0x11, "throttle_pct", 100.0, "ff"),
        (0x06, "st_trim_pct", 0.0, "80"),
        (0x42, "battery_v", 14.123, "37 2b"),
        (0x5C, "oil_c", -40.0, "00"),
        (0x1F, "run_time_s", 70000.0, "ff ff"),
    ],
)
def test_known_bytes(make_state: Any, pid: int, field: str, value: float, data: str) -> None:
    """Values from the datasheet and the standard give their bytes."""
    assert PIDS[pid].encode(make_state(**{field: value})) == bytes.fromhex(data)


def test_each_parameter_shows_its_own_quantity(make_state: Any) -> None:
    """Every parameter that copies the vehicle state shows the right field, sign and unit."""
    expected = {
        0x04: 44.2, 0x05: 90.4, 0x06: 1.2, 0x07: -2.7, 0x0B: 83.4, 0x0C: 2487.3, 0x0D: 108.0,
        0x0E: 22.3, 0x0F: 31.7, 0x10: 21.37, 0x11: 24.3, 0x1F: 312.6, 0x23: 6043.0, 0x2C: 0.0,
        0x2F: 71.0, 0x33: 101.3, 0x42: 14.123, 0x43: 51.7, 0x44: 1.0, 0x45: 12.3, 0x46: 20.0,
        0x47: 24.3, 0x49: 21.0, 0x4A: 10.5, 0x4C: 100 * 12.3 / 72, 0x52: 5.0, 0x59: 6144.3,
        0x5C: 93.1, 0x5E: 6.13, 0x61: 21.0, 0x62: 100 * 118 / 366, 0x63: 366.0, 0x70: 83.4,
        0xA4: 6.0,
    }  # fmt: skip
    state = make_state()
    assert {pid: PIDS[pid].truth(state) for pid in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"engine_on": False}, 0x00),
        ({"closed_loop": False, "coolant_c": 5.0}, 0x01),
        ({}, 0x02),
        ({"closed_loop": False}, 0x04),
    ],
)
def test_fuel_system_status(make_state: Any, changes: dict[str, object], status: int) -> None:
    """PID 03 tells off, cold open loop, closed loop, and open loop by load apart."""
    assert PIDS[0x03].encode(make_state(**changes)) == bytes((status, 0))


def test_boost_beyond_one_byte(make_state: Any) -> None:
    """PID 70 shows a manifold pressure that PID 0B cannot."""
    state = make_state(map_kpa=262.5)
    assert PIDS[0x0B].decode(PIDS[0x0B].encode(state)) == 255
    assert PIDS[0x70].decode(PIDS[0x70].encode(state)) == 262.5


def test_catalyst_warms_up(make_state: Any) -> None:
    """The catalyst starts at ambient temperature and is hot after minutes."""
    cold = PIDS[0x3C].truth(make_state(run_time_s=0.0))
    hot = PIDS[0x3C].truth(make_state(run_time_s=600.0))
    assert cold == 20.0
    assert hot is not None
    assert hot > 400


def test_downstream_probe_tells_rich_from_lean(make_state: Any) -> None:
    """The probe behind the catalyst reads high when rich and low when lean."""
    rich, lean = (PIDS[0x15].truth(make_state(lambda_ratio=ratio)) for ratio in (0.8, 1.2))
    assert rich is not None
    assert lean is not None
    assert rich > 0.8 > 0.1 > lean
    assert not math.isclose(rich, lean)
