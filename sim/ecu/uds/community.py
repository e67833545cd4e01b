"""Identifiers that owners of a Focus ST found (service 22): community data, not the maker's.

Their numbers and, where a source gives one, their scales are as published; what the model puts in
comes from the vehicle state, or is assumed where the state does not carry it. Sources disagree on
the scale of tyre pressures; where none gives a scale, `DidSpec.scale` begins with "unknown".
221E12, 221E16 and 221E1C belong to automatic gearboxes: this car, with a manual one, refuses them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.ecu.sensors import limited
from sim.ecu.uds.identifiers import Certainty, DidSpec, number

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

_FORUM = "focusst.org t=21003; ecoboostperformanceforum.com t=3141"
_WICAN = "wican-fw vehicle_profiles/ford/focus_rs_mk3.json; focusst.org t=21003"
_OWN = "telerig; ISO 14229-1 leaves FD00-FEFF to suppliers"

CHARGE_AIR_STEP_C = 0.011404134
CHARGE_AIR_OFFSET_C = 9.26087
TYRE_OFFSET_KPA = 22 / 3

# Assumed, because no source and no vehicle state says it.
ODOMETER_KM = 58_412.0
CABIN_C = 21.0
OCTANE_ADJUST = -1.0  # the best fuel has been learnt
OCTANE_STEPS = 0x4000
BATTERY_CHARGED_V, BATTERY_FLAT_V = 12.7, 11.7
FULL_BOOST_KPA = 150.0
TYRE_COLD_KPA = {0x2813: 236.0, 0x2814: 234.0, 0x2815: 231.0, 0x2816: 233.0}
TYRE_NAMES = {0x2813: "front left", 0x2814: "front right", 0x2815: "rear right",
              0x2816: "rear left"}  # fmt: skip
WHEEL_NAMES = ("front left", "front right", "rear left", "rear right")


def odometer_km(state: VehicleState) -> float:
    """Distance of the car's life."""
    return ODOMETER_KM + state.distance_m / 1000


def wastegate_pct(state: VehicleState) -> float:
    """Wastegate opening: open without boost, closed at full boost. Assumed."""
    return limited(100.0 * (1.0 - state.boost_kpa / FULL_BOOST_KPA), 0.0, 100.0)


def grille_pct(state: VehicleState) -> float:
    """Grille shutter opening: follows coolant between 80 and 100 C. Assumed."""
    return limited(5.0 * (state.coolant_c - 80.0), 0.0, 100.0)


def charge_pct(state: VehicleState) -> float:
    """Battery's state of charge: from its voltage; full while the alternator charges. Assumed."""
    span_v = BATTERY_CHARGED_V - BATTERY_FLAT_V
    return limited(100.0 * (state.battery_v - BATTERY_FLAT_V) / span_v, 0.0, 100.0)


def tyre_kpa(cold_kpa: float) -> Callable[[VehicleState], float]:
    """Pressure of a tyre: rises by up to 20 kPa with speed. Assumed."""
    return lambda state: cold_kpa + limited(0.4 * state.speed_mps, 0.0, 20.0)


def _octane_adjust() -> DidSpec:
    """03E8: the one value that a source gives, 0xC000 = -1, read as a signed number."""
    data = round(OCTANE_ADJUST * OCTANE_STEPS).to_bytes(2, "big", signed=True)

    def decode(data: bytes) -> float:
        return int.from_bytes(data[:2], "big", signed=True) / OCTANE_STEPS

    return DidSpec(
        0x03E8, "octane adjust ratio", 2, lambda _state: data, Certainty.COMMUNITY, _FORUM,
        scale="unknown but for 0xC000 = -1 [signed 16 bit / 16384]", decode=decode,
    )  # fmt: skip


ENGINE_DIDS: tuple[DidSpec, ...] = (
    _octane_adjust(),
    number(0x03CA, "intake air temperature 2", "C", lambda s: s.intake_c, 1.0, offset=-40.0,
           scale="A - 40", source=_FORUM),
    number(0x0451, "charge air temperature", "C", lambda s: s.intake_c, CHARGE_AIR_STEP_C,
           offset=CHARGE_AIR_OFFSET_C, n_bytes=2,
           scale="unknown [that of 0461]", source=_FORUM),
    number(0x0461, "charge air temperature", "C", lambda s: s.intake_c, CHARGE_AIR_STEP_C,
           offset=CHARGE_AIR_OFFSET_C, n_bytes=2,
           scale="(256A + B) * 0.011404134 + 9.26087", source=_FORUM),
    number(0x0462, "wastegate", "%", wastegate_pct, 100 / 128, scale="A / 128 * 100",
           source=_FORUM),
    number(0x0707, "grille shutter", "%", grille_pct, 1 / 2.55, scale="A / 2.55", source=_FORUM),
)  # fmt: skip

BODY_DIDS: tuple[DidSpec, ...] = (
    *(
        number(did, f"tyre pressure {TYRE_NAMES[did]}", "kPa", tyre_kpa(cold_kpa), 1 / 3,
               offset=TYRE_OFFSET_KPA, n_bytes=2,
               scale="(256A + B) / 3 + 22 / 3 (sources disagree)", source=_WICAN)
        for did, cold_kpa in TYRE_COLD_KPA.items()
    ),
    number(0xDD01, "odometer", "km", odometer_km, 1.0, n_bytes=3,
           scale="65536A + 256B + C", source=_WICAN),
    number(0xDD04, "cabin temperature", "C", lambda _s: CABIN_C, 1.0, offset=-40.0,
           scale="unknown [A - 40]", source=_WICAN),
    number(0x4028, "battery state of charge", "%", charge_pct, 1.0,
           scale="unknown [A]", source=_WICAN),
    number(0x4029, "battery temperature", "C", lambda s: s.ambient_c + 4.0, 1.0, offset=-40.0,
           scale="A - 40", source=_WICAN),
)  # fmt: skip

BRAKE_DIDS: tuple[DidSpec, ...] = tuple(
    number(0xFD01 + wheel, f"wheel speed {name}", "km/h", lambda s: 3.6 * s.speed_mps, 0.01,
           n_bytes=2, scale="(256A + B) / 100", source=_OWN, certainty=Certainty.ASSUMED)
    for wheel, name in enumerate(WHEEL_NAMES)
)  # fmt: skip

STEERING_DIDS: tuple[DidSpec, ...] = (
    number(0xFD01, "supply voltage", "V", lambda s: s.battery_v, 0.1, scale="A / 10",
           source=_OWN, certainty=Certainty.ASSUMED),
)  # fmt: skip

CLUSTER_DIDS: tuple[DidSpec, ...] = (
    number(0xDD01, "odometer", "km", odometer_km, 1.0, n_bytes=3,
           scale="65536A + 256B + C", source=_WICAN),
    number(0xFD01, "fuel level shown", "%", lambda s: s.fuel_level_pct, 100 / 255,
           scale="A / 2.55", source=_OWN, certainty=Certainty.ASSUMED),
    number(0xFD02, "speed shown", "km/h", lambda s: 3.6 * s.speed_mps, 1.0,
           scale="A", source=_OWN, certainty=Certainty.ASSUMED),
)  # fmt: skip
