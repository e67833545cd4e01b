"""Rows of a record as columns of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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

    def __len__(self) -> int:
        return len(self.seq)

    def where(self, chosen: NDArray[Any]) -> Readings:
        """Return the readings at the indices, or those for which `chosen` is True."""
        return Readings(
            self.seq[chosen],
            self.signal[chosen],
            self.time_ns[chosen],
            self.value[chosen],
            self.received_ns[chosen],
            self.state[chosen],
            self.shown_ns[chosen],
            self.device[chosen],
            self.boot[chosen],
        )


def published_readings(record: RecordReader) -> Readings:
    """Return the published readings; shown when they arrived at the WebSocket client."""
    arrived, seq, signal, time_ns, value, received, state, device, boot = _columns(
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
        _numbered(record, device),
        ints(boot),
    )


def stored_readings(record: RecordReader) -> Readings:
    """Return the stored readings; shown when they were committed.

    That is the first acknowledgement that covers the reading, or where none was seen, the instant
    which the gateway wrote beside it.
    """
    device, seq, signal, time_ns, value, received, state, written, boot = _columns(record.stored, 9)
    numbers, received_ns = ints(seq), ints(received)
    devices = _numbered(record, device)
    return Readings(
        numbers,
        ints(signal),
        ints(time_ns),
        floats(value),
        received_ns,
        ints(state),
        np.where(
            devices == LOCAL,
            _committed_ns(record, numbers, received_ns, ints(written)),
            _devices_committed_ns(record, devices, ints(boot), numbers, ints(written)),
        ),
        devices,
        ints(boot),
    )


def _devices_committed_ns(
    record: RecordReader, devices: Ints, boots: Ints, seq: Ints, written: Ints
) -> Ints:
    """Return when each reading of a device of its own was acknowledged, or else written."""
    committed = written.copy()
    parts: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    names = {name: number for number, name in enumerate(record.manifest.devices, LOCAL + 1)}
    for ack in record.stored_at:
        if ack.device in names:
            part = parts.setdefault((names[ack.device], ack.boot), [])
            part.append((ack.first_seq, ack.upto_seq, ack.time_ns))
    for (device, boot), rows in parts.items():
        first, upto, times = ints([n for row in sorted(rows) for n in row]).reshape(-1, 3).T
        own = np.flatnonzero((devices == device) & (boots == boot))
        index = np.clip(np.searchsorted(first, seq[own], side="right") - 1, 0, None)
        covered = (seq[own] >= first[index]) & (seq[own] <= upto[index])
        committed[own[covered]] = times[index[covered]]
    return committed


def _numbered(record: RecordReader, names: Sequence[str]) -> Ints:
    numbers = {name: number for number, name in enumerate(record.manifest.devices, LOCAL + 1)}
    return ints([numbers.get(name, LOCAL) for name in names])


def _committed_ns(record: RecordReader, seq: Ints, received: Ints, written: Ints) -> Ints:
    never = np.iinfo(np.int64).max
    committed = np.full(len(seq), never, dtype=np.int64)
    acks: dict[int, list[tuple[int, int]]] = {}
    for ack in record.stored_at:
        if ack.device:
            continue
        acks.setdefault(ack.boot, []).append((ack.upto_seq, ack.time_ns))
    for rows in acks.values():
        ordered = ints([number for row in sorted(rows) for number in row]).reshape(-1, 2)
        upto, times = ordered[:, 0], ordered[:, 1]
        index = np.searchsorted(upto, seq).astype(np.int64)
        found = index < len(ordered)
        candidate = np.full(len(seq), never, dtype=np.int64)
        candidate[found] = times[index[found]]
        # An acknowledgement from before the reading came in is another boot's.
        candidate[candidate < received] = never
        committed = np.minimum(committed, candidate)
    return np.where(committed == never, written, committed)


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    return [*zip(*rows, strict=True)] if rows else [()] * count
