"""Simple reads of the hot log, in the order of writing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Self

import asyncpg
import msgspec

from server.readings import Reading, State
from server.store.body import decode_places
from server.store.connection import connect

PAGE_ROWS = 64
"""Rows fetched at a time: bounds memory, whatever the log holds."""

_CURSOR = re.compile(r"(\d{1,19})-(\d{1,19})-(\d{1,19})", re.ASCII)
_INT64_MAX = 2**63 - 1


class StoredReading(msgspec.Struct, frozen=True, gc=False):
    """A reading as it is stored.

    Attributes:
        device: whose reading.
        boot: run of the gateway, or of the remote device, that took it.
        seq: its number in that run; of the gateway's own links from 1 without gaps.
        signal: id from the signal catalogue.
        time_ns: instant measured.
        value: in the signal's unit.
        received_ns: instant at which the gateway had it.
        state: how the value came about.
        written_ns: instant at which its batch was sent to the database.
    """

    device: str
    boot: int
    seq: int
    signal: int
    time_ns: int
    value: float
    received_ns: int
    state: State
    written_ns: int


class Cursor(msgspec.Struct, frozen=True):
    """A place in the log of a device: after this reading. Opaque to users of the API."""

    written_ns: int
    boot: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Give the cursor of a text that `str()` made; None for any other text."""
        match = _CURSOR.fullmatch(text)
        if match is None or any(int(number) > _INT64_MAX for number in match.groups()):
            return None
        return cls(*(int(number) for number in match.groups()))

    def __str__(self) -> str:
        return f"{self.written_ns}-{self.boot}-{self.seq}"


class Filter(msgspec.Struct, frozen=True):
    """Which readings of a device: any of the signals, measured in [start_ns, end_ns)."""

    signals: frozenset[int] | None = None
    start_ns: int = 0
    end_ns: int = _INT64_MAX

    def takes(self, reading: Reading) -> bool:
        """Tell whether a reading is wanted."""
        return self.start_ns <= reading.time_ns < self.end_ns and (
            self.signals is None or reading.signal in self.signals
        )


_PAGE = """
    SELECT boot, seq_first, seq_last, written_ns, body FROM hot
    WHERE device = $1
      AND (written_ns, boot, seq_last) > ($2, $3, $4)
      AND written_ns >= $2
      AND time_max_ns >= $5 AND time_min_ns < $6
    ORDER BY written_ns, boot, seq_first
    LIMIT $7
"""


async def iterate_readings(
    connection: asyncpg.Connection,
    device: str,
    wanted: Filter | None = None,
    after: Cursor | None = None,
) -> AsyncIterator[StoredReading]:
    """Give the readings of a device by (written_ns, boot, seq), fetching as it goes.

    Raises:
        BodyError: a row is damaged.
    """
    wanted = wanted if wanted is not None else Filter()
    place = after if after is not None else Cursor(-1, 0, 0)
    while True:
        rows = await connection.fetch(
            _PAGE,
            device,
            place.written_ns,
            place.boot,
            place.seq,
            wanted.start_ns,
            wanted.end_ns,
            PAGE_ROWS,
        )
        for row in rows:
            skip = place.seq if _is_inside(place, row) else 0
            for index, reading in decode_places(row["body"]):
                seq = row["seq_first"] + index
                if seq > skip and wanted.takes(reading):
                    yield _stored(device, row["boot"], seq, reading, row["written_ns"])
        if len(rows) < PAGE_ROWS:
            return
        last = rows[-1]
        place = Cursor(last["written_ns"], last["boot"], last["seq_last"])


def _is_inside(place: Cursor, row: asyncpg.Record) -> bool:
    return bool(row["written_ns"] == place.written_ns and row["boot"] == place.boot)


def _stored(device: str, boot: int, seq: int, reading: Reading, written_ns: int) -> StoredReading:
    return StoredReading(
        device,
        boot,
        seq,
        reading.signal,
        reading.time_ns,
        reading.value,
        reading.received_ns,
        reading.state,
        written_ns,
    )


async def fetch_readings(url: str, device: str | None = None) -> list[StoredReading]:
    """Give all readings of a device, or of all devices in order of their names.

    Raises:
        DatabaseUnreachable: the database does not answer.
    """
    connection = await connect(url)
    try:
        devices: Sequence[str] = [device] if device is not None else await _devices(connection)
        return [reading for name in devices async for reading in iterate_readings(connection, name)]
    finally:
        await connection.close()


def read_readings(url: str, device: str | None = None) -> Iterator[StoredReading]:
    """Give all readings, like `fetch_readings`, where no event loop runs in this thread."""
    return iter(asyncio.run(fetch_readings(url, device)))


async def _devices(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT DISTINCT device FROM hot ORDER BY device")
    return [row["device"] for row in rows]
