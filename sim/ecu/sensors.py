"""What the ECU measures or decides that the vehicle state does not carry itself.

Constants without a source are assumed; they shape plausible values, nothing else depends on them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

REFERENCE_TORQUE_NM = 366  # peak with overboost
CLOSED_THROTTLE_PCT = 12.0  # the plate's range as the vehicle model has it
OPEN_THROTTLE_PCT = 84.0
COLD_COOLANT_C = 30.0  # assumed: below it an open loop is blamed on temperature


def limited(value: float, low: float, high: float) -> float:
    """Return `value`, or the limit that it passes."""
    return low if value < low else high if value > high else value


def relative_throttle_pct(state: VehicleState) -> float:
    """Throttle plate above its learned closed position."""
    return state.throttle_pct - CLOSED_THROTTLE_PCT


def commanded_throttle_pct(state: VehicleState) -> float:
    """Throttle actuator: 0 % closed, 100 % wide open."""
    span_pct = OPEN_THROTTLE_PCT - CLOSED_THROTTLE_PCT
    return 100 * (state.throttle_pct - CLOSED_THROTTLE_PCT) / span_pct


def catalyst_c(state: VehicleState) -> float:
    """Catalyst temperature: warms within minutes, hotter with air flow. Assumed figures."""
    hot_c = min(900.0, 420.0 + 3.5 * state.maf_gps)
    warm = 1.0 - math.exp(-max(0.0, state.run_time_s) / 60.0)
    return state.ambient_c + (hot_c - state.ambient_c) * warm


def pump_current_ma(state: VehicleState) -> float:
    """Wide-band probe current: 0 at lambda 1, positive when lean. Assumed slope of an LSU 4.9."""
    return limited(2.0 * (state.lambda_ratio - 1.0), -2.0, 2.5)


def wide_band_v(state: VehicleState) -> float:
    """Wide-band probe voltage behind its amplifier. Assumed: 1.5 V at lambda 1, 0.6 V per mA."""
    return 1.5 + 0.6 * pump_current_ma(state)


def downstream_probe_v(state: VehicleState) -> float:
    """Narrow-band probe behind the catalyst: high when rich. Assumed 0.05-0.85 V."""
    return 0.45 - 0.4 * math.tanh(25.0 * (state.lambda_ratio - 1.0))


def purge_pct(state: VehicleState) -> float:
    """Canister purge: open in warm part load only. Assumed figures."""
    if not state.engine_on or state.coolant_c < 60 or not 15 < state.load_pct < 80:
        return 0.0
    return limited(0.6 * state.load_pct, 0.0, 40.0)


def demand_torque_pct(state: VehicleState) -> float:
    """Driver's demand as a share of the reference torque: the pedal, taken as linear (assumed)."""
    return state.pedal_pct if state.engine_on else 0.0


def torque_pct(state: VehicleState) -> float:
    """Actual engine torque as a share of the reference torque."""
    return 100 * state.torque_nm / REFERENCE_TORQUE_NM


def commanded_boost_kpa(state: VehicleState) -> float:
    """Boost set point as absolute pressure: what the actuator has reached, at least ambient."""
    return max(state.baro_kpa, state.map_kpa)


def fuel_system(state: VehicleState) -> bytes:
    """Encode PID 03: 01 open loop (cold), 02 closed loop, 04 open loop (load, overrun), 00 off."""
    if not state.engine_on:
        status = 0x00
    elif state.closed_loop:
        status = 0x02
    elif state.coolant_c < COLD_COOLANT_C:
        status = 0x01
    else:
        status = 0x04
    return bytes((status, 0x00))  # there is no second fuel system
