"""What the tables of a SQLite file are, by the names of their columns and by their rows.

The schemas of S0, S1 and S3 are known by their words only; a table is taken for what it looks like:

long     a row for each reading: an instant, the name of the signal (pid, channel, metric, …), a
         value, perhaps a source, a unit, a session, a device
wide     a row for each instant: columns that are signals
json     a row for each instant: an object of names and values
sessions, devices   what is told of them
other    nothing that an import can use
"""

from __future__ import annotations

import enum
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.importer.errors import ImportRefused
from server.importer.instants import instant_ns
from server.importer.words import meaning_of

SAMPLE_ROWS = 200
_TIME = (
    *("timestamp", "ts", "time", "ts_utc", "timestamp_utc", "time_utc", "datetime", "recorded_at"),
    *("measured_at", "timestamp_ms", "ts_ms", "time_ms", "time_ns", "ts_ns", "event_time"),
    *("received_at", "created_at", "created_utc", "date"),
)
_SESSION = ("session_id", "session", "drive_id", "trip_id")
_DEVICE = ("device_id", "device", "vehicle_id", "vin", "car_id")
_NAME = (
    *("pid", "channel", "signal", "signal_name", "sensor_type", "sensor", "metric", "metric_name"),
    *("parameter", "measurement", "key", "name", "type", "reading_type", "field"),
)
_SOURCE = ("source", "origin")
_VALUE = ("value", "value_num", "numeric_value", "value_float", "val", "reading")
_UNIT = ("unit", "units")
_JSON = ("payload", "data", "values", "payload_json", "data_json", "json", "frame", "readings")
_STARTED = (
    *("started_at", "start_time", "started_utc", "start_utc", "started", "start", "start_ts"),
    *("created_at", "created_utc", "timestamp"),
)
_ENDED = (
    *("ended_at", "end_time", "ended_utc", "end_utc", "stopped_at", "stopped_utc", "ended"),
    *("stopped", "end", "end_ts"),
)
_BESIDE = frozenset({"id", "uuid", "rowid", "seq", "quality", "created_by", "updated_at"})


class Kind(enum.StrEnum):
    """What a table is."""

    LONG = "long"
    WIDE = "wide"
    JSON = "json"
    SESSIONS = "sessions"
    DEVICES = "devices"
    OTHER = "other"


class Table(msgspec.Struct, frozen=True):
    """A table and which of its columns is what; empty: none.

    Attributes:
        name: of the table.
        kind: what it is.
        rows: how many.
        order: columns in whose order the rows are always the same.
        time: instant.
        session: session's key.
        device: device's key.
        signal: name of the signal (long).
        source: of the signal (long).
        value: (long).
        unit: (long).
        content: the object (json).
        columns: signals (wide).
        fields: what is told of a session or device: name, car_id, driver, notes, started, ended.
        why: what is missing (other).
    """

    name: str
    kind: Kind
    rows: int
    order: tuple[str, ...] = ("rowid",)
    time: str = ""
    session: str = ""
    device: str = ""
    signal: str = ""
    source: str = ""
    value: str = ""
    unit: str = ""
    content: str = ""
    columns: tuple[str, ...] = ()
    fields: dict[str, str] = {}
    why: str = ""


def open_file(path: Path) -> sqlite3.Connection:
    """Open a SQLite file for reading only; it is not changed, and may be in use.

    Raises:
        ImportRefused: there is none, or it is none.
    """
    if not path.is_file():
        raise ImportRefused(f"expected a SQLite file, found none at {path}")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise ImportRefused(f"expected a SQLite file at {path}, found: {error}") from None
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def tables_of(connection: sqlite3.Connection) -> list[Table]:
    """Say what each table is."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
        " ESCAPE '\\' ORDER BY name"
    )
    return [_table(connection, name) for (name,) in names.fetchall()]


def quoted(name: str) -> str:
    """Give a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _table(connection: sqlite3.Connection, name: str) -> Table:
    about = connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    columns = [row[1] for row in about]
    rows = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]
    sample = connection.execute(f"SELECT * FROM {quoted(name)} LIMIT {SAMPLE_ROWS}").fetchall()
    looks = _Looks(connection, name, columns, sample)
    time = looks.time()
    table = Table(
        name,
        Kind.OTHER,
        rows,
        _order(connection, name, about),
        time,
        looks.first(_SESSION),
        looks.first(_DEVICE),
        looks.first(_NAME),
        looks.first(_SOURCE),
        looks.first(_VALUE),
        looks.first(_UNIT),
        looks.json(),
    )
    return msgspec.structs.replace(table, **looks.kind(table))


def _order(
    connection: sqlite3.Connection, name: str, about: Sequence[tuple[Any, ...]]
) -> tuple[str, ...]:
    """Give the columns in whose order the rows of a table are always the same."""
    try:
        connection.execute(f"SELECT rowid FROM {quoted(name)} LIMIT 0")
    except sqlite3.OperationalError:  # WITHOUT ROWID: such a table has a primary key
        keyed = sorted((row[5], row[1]) for row in about if row[5])
        return tuple(column for _, column in keyed)
    return ("rowid",)


class _Looks:
    """Looks at one table."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        columns: Sequence[str],
        sample: list[tuple[object, ...]],
    ) -> None:
        self._connection = connection
        self._table = name
        self._name = name.casefold()
        self._columns = {column.casefold(): column for column in columns}
        self._order = list(columns)
        self._sample = sample

    def first(self, names: Sequence[str]) -> str:
        """Give the first of these columns that there is."""
        return next((self._columns[name] for name in names if name in self._columns), "")

    def values(self, column: str) -> list[object]:
        """Give what the sample has in a column, but for NULL."""
        place = self._order.index(column)
        return [row[place] for row in self._sample if row[place] is not None]

    def time(self) -> str:
        """Give the column with instants."""
        for name in _TIME:
            column = self._columns.get(name)
            if column is None:
                continue
            values = self.values(column)
            if not values or sum(instant_ns(value) is not None for value in values) * 2 > len(
                values
            ):
                return column
        return ""

    def json(self) -> str:
        """Give the column with objects."""
        for name in _JSON:
            column = self._columns.get(name)
            values = self.values(column) if column is not None else []
            if column is not None and values and all(_is_object(value) for value in values[:5]):
                return column
        return ""

    def kind(self, table: Table) -> dict[str, object]:
        """Give the kind, and what belongs to it."""
        if "session" in self._name and not (table.signal and table.value):
            return {"kind": Kind.SESSIONS, "fields": self._told()}
        if self._name in ("devices", "device", "vehicles", "vehicle") and not table.value:
            return {"kind": Kind.DEVICES, "fields": self._told()}
        if not table.time:
            return {"why": "no column with instants"}
        if table.signal and table.value:
            return {"kind": Kind.LONG}
        if table.content:
            return {"kind": Kind.JSON}
        used = {table.time, table.session, table.device}
        signals = tuple(
            column
            for column in self._order
            if column not in used
            and column.casefold() not in _BESIDE
            and self._is_numbers(column)
            and meaning_of(column) is not None
        )
        if signals:
            rest = tuple(
                column
                for column in self._order
                if column not in used
                and column.casefold() not in _BESIDE
                and self._is_numbers(column)
            )
            return {"kind": Kind.WIDE, "columns": rest}
        return {"why": "no names and values, no object, no column that is a signal"}

    def _is_numbers(self, column: str) -> bool:
        """Tell whether a column has numbers, be they written as texts; a few may be none."""
        values = self.values(column) or self._later(column)
        return sum(number_of(value) is not None for value in values) * 2 > len(values)

    def _later(self, column: str) -> list[object]:
        """Give what a column has of which the sample has nothing: a signal that came late."""
        text = f"SELECT {quoted(column)} FROM {quoted(self._table)}"
        rows = self._connection.execute(
            f"{text} WHERE {quoted(column)} IS NOT NULL LIMIT {SAMPLE_ROWS}"
        )
        return [value for (value,) in rows]

    def _told(self) -> dict[str, str]:
        found = {
            "id": self.first(("id", "session_id", "uuid", "device_id")),
            "external": self.first(("device_id", "external_id", "vin", "name")),
            "name": self.first(("name", "title", "label", "device_name")),
            "car_id": self.first(("car_id", "vehicle_id", "vehicle", "car")),
            "driver": self.first(("driver", "driver_name", "user")),
            "notes": self.first(("notes", "note", "description", "comment")),
            "vin": self.first(("vin",)),
            "started": self.first(_STARTED),
            "ended": self.first(_ENDED),
        }
        return {key: column for key, column in found.items() if column}


def number_of(value: object) -> float | None:
    """Give the number that a cell is or says, None for none: columns of SQLite have any type."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return None


def _is_object(value: object) -> bool:
    try:
        return isinstance(json.loads(value), dict) if isinstance(value, str | bytes) else False
    except (ValueError, RecursionError):
        return False
