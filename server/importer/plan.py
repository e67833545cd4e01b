"""What of a file is imported, and as what: made by looking at all of it once."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from server.catalogue import Signal
from server.devices.key import DEVICE_ID
from server.errors import CatalogueError
from server.importer.errors import ImportRefused
from server.importer.instants import instant_ns
from server.importer.tables import Kind, Table, number_of, quoted
from server.importer.words import conversion, meaning_of, signal_name, unit_of

LEAVE_OUT = "-"
CHANNELS_MOST = 10_000
SESSIONS_MOST = 100_000
TABLES_TOLD = 10
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
READABLE = (Kind.LONG, Kind.WIDE, Kind.JSON)


class Channel(msgspec.Struct, frozen=True):
    """A series of readings in a file: name, and source and unit where the file has them."""

    name: str
    source: str = ""
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.source}.{self.name}" if self.source else self.name


class Mapped(msgspec.Struct):
    """What becomes of a channel: signal 0: it is left out, and `why`."""

    channel: Channel
    signal: int = 0
    factor: float = 1.0
    offset: float = 0.0
    why: str = ""
    readings: int = 0
    texts: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf

    def value(self, found: float) -> float:
        """Give a value in the signal's unit."""
        return found * self.factor + self.offset


class Span(msgspec.Struct):
    """The readings of a session (or, without one, of a device) in one table."""

    table: str
    session: str
    device: str
    first_ns: int
    last_ns: int
    readings: int = 0
    name: str = ""
    car_id: str = ""
    driver: str = ""
    notes: str = ""
    vin: str = ""

    @property
    def boot(self) -> int:
        """The number under which its readings are stored; the same at each import."""
        text = json.dumps([self.table, self.session, self.device, self.first_ns])
        digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") % (2**32 - 1) + 1


class Found(msgspec.Struct, frozen=True):
    """One reading of a file."""

    session: str
    device: str
    channel: Channel
    time_ns: int
    value: float | None


class Plan(msgspec.Struct):
    """What of a file is imported.

    Attributes:
        tables: all of the file.
        chosen: names of those that are read.
        channels: what becomes of each.
        spans: sessions by (table, session, device).
        no_instant: rows whose instant cannot be read.
    """

    tables: list[Table]
    chosen: list[str]
    channels: dict[Channel, Mapped]
    spans: dict[tuple[str, str, str], Span]
    no_instant: int = 0

    @property
    def unknown(self) -> list[Mapped]:
        """Channels that have readings, and no signal, and were not left out on purpose."""
        return [
            m for m in self.channels.values() if not m.signal and m.readings and m.why != LEAVE_OUT
        ]


class Rule(msgspec.Struct, frozen=True):
    """--map NAME=SIGNAL[:UNIT]; signal None: leave it out."""

    signal: Signal | None
    unit: str = ""


def parse_rules(texts: Sequence[str]) -> dict[str, Rule]:
    """Read rules.

    Raises:
        ImportRefused: one is none.
    """
    from server.catalogue import by_name

    rules: dict[str, Rule] = {}
    for text in texts:
        name, equals, target = text.rpartition("=")
        if not equals or not name or not target:
            expected = "NAME=SIGNAL, NAME=SIGNAL:UNIT or NAME=-"
            raise ImportRefused(f"--map: expected {expected}, found {text!r}")
        if target == LEAVE_OUT:
            rules[name] = Rule(None)
            continue
        signal, _, unit = target.partition(":")
        try:
            rules[name] = Rule(by_name(signal), unit)
        except CatalogueError as error:
            raise ImportRefused(f"--map {text}: {error}") from None
    return rules


def make_plan(
    connection: sqlite3.Connection,
    tables: list[Table],
    rules: Mapping[str, Rule],
    device: str | None,
    wanted: Collection[str] = (),
) -> Plan:
    """Look at the whole file once, and say what becomes of it.

    Args:
        device: whose readings they are where the file does not say, or whatever it says.
        wanted: names of the tables to read; none: those with a row for each reading, and the others
            where there are none of these.

    Raises:
        ImportRefused: nothing can be read, or no device is known.
    """
    plan = Plan(tables, [table.name for table in _choose(tables, wanted)], {}, {})
    for table in tables:
        if table.name in plan.chosen:
            _look(connection, table, plan, rules, device)
    if not plan.spans:
        raise ImportRefused(f"expected a table with readings, found {_found(tables)}")
    _tell(connection, tables, plan)
    return plan


def _found(tables: list[Table]) -> str:
    """Say what a file has instead of readings."""
    what = [
        f"{table.name} ({table.kind.value}, {table.rows} rows{table.why and ': ' + table.why})"
        for table in tables[:TABLES_TOLD]
    ]
    more = len(tables) - len(what)
    return (", ".join(what) or "no table at all") + (f" and {more} more" if more else "")


def _choose(tables: list[Table], wanted: Collection[str]) -> list[Table]:
    readable = [table for table in tables if table.kind in READABLE and table.rows]
    if wanted:
        missing = set(wanted) - {table.name for table in readable}
        if missing:
            names = ", ".join(table.name for table in readable) or "none"
            expected = f"tables with readings ({names})"
            raise ImportRefused(f"--tables: expected {expected}, found {min(missing)!r}")
        return [table for table in readable if table.name in wanted]
    # Snapshots beside readings are the same once more.
    return [table for table in readable if table.kind is Kind.LONG] or readable


def _look(
    connection: sqlite3.Connection,
    table: Table,
    plan: Plan,
    rules: Mapping[str, Rule],
    device: str | None,
) -> None:
    names = device_names(connection, plan.tables)
    for found in read_table(connection, table, names, device, plan):
        mapped = plan.channels.get(found.channel)
        if mapped is None:
            if len(plan.channels) >= CHANNELS_MOST:
                raise ImportRefused(f"expected at most {CHANNELS_MOST} different signals")
            mapped = plan.channels[found.channel] = _map(found.channel, rules)
        if found.value is None:
            mapped.texts += 1
            continue
        mapped.readings += 1
        mapped.minimum = min(mapped.minimum, found.value)
        mapped.maximum = max(mapped.maximum, found.value)
        key = table.name, found.session, found.device
        span = plan.spans.get(key)
        if span is None:
            if len(plan.spans) >= SESSIONS_MOST:
                raise ImportRefused(f"expected at most {SESSIONS_MOST} sessions")
            span = plan.spans[key] = Span(*key, found.time_ns, found.time_ns)
        span.first_ns = min(span.first_ns, found.time_ns)
        span.last_ns = max(span.last_ns, found.time_ns)
        span.readings += 1


def _map(channel: Channel, rules: Mapping[str, Rule]) -> Mapped:
    rule = rules.get(str(channel)) or rules.get(channel.name)
    unit = channel.unit
    if rule is not None:
        if rule.signal is None:
            return Mapped(channel, why=LEAVE_OUT)
        signal = rule.signal
        unit = rule.unit or unit
    else:
        meaning = meaning_of(_number(channel.name), channel.source)
        if meaning is None:
            return Mapped(channel, why="no signal of this name is known")
        signal = meaning.signal
        unit = unit or meaning.unit
    change = conversion(unit, signal)
    if change is None:
        why = f"no way from {unit_of(unit)} to {signal.unit or 'no unit'} of {signal.name}"
        return Mapped(channel, why=why)
    return Mapped(channel, signal.id, *change)


def _number(name: str) -> str | int:
    """A PID that was kept as a number is one, and no hexadecimal text."""
    return int(name.removeprefix("#")) if name.startswith("#") else name


def read_table(
    connection: sqlite3.Connection,
    table: Table,
    names: Mapping[str, str],
    device: str | None,
    plan: Plan | None = None,
) -> Iterator[Found]:
    """Give the readings of a table in the order of its rows; `plan` counts what has no instant."""
    columns = [table.time, table.session, table.device]
    match table.kind:
        case Kind.LONG:
            columns += [table.signal, table.source, table.value, table.unit]
        case Kind.JSON:
            columns += [table.content]
        case _:
            columns += table.columns
    texts = ", ".join(quoted(column) if column else "NULL" for column in columns)
    order = ", ".join(map(quoted, table.order))
    rows = connection.execute(f"SELECT {texts} FROM {quoted(table.name)} ORDER BY {order}")
    channels: dict[tuple[object, ...], Channel] = {}
    for row in rows:
        time_ns = instant_ns(row[0])
        if time_ns is None:
            if plan is not None:
                plan.no_instant += 1
            continue
        session = "" if row[1] is None else str(row[1])
        whose = device or _device(row[2], names)
        for key, value in _cells(table, row[3:]):
            channel = channels.get(key)
            if channel is None:
                channel = channels[key] = _channel(*key)
            yield Found(session, whose, channel, time_ns, number_of(value))


def _cells(table: Table, row: Sequence[object]) -> Iterator[tuple[tuple[object, ...], object]]:
    """Give name, source, unit and value of each reading of a row."""
    if table.kind is Kind.LONG:
        name, source, value, unit = row
        if name is not None:
            yield (name, source, unit), value
    elif table.kind is Kind.JSON:
        yield from _object(row[0])
    else:
        for name, value in zip(table.columns, row, strict=True):
            if value is not None:
                yield (name, None, None), value


def _object(text: object) -> Iterator[tuple[tuple[object, ...], object]]:
    try:
        content = json.loads(text) if isinstance(text, str | bytes) else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        if isinstance(value, dict) and "value" not in value:  # {"gps": {"latitude": …}}
            for inner, inside in value.items():
                yield (inner, name, None), inside
        elif isinstance(value, dict):  # {"rpm": {"value": …, "unit": …}}
            yield (name, None, value.get("unit")), value["value"]
        else:
            yield (name, None, None), value


def _channel(name: object, source: object, unit: object) -> Channel:
    shown = f"#{name}" if isinstance(name, int) else str(name)
    return Channel(shown[:100], str(source or "")[:40], str(unit or "")[:40])


def device_names(connection: sqlite3.Connection, tables: Sequence[Table]) -> dict[str, str]:
    """Give the outward names of devices whose rows are named by a number or a UUID."""
    names: dict[str, str] = {}
    for table in tables:
        fields = table.fields
        if table.kind is not Kind.DEVICES or not {"id", "external"} <= fields.keys():
            continue
        texts = f"{quoted(fields['id'])}, {quoted(fields['external'])}"
        for id, external in connection.execute(f"SELECT {texts} FROM {quoted(table.name)}"):
            if id is not None and external:
                names[str(id)] = str(external)
    return names


def _device(found: object, names: Mapping[str, str]) -> str:
    if found is None:
        raise ImportRefused(
            "expected --device NAME: the file does not say whose readings these are"
        )
    name = names.get(str(found), str(found))
    safe = _UNSAFE.sub("-", name).strip("-._")[:64]
    if not DEVICE_ID.fullmatch(safe):
        raise ImportRefused(f"expected a name for a device, found {name!r}; use --device NAME")
    return safe


def _tell(connection: sqlite3.Connection, tables: Sequence[Table], plan: Plan) -> None:
    """Put what the file tells of sessions to their spans."""
    spans: dict[str, list[Span]] = {}
    for span in plan.spans.values():
        spans.setdefault(span.session, []).append(span)
    for table in tables:
        fields = table.fields
        if table.kind is not Kind.SESSIONS or "id" not in fields:
            continue
        texts = ", ".join(quoted(column) for column in fields.values())
        for row in connection.execute(f"SELECT {texts} FROM {quoted(table.name)}"):
            told = dict(zip(fields, row, strict=True))
            for span in spans.get(str(told["id"]), []):
                _put(span, told)


def _put(span: Span, told: Mapping[str, object]) -> None:
    for name in ("name", "car_id", "driver", "notes"):
        value = told.get(name)
        if value:
            setattr(span, name, str(value)[:200])
    started, ended = instant_ns(told.get("started")), instant_ns(told.get("ended"))
    if started is not None:
        span.first_ns = min(span.first_ns, started)
    if ended is not None:
        span.last_ns = max(span.last_ns, ended)


def described(mapped: Mapped) -> str:
    """Say what becomes of a channel."""
    if not mapped.signal:
        return "left out" if mapped.why == LEAVE_OUT else mapped.why
    change = ""
    if (mapped.factor, mapped.offset) != (1.0, 0.0):
        change = f" (x {mapped.factor:g}" + (f" + {mapped.offset:g})" if mapped.offset else ")")
    return signal_name(mapped.signal) + change
