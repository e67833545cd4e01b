"""Mode 01 parameters that the trouble codes decide: MIL, count, readiness, distances and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.ecu.dtc import DtcStore
from sim.ecu.parameter import PidSpec, scaled
from sim.ecu.readiness import NO_ENGINE, readiness

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

MAX_COUNT = 0x7F


def _status(store: DtcStore, engine: bool) -> PidSpec:
    """PID 01: MIL in bit 7, confirmed codes in bits 0-6, readiness since the last clear."""

    def first(_state: VehicleState) -> int:
        return (0x80 if store.mil_on else 0) | min(MAX_COUNT, len(store.confirmed))

    def encode(state: VehicleState) -> bytes:
        ready = readiness(store.cleared_run_s) if engine else NO_ENGINE
        return bytes((first(state),)) + ready

    return PidSpec(0x01, "STATUS", "", 4, 1.0, encode, first, lambda data: float(data[0]))


def _cycle_status(store: DtcStore, engine: bool) -> PidSpec:
    """PID 41: readiness in this driving cycle."""

    def encode(_state: VehicleState) -> bytes:
        return b"\x00" + (readiness(store.cycle_run_s) if engine else NO_ENGINE)

    return PidSpec(0x41, "STATUS_DRIVE_CYCLE", "", 4, 1.0, encode, lambda _: None, lambda _: None)


def diagnostic_pids(store: DtcStore, engine: bool = True) -> dict[int, PidSpec]:
    """Return the parameters that follow from `store`, PID -> spec.

    `engine`: whether the ECU runs the engine, and so has its monitors.
    """
    specs = (
        _status(store, engine),
        scaled(
            0x21, "DISTANCE_W_MIL", "km",
            lambda s: store.distance_with_mil_m(s) / 1000, 1.0, n_bytes=2,
        ),
        scaled(
            0x30, "WARMUPS_SINCE_DTC_CLEAR", "", lambda s: float(store.history.warm_ups), 1.0
        ),
        scaled(
            0x31, "DISTANCE_SINCE_DTC_CLEAR", "km",
            lambda s: store.distance_since_clear_m(s) / 1000, 1.0, n_bytes=2,
        ),
        _cycle_status(store, engine),
        scaled(
            0x4D, "RUN_TIME_MIL", "min",
            lambda s: store.history.mil_run_s / 60, 1.0, n_bytes=2,
        ),
        scaled(
            0x4E, "TIME_SINCE_DTC_CLEARED", "min",
            lambda s: store.history.run_s / 60, 1.0, n_bytes=2,
        ),
    )  # fmt: skip
    return {spec.pid: spec for spec in specs}
