"""Drive cycles that ship with the package: published speed traces, second by second."""

from __future__ import annotations

from functools import cache
from importlib import resources

from sim.drives.errors import CycleError
from sim.vehicle import Trace

CYCLES: tuple[str, ...] = ("us06", "wltc")


@cache
def load_cycle(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (times in s, speeds in km/h) of "wltc" (class 3b) or "us06"; raise CycleError.

    The source of each is named in the head of its CSV file.
    """
    if name not in CYCLES:
        raise CycleError(f"drive cycle: expected one of {', '.join(CYCLES)}, got {name!r}")
    text = resources.files("sim.drives").joinpath("cycles", f"{name}.csv").read_text("utf-8")
    rows = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [row.split(",") for row in rows[1:]]
    return tuple(float(time) for time, _ in pairs), tuple(float(speed) for _, speed in pairs)


def cycle_trace(name: str, phase: str | None = None) -> Trace:
    """Return the cycle as a phase, called `phase` or as the cycle."""
    times_s, speeds_kph = load_cycle(name)
    return Trace(phase if phase is not None else name, times_s, speeds_kph)
