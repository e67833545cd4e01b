"""The air around the car."""

from __future__ import annotations

from dataclasses import dataclass

AIR_GAS_CONSTANT = 287.05  # J/(kg K), dry air (ISO 2533)
ZERO_C_K = 273.15


@dataclass(frozen=True, slots=True)
class Ambient:
    """Temperature in degrees Celsius (-60 to 60) and static pressure in kPa (40 to 110)."""

    temperature_c: float = 20.0
    pressure_kpa: float = 101.3

    def __post_init__(self) -> None:
        if not -60.0 <= self.temperature_c <= 60.0:
            raise ValueError(
                f"ambient temperature: expected -60 to 60 degrees C, got {self.temperature_c}"
            )
        if not 40.0 <= self.pressure_kpa <= 110.0:
            raise ValueError(f"ambient pressure: expected 40 to 110 kPa, got {self.pressure_kpa}")

    @property
    def density_kg_m3(self) -> float:
        """Density of the air in kg per cubic metre (ideal gas)."""
        return self.pressure_kpa * 1000.0 / (AIR_GAS_CONSTANT * (self.temperature_c + ZERO_C_K))
