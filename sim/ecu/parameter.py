"""A mode 01 parameter: how a vehicle state becomes bytes on the wire, and what it truly was."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.vehicle.state import VehicleState

Encode = Callable[["VehicleState"], bytes]
Truth = Callable[["VehicleState"], "float | None"]
Decode = Callable[[bytes], "float | None"]


@dataclass(frozen=True, slots=True)
class PidSpec:
    """One mode 01 parameter.

    Attributes:
        pid: 0x01-0xFF.
        name: python-OBD's command name where it has one.
        unit: unit of `truth` and `decode`; "" for a plain number or code.
        n_bytes: data bytes in an answer.
        resolution: smallest step of the value in `unit`; 1 for codes.
        encode: state -> data bytes, rounded to the nearest step and limited to the range.
        truth: state -> the unquantised value in `unit`, None where there is none (bit fields).
        decode: data bytes -> value in `unit`, None where there is none.
    """

    pid: int
    name: str
    unit: str
    n_bytes: int
    resolution: float
    encode: Encode
    truth: Truth
    decode: Decode


def scaled(
    pid: int,
    name: str,
    unit: str,
    truth: Callable[[VehicleState], float],
    resolution: float,
    *,
    offset: float = 0.0,
    n_bytes: int = 1,
) -> PidSpec:
    """Return a parameter with value = offset + resolution * unsigned integer of `n_bytes`."""
    top = (1 << 8 * n_bytes) - 1
    floor = math.floor
    per_step = 1.0 / resolution

    def encode(state: VehicleState) -> bytes:
        raw = floor((truth(state) - offset) * per_step + 0.5)
        return (0 if raw < 0 else top if raw > top else raw).to_bytes(n_bytes, "big")

    def decode(data: bytes) -> float:
        return offset + int.from_bytes(data[:n_bytes], "big") * resolution

    return PidSpec(pid, name, unit, n_bytes, resolution, encode, truth, decode)


def code(pid: int, name: str, n_bytes: int, encode: Encode) -> PidSpec:
    """Return a parameter that is a code or a bit field; its value is the first byte."""

    def decode(data: bytes) -> float:
        return float(data[0])

    def truth(state: VehicleState) -> float:
        return float(encode(state)[0])

    return PidSpec(pid, name, "", n_bytes, 1.0, encode, truth, decode)


def percent(pid: int, name: str, truth: Callable[[VehicleState], float]) -> PidSpec:
    """Return a parameter of one byte, 0-100 %."""
    return scaled(pid, name, "%", truth, 100 / 255)


def temperature(pid: int, name: str, truth: Callable[[VehicleState], float]) -> PidSpec:
    """Return a parameter of one byte, -40 to 215 C."""
    return scaled(pid, name, "C", truth, 1.0, offset=-40.0)


def word(value: float, resolution: float, offset: float = 0.0) -> bytes:
    """Return `value` as two bytes: nearest step, limited to the range."""
    raw = math.floor((value - offset) / resolution + 0.5)
    return (0 if raw < 0 else 0xFFFF if raw > 0xFFFF else raw).to_bytes(2, "big")
