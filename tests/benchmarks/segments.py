"""Segments: bytes a sample of real drives in PostgreSQL, beside rows, and beside the entropy.

The recordings are sent as a device sends them (batches of ten seconds, instants in milliseconds as
recorded), compacted every ten minutes of the drive as the gateway does, and weighed with all that
belongs to them: segments, rollups, numbers, indexes; the first pages of a day's tables, which are
the same for an hour and for a thousand cars, stand beside it. Weighed twice: the drives alone, and
what the same drives of a further car take in the tables of that day, where pages and the room that
segments leave when they are put together are shared. Leon's ten PIDs were asked in turns:
of each row only what was asked then is a sample. No signal is in the catalogue, so no scaling is
known. Beside it: the same samples as rows (session, time, signal, value) with a B-tree, by COPY;
and as the limit the zeroth-order entropy of the values' differences and of the intervals. Needs
the recordings (TELERIG_DATA).
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import math
import os
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import asyncpg

import server.store.compactor as compactor_module
from server.clock import SystemClock
from server.store.appends import Append, Piece
from server.store.body import Column as BodyColumn
from server.store.body import encode_columns, little_endian
from server.store.compactor import Compactor
from server.store.devicelog import DeviceLog
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate
from server.store.segment import Column, Encoder, decode_segment
from tests.benchmarks.figures import Beside, Goal, Row

DATA = (
    Path(os.environ.get("TELERIG_DATA", Path(__file__).parents[3] / "shared" / "data")) / "drives"
)
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
FIRST_SIGNAL = 0x20000000
"""In no catalogue."""
BATCH_MS, CYCLE_MS = 10_000, 600_000
MS = 1_000_000
QUICK_ROWS = 8000
FURTHER_CARS = 5
_TABLES = "^(segments|rollups_10s|rollups_5min)_[0-9]{6,8}$|^stored_numbers$"
_SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relname ~ $1
"""
_ROWS = """
    CREATE TABLE narrow (session_id int, ts timestamptz, signal_id smallint, value float8);
    CREATE INDEX ON narrow (session_id, signal_id, ts);
"""


@dataclass
class Drive:
    """Rows of (milliseconds, values by signal), None where there is no sample."""

    rows: list[tuple[int, list[float | None]]]

    @property
    def samples(self) -> int:
        """How many."""
        return sum(value is not None for _, values in self.rows for value in values)


def measure(quick: bool) -> list[Row]:
    """Weigh each set of drives."""
    if not DATA.is_dir():
        print(f"segments: no recordings at {DATA}; name them by TELERIG_DATA", file=sys.stderr)
        return []
    rows: list[Row] = []
    for name, drives in (("leon", _leon()), ("sti", _sti()), ("twizy", _twizy())):
        found = [Drive(drive.rows[:QUICK_ROWS]) if quick else drive for drive in drives]
        with EmbeddedPostgres(durable=False) as server:
            rows += asyncio.run(_weigh(name, server.start(), found[:1] if quick else found))
    return rows


async def _weigh(name: str, url: str, drives: list[Drive]) -> list[Row]:
    clock = SystemClock()
    connection = await asyncpg.connect(url)
    await migrate(connection, clock)
    compactor_module.VACUUM_S = 0.0  # ten minutes of the drive are between two compactions
    log, compactor = DeviceLog(url, clock=clock), Compactor(url, clock)
    empty = await connection.fetchval(_SIZE, _TABLES)
    # One reading of another device on that day: its tables are there, with their first pages.
    first_ns = drives[0].rows[0][0] * MS
    _, one = next(_pieces(Drive([(first_ns // MS, [1.0])])))
    await log.append(Append("first", 1, [Piece(1, 1, *_rest(one))]))
    await compactor.run_once(all_of_it=True)
    before = await connection.fetchval(_SIZE, _TABLES)
    await _store(log, compactor, name, drives)
    samples = sum(drive.samples for drive in drives)
    assert await connection.fetchval("SELECT sum(samples) - 1 FROM segments") == samples
    payload = await connection.fetchval("SELECT sum(length(data)) FROM segments")
    size = await connection.fetchval(_SIZE, _TABLES) - before
    for number in range(FURTHER_CARS):
        await _store(log, compactor, f"{name}-{number}", drives)
    further = await connection.fetchval(_SIZE, _TABLES) - before - size
    await log.close()
    narrow = await _as_rows(connection, drives)
    await connection.close()
    encode_us, decode_us = _speed(drives[0])
    return [
        Row(
            f"{name}: on disk, with rollups and indexes",
            [size / samples],
            "bytes/sample",
            Goal(most=1.5),
            Beside("rows with a B-tree", narrow / samples),
        ),
        Row(
            f"{name}: on disk, of each further car of the day",
            [further / samples / FURTHER_CARS],
            "bytes/sample",
            Goal(most=1.5),
        ),
        Row(f"{name}: tables of a day, with one reading", [(before - empty) / 1000], "kB"),
        Row(
            f"{name}: the columns themselves",
            [payload / samples],
            "bytes/sample",
            beside=Beside("entropy", _entropy_bits(drives) / 8 / samples),
        ),
        Row(f"{name}: encoding a window of 10 min", [encode_us], "us/sample"),
        Row(f"{name}: decoding it", [decode_us], "us/sample"),
    ]


async def _store(log: DeviceLog, compactor: Compactor, name: str, drives: list[Drive]) -> None:
    """Send the drives of a car, each a start of its device, and compact them."""
    for boot, drive in enumerate(drives, 1):
        seq, cycle_ms = 1, CYCLE_MS
        for batch_ms, piece in _pieces(drive):
            if batch_ms >= cycle_ms:
                await compactor.run_once(all_of_it=True)
                cycle_ms = batch_ms + CYCLE_MS
            last = seq + piece.seq_last - piece.seq_first
            body = Piece(seq, last, *_rest(piece))
            await log.append(Append(name, boot, [body]))
            seq = last + 1
        await compactor.run_once(all_of_it=True)


def _rest(piece: Piece) -> tuple[int, int, bytes, int, int, int, int, int]:
    return (
        piece.time_min_ns,
        piece.time_max_ns,
        piece.body,
        piece.readings,
        piece.transmitted,
        piece.suppressed,
        piece.bytes_plain,
        piece.bytes_sent,
    )


def _pieces(drive: Drive) -> Iterator[tuple[int, Piece]]:
    """Give what a device sends every ten seconds, numbered from 0 each time."""
    first_ms = drive.rows[0][0]
    for columns in _columns(drive, BATCH_MS):
        place, made = 0, []
        for column in columns:
            times = list(column.times_ns)
            steps = [later - sooner for sooner, later in pairwise(times)] or [0]
            values = little_endian(column.values)
            made.append(BodyColumn(place, column.signal, times[0], steps, values))
            place += len(times)
        time_min_ns = min(column.times_ns[0] for column in columns)
        time_max_ns = max(column.times_ns[-1] for column in columns)
        body = encode_columns(time_max_ns, made)
        piece = Piece(0, place - 1, time_min_ns, time_max_ns, body, place, place, 0, 1, 1)
        yield time_min_ns // MS - first_ms, piece


def _columns(drive: Drive, length_ms: int) -> Iterator[list[Column]]:
    gathered: dict[int, tuple[array[int], array[float]]] = {}
    end_ms = drive.rows[0][0] + length_ms
    for time_ms, values in drive.rows:
        if time_ms >= end_ms:
            if gathered:
                yield _made(gathered)
            gathered = {}
            end_ms = time_ms + length_ms
        for signal, value in enumerate(values, FIRST_SIGNAL):
            if value is not None:
                times, kept = gathered.setdefault(signal, (array("q"), array("d")))
                times.append(time_ms * MS)
                kept.append(value)
    if gathered:
        yield _made(gathered)


def _made(gathered: dict[int, tuple[array[int], array[float]]]) -> list[Column]:
    return [Column(s, t, v, bytes(len(v))) for s, (t, v) in sorted(gathered.items())]


def _speed(drive: Drive) -> tuple[float, float]:
    encoder = Encoder()
    encode_s = decode_s = 0.0
    samples = 0
    for columns in _columns(drive, CYCLE_MS):
        begin_s = time.process_time()
        segment = encoder.encode(columns)
        middle_s = time.process_time()
        back = list(decode_segment(segment))
        decode_s += time.process_time() - middle_s
        encode_s += middle_s - begin_s
        samples += segment.samples
        assert [tuple(column) for column in back] == [tuple(column) for column in columns]
    return encode_s / samples * 1e6, decode_s / samples * 1e6


def _entropy_bits(drives: list[Drive]) -> float:
    bits = 0.0
    for drive in drives:
        times: set[bytes] = set()
        for column in next(_columns(drive, 1 << 40)):
            # Differences of decimals, rounded to what the recordings have.
            bits += _bits([round((b - a) * 1e6) for a, b in pairwise(column.values)])
            if column.times_ns.tobytes() not in times:
                times.add(column.times_ns.tobytes())
                bits += _bits([b - a for a, b in pairwise(column.times_ns)])
    return bits


def _bits(numbers: list[int]) -> float:
    size = len(numbers)
    return sum(count * math.log2(size / count) for count in Counter(numbers).values())


async def _as_rows(connection: asyncpg.Connection, drives: list[Drive]) -> int:
    await connection.execute(_ROWS)
    for session, drive in enumerate(drives):
        rows = [
            (session, BEGIN + timedelta(milliseconds=time_ms % 86_400_000), signal, value)
            for time_ms, values in drive.rows
            for signal, value in enumerate(values)
            if value is not None
        ]
        for place in range(0, len(rows), 10_000):
            await connection.copy_records_to_table("narrow", records=rows[place : place + 10_000])
    return int(await connection.fetchval("SELECT pg_total_relation_size('narrow')"))


# -- recordings ------------------------------------------------------------------------------------
def _begin_ms() -> int:
    return int(BEGIN.timestamp()) * 1000


def _table(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        yield from rows


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _leon() -> list[Drive]:
    drives = []
    for path in sorted((DATA / "leon").glob("*.csv.gz")):
        rows: list[tuple[int, list[float | None]]] = []
        for place, row in enumerate(_table(path)):
            hour, minute, second = row[0].split(":")
            time_ms = round((int(hour) * 3600 + int(minute) * 60 + float(second)) * 1000)
            asked = place % (len(row) - 1)
            values = [
                _number(text) if index == asked else None for index, text in enumerate(row[1:])
            ]
            rows.append((_begin_ms() + time_ms, values))
        drives.append(Drive(rows))
    return drives


def _sti() -> list[Drive]:
    rows: list[tuple[int, list[float | None]]] = []
    for row in _table(DATA / "sti" / "accessport_sample.csv.gz"):
        time_ms = _begin_ms() + round(float(row[0]) * 1000)
        rows.append((time_ms, [_number(text) for text in row[1:16]]))
    return [Drive(rows)]


def _twizy() -> list[Drive]:
    drives = []
    for path in sorted((DATA / "twizy").glob("*.csv.gz")):
        rows: list[tuple[int, list[float | None]]] = []
        for row in _table(path):
            hour, minute, second = row[1].split(":")
            time_ms = (int(hour) * 3600 + int(minute) * 60 + int(second)) * 1000
            values = [_number(text) for index, text in enumerate(row[2:]) if index not in (2, 9)]
            rows.append((_begin_ms() + time_ms, values))
        drives.append(Drive(rows))
    return drives
