"""Rows of a record as columns of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.record.reader import RecordReader

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LOCAL = 0
"""Number of the device that the gateway's own links make up."""

PERCENTILE_OF = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def ints(values: Sequence[int]) -> Ints:
    """Return whole numbers as a column."""
    return np.array(values, dtype=np.int64)


def floats(values: Sequence[float | None]) -> Floats:
    """Return numbers as a column; None becomes NaN."""
    return np.array(values, dtype=np.float64)


def percentile(values: Floats, name: str) -> float | None:
    """Return "p50", "p95", "p99" or "max" of `values` by nearest rank; None of nothing.

    Nearest rank gives a value that was really measured: the smallest one such that at least p % of
    the values are not above it.
    """
    if not len(values):
        return None
    rank = math.ceil(PERCENTILE_OF[name] / 100.0 * len(values))
    return float(np.partition(values, rank - 1)[rank - 1])


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings as columns. `shown_ns` is when they were committed or published; see each maker.

    `device` counts the devices of the manifest from 1; 0 is what came over the gateway's own links.
    `is_compacted` is True of what stands in a segment of the store.
    """

    seq: Ints
    signal: Ints
    time_ns: Ints
    value: Floats
    received_ns: Ints
    state: Ints
    shown_ns: Ints
    device: Ints
    boot: Ints
    is_compacted: Bools

    def __len__(self) -> int:
        return len(self.seq)

    def where(self, chosen: NDArray[Any]) -> Readings:
        """Return the readings at the indices, or those for which `chosen` is True."""
        return Readings(*(column[chosen] for column in self._columns))

    def followed_by(self, others: Readings) -> Readings:
        """Return these readings and then the others."""
        pairs = zip(self._columns, others._columns, strict=True)
        return Readings(*(np.concatenate(pair) for pair in pairs))

    @property
    def _columns(self) -> tuple[NDArray[Any], ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


def published_readings(record: RecordReader) -> Readings:
    """Return the published readings; shown when they arrived at the WebSocket client."""
    arrived, seq, signal, time_ns, value, received, state, device, boot = columns_of(
        record.published, 9
    )
    return Readings(
        ints(seq),
        ints(signal),
        ints(time_ns),
        floats(value),
        ints(received),
        ints(state),
        ints(arrived),
        numbered(record, device),
        ints(boot),
        np.zeros(len(seq), dtype=bool),
    )


def numbered(record: RecordReader, names: Sequence[str]) -> Ints:
    """Return the numbers of devices; see `Readings`."""
    numbers = {name: number for number, name in enumerate(record.manifest.devices, LOCAL + 1)}
    return ints([numbers.get(name, LOCAL) for name in names])


def columns_of(rows: Sequence[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    """Return `count` columns of rows."""
    return [*zip(*rows, strict=True)] if rows else [()] * count
