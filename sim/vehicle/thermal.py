"""Heat: coolant, oil and charge air, each a lump with its flows.

Slow quantities: advanced twice a second, not on every grid step.
Every conductance and capacity is [assumed], tuned to everyday figures: 20 C to 80 C within about
five minutes of driving, thermostat at 84-94 C, charge air a few K above ambient on the road, and
20-30 K above it after idling behind a warm radiator (heat soak).
"""

from __future__ import annotations

from sim.vehicle.ambient import ZERO_C_K, Ambient

COOLANT_J_K = 55_000.0  # block, head, coolant
COOLANT_SHARE = 0.26  # of the fuel's power
BLOCK_LOSS_W_K = 18.0
THERMOSTAT_C = 84.0
THERMOSTAT_SPAN_K = 10.0
RADIATOR_STILL_W_K = 60.0
RADIATOR_MOVING_W_K_MPS = 45.0
FAN_ON_C = 100.0
FAN_W_K = 500.0
OIL_S = 200.0  # towards the coolant
OIL_LOAD_K = 28.0  # above the coolant at full load and high rpm
CORE_J_K = 9000.0  # intercooler
CORE_STILL_W_K = 25.0
CORE_MOVING_W_K_MPS = 16.0
CORE_SOAK_W_K = 14.0  # from the radiator behind it and the engine bay
COMPRESSOR_EFFICIENCY = 0.70
COOLER_EFFECT = 0.80
AIR_CP = 1005.0  # J/(kg K)


class Thermal:
    """Temperatures in degrees Celsius: `coolant_c`, `oil_c`, `intake_c`."""

    __slots__ = ("_ambient_c", "_core_c", "coolant_c", "intake_c", "oil_c")

    def __init__(self, ambient: Ambient, coolant_c: float) -> None:
        self._ambient_c = ambient.temperature_c
        self.coolant_c = coolant_c
        self.oil_c = coolant_c
        warm = (coolant_c - self._ambient_c) / 70.0
        self._core_c = self._ambient_c + 8.0 * max(0.0, min(1.0, warm))
        self.intake_c = self._core_c

    def step(
        self,
        step_s: float,
        *,
        fuel_w: float,
        speed_mps: float,
        maf_gps: float,
        pressure_ratio: float,
        load: float,
    ) -> None:
        """Advance by `step_s`; `load` 0 to 1 is torque times rpm over the engine's most."""
        ambient_c = self._ambient_c
        coolant_c = self.coolant_c
        opened = (coolant_c - THERMOSTAT_C) / THERMOSTAT_SPAN_K
        opened = 0.0 if opened < 0.0 else 1.0 if opened > 1.0 else opened
        radiator = RADIATOR_STILL_W_K + RADIATOR_MOVING_W_K_MPS * speed_mps
        if coolant_c > FAN_ON_C:
            radiator += FAN_W_K
        loss_w = (BLOCK_LOSS_W_K + opened * radiator) * (coolant_c - ambient_c)
        self.coolant_c = coolant_c + (COOLANT_SHARE * fuel_w - loss_w) * step_s / COOLANT_J_K
        oil_target_c = coolant_c + OIL_LOAD_K * load
        self.oil_c += (oil_target_c - self.oil_c) * step_s / OIL_S
        self._cool_charge(step_s, speed_mps, maf_gps, pressure_ratio)

    def _cool_charge(
        self, step_s: float, speed_mps: float, maf_gps: float, pressure_ratio: float
    ) -> None:
        ambient_c = self._ambient_c
        rise_k = 0.0
        beyond = pressure_ratio - 1.0
        if beyond > 0.0:
            # ratio ** 0.286 - 1 as a polynomial: libm's power differs from machine to machine
            series = beyond * (0.286 - beyond * (0.090 - beyond * 0.022))
            rise_k = (ambient_c + ZERO_C_K) * series / COMPRESSOR_EFFICIENCY
        core_c = self._core_c
        hot_c = ambient_c + rise_k
        charge_w = 0.001 * maf_gps * AIR_CP * COOLER_EFFECT * (hot_c - core_c)
        cooling = CORE_STILL_W_K + CORE_MOVING_W_K_MPS * speed_mps
        soak_w = CORE_SOAK_W_K * (self.coolant_c - core_c)
        core_c += (charge_w + soak_w - cooling * (core_c - ambient_c)) * step_s / CORE_J_K
        self._core_c = core_c
        target_c = core_c + (1.0 - COOLER_EFFECT) * (hot_c - core_c)
        blend = step_s / 1.5  # the probe and the pipe's wall
        self.intake_c += (target_c - self.intake_c) * blend
