"""The 12 V supply: battery at rest, alternator, starter."""

from __future__ import annotations

import random

REST_V = 12.6  # [assumed] a charged lead-acid battery
CHARGE_V = 14.2  # [assumed] alternator's set point, warm
CHARGE_COLD_V_K = 0.008  # [assumed] compensation below 25 degrees C
OVERRUN_V = 0.4  # [assumed] smart charging raises the set point in overrun ...
PULL_V = 0.4  # [assumed] ... and lowers it at full load
CRANK_V = 9.9  # [assumed]
KEY_ON_V = 0.3  # [assumed] sag under the loads of ignition


class Electrics:
    """`battery_v` at the diagnostic connector, advanced twice a second."""

    __slots__ = ("_ambient_c", "_rng", "_wobble_v", "battery_v")

    def __init__(self, rng: random.Random, ambient_c: float, running: bool) -> None:
        self._rng = rng
        self._ambient_c = ambient_c
        self._wobble_v = 0.0
        self.battery_v = CHARGE_V if running else REST_V

    def crank(self) -> None:
        """The starter draws its current: the voltage drops at once."""
        self.battery_v = CRANK_V

    def step(self, step_s: float, *, running: bool, overrun: bool, load: float) -> None:
        """Move towards the alternator's set point, or to rest with the engine off."""
        self._wobble_v = 0.7 * self._wobble_v + 0.03 * (self._rng.random() - 0.5)
        if running:
            target_v = CHARGE_V + CHARGE_COLD_V_K * (25.0 - self._ambient_c) - PULL_V * load
            if overrun:
                target_v += OVERRUN_V
            target_v = min(target_v, 15.0)
            settle_s = 1.5
        else:
            target_v = REST_V - KEY_ON_V
            settle_s = 20.0
        self.battery_v += (target_v + self._wobble_v - self.battery_v) * step_s / settle_s
