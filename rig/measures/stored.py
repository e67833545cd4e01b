"""The readings that the store gave back, as columns, and when they were committed."""

from __future__ import annotations

import dataclasses

import numpy as np

from rig.measures.arrays import LOCAL, Ints, Readings, columns_of, floats, ints, numbered
from rig.measures.compacted import UNSEEN, complete
from rig.record.reader import RecordReader

UNKNOWN_NS = 0
"""Of a compacted reading: no acknowledgement of it was seen."""


def stored_readings(record: RecordReader, published: Readings) -> Readings:
    """Return the stored readings; shown when they were committed.

    That is the first acknowledgement that covers the reading, or where none was seen, the instant
    which the gateway wrote beside it; segments have none (`UNKNOWN_NS`).
    """
    device, seq, signal, time_ns, value, received, state, written, boot = columns_of(
        record.stored, 9
    )
    written_ns = ints(written)
    readings = Readings(
        ints(seq),
        ints(signal),
        ints(time_ns),
        floats(value),
        ints(received),
        ints(state),
        written_ns,
        numbered(record, device),
        ints(boot),
        written_ns == UNKNOWN_NS,
    )
    if readings.is_compacted.any():
        readings = complete(readings, published)
    devices, numbers, written_ns = readings.device, readings.seq, readings.shown_ns
    shown_ns = np.where(
        devices == LOCAL,
        _committed_ns(record, readings.boot, numbers, readings.received_ns, written_ns),
        _devices_committed_ns(record, devices, readings.boot, numbers, written_ns),
    )
    shown_ns[numbers == UNSEEN] = UNKNOWN_NS
    return dataclasses.replace(readings, shown_ns=shown_ns)


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


def _committed_ns(
    record: RecordReader, boots: Ints, seq: Ints, received: Ints, written: Ints
) -> Ints:
    never = np.iinfo(np.int64).max
    committed = np.full(len(seq), never, dtype=np.int64)
    acks: dict[int, list[tuple[int, int]]] = {}
    for ack in record.stored_at:
        if ack.device:
            continue
        acks.setdefault(ack.boot, []).append((ack.upto_seq, ack.time_ns))
    starts = {boot: start for start, boot in enumerate(record.manifest.result.get("boots") or ())}
    for boot, rows in acks.items():
        ordered = ints([number for row in sorted(rows) for number in row]).reshape(-1, 2)
        upto, times = ordered[:, 0], ordered[:, 1]
        index = np.searchsorted(upto, seq).astype(np.int64)
        found = index < len(ordered)
        candidate = np.full(len(seq), never, dtype=np.int64)
        candidate[found] = times[index[found]]
        # An acknowledgement from before the reading came in is another boot's.
        candidate[candidate < received] = never
        if boot in starts:
            candidate[boots != starts[boot]] = never
        committed = np.minimum(committed, candidate)
    return np.where(committed == never, written, committed)
