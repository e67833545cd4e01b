"""Doors to the CAN bus: what they carry, and how soon they reply.

`can_slcan` has the slcan adapter on a PTY, `can_socketcand` the daemon over TCP. Each can be run
alone, too.
"""

from __future__ import annotations

from dataclasses import replace

from tests.benchmarks import can_slcan, can_socketcand
from tests.benchmarks.figures import Row


def measure(quick: bool) -> list[Row]:
    """Measure each door."""
    return [*_named("slcan", slcan(quick)), *_named("socketcand", socketcand(quick))]


def slcan(quick: bool) -> list[Row]:
    """Measure the slcan door."""
    return can_slcan.measure(quick)


def socketcand(quick: bool) -> list[Row]:
    """Measure the socketcand door."""
    return can_socketcand.measure(quick)


def _named(door: str, rows: list[Row]) -> list[Row]:
    return [replace(row, name=f"{door}, {row.name}") for row in rows]
