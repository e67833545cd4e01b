"""Parquet by pyarrow, written to a pipe; only the export process imports this.

Signals: time, signal, value, unit, source, state. Within a row group rows stand by signal, then by
time, which takes half the space of the order of arrival; row groups follow each other in time.
Frames: time, and a column for each signal with its unit in the field's metadata.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from server.export.frames import Frame
from server.export.job import Subject
from server.export.text import STATES, known_signal, source_of
from server.history.wanted import Column, merge_boots

GROUP_ROWS = 250_000
"""Rows that are gathered for a row group; bounds memory."""
_WORD = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("ns", tz="UTC")
_SIGNALS = pa.schema(
    [
        pa.field("time", _TIME, nullable=False),
        pa.field("signal", _WORD, nullable=False),
        pa.field("value", pa.float64()),
        pa.field("unit", _WORD, nullable=False),
        pa.field("source", _WORD, nullable=False),
        pa.field("state", _WORD, nullable=False),
    ]
)


class Pipe(io.RawIOBase):
    """A pipe as pyarrow wants a file: it asks where it is."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._at = 0

    def writable(self) -> bool:
        """Say that it is."""
        return True

    def write(self, data: object) -> int:
        """Write everything."""
        view = memoryview(data)  # type: ignore[arg-type]
        self._out.write(view)
        self._at += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Give how much was written."""
        return self._at


class SignalParquet:
    """Writes readings."""

    def __init__(self, out: BinaryIO, subject: Subject) -> None:
        schema = _SIGNALS.with_metadata(_metadata(subject))
        self._writer = _writer(out, schema, ["signal", "value", "unit", "source", "state"])
        self._schema = schema
        self._held: list[Column] = []
        self._rows = 0

    def take(self, columns: Sequence[Column]) -> None:
        """Take readings, later than those before."""
        self._held.extend(columns)
        self._rows += sum(map(len, columns))
        if self._rows >= GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Write the rest and the foot."""
        if self._rows:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        batches = [_batch(column, self._schema) for column in merge_boots(self._held)]
        self._held, self._rows = [], 0
        table = pa.Table.from_batches(batches, self._schema).unify_dictionaries()
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))


class FrameParquet:
    """Writes snapshots."""

    def __init__(self, out: BinaryIO, subject: Subject, signals: Sequence[int]) -> None:
        fields = [pa.field("time", _TIME, nullable=False)]
        for signal_id in signals:
            signal = known_signal(signal_id)
            about = {"unit": signal.unit, "path": signal.path, "source": signal.source}
            fields.append(pa.field(signal.name, pa.float64(), metadata=about))
        self._schema = pa.schema(fields, metadata=_metadata(subject))
        self._writer = _writer(out, self._schema, [field.name for field in fields[1:]])
        self._held: list[Frame] = []

    def take(self, frames: Sequence[Frame]) -> None:
        """Take snapshots, later than those before."""
        self._held.extend(frames)
        if len(self._held) * len(self._schema) >= GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Write the rest and the foot."""
        if self._held:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        held, self._held = self._held, []
        times = pa.array([time_ns for time_ns, _ in held], _TIME)
        columns = [
            pa.array(values, pa.float64()) for values in zip(*(v for _, v in held), strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays([times, *columns], schema=self._schema))


def _writer(out: BinaryIO, schema: pa.Schema, words: list[str]) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        pa.PythonFile(Pipe(out), mode="w"),
        schema,
        compression="zstd",
        use_dictionary=words,
        column_encoding={"time": "DELTA_BINARY_PACKED"},
        write_statistics=True,
    )


def _metadata(subject: Subject) -> dict[str, str]:
    return {"telerig": msgspec.json.encode(subject.described()).decode()}


def _batch(column: Column, schema: pa.Schema) -> pa.RecordBatch:
    signal = known_signal(column.signal)
    rows = len(column)
    times = pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(column.times_ns)])
    values = pa.Array.from_buffers(pa.float64(), rows, [None, pa.py_buffer(column.values)])
    states = pa.Array.from_buffers(pa.uint8(), rows, [None, pa.py_buffer(column.states)])
    return pa.RecordBatch.from_arrays(
        [
            times.cast(_TIME),
            _same(signal.name, rows),
            values,
            _same(signal.unit, rows),
            _same(source_of(signal), rows),
            pa.DictionaryArray.from_arrays(states.cast(pa.int32()), pa.array(STATES)),
        ],
        schema=schema,
    )


def _same(text: str, rows: int) -> pa.DictionaryArray:
    indices = pa.Array.from_buffers(pa.int32(), rows, [None, pa.py_buffer(bytes(4 * rows))])
    return pa.DictionaryArray.from_arrays(indices, pa.array([text]))
