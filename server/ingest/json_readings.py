"""Plain readings as JSON: one, a list of them, or columns. Unknown fields are refused."""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Iterable
from typing import Annotated

import msgspec

from server.answers import BadParameter
from server.ingest.batch import Batch, Checker
from server.ingest.limits import BATCH_READINGS
from server.ingest.protobuf_readings import check_device, finished, too_many
from server.ingest.signals import find_signal, unknown_signal
from server.requests import decode_json
from server.store.body import Column, little_endian

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_Boot = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_Text = Annotated[str, msgspec.Meta(max_length=128)]
_Time = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
_Signal = str | int

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


class JsonReading(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One reading of a list."""

    signal: _Signal
    value: float
    time: _Time | None = None
    time_ns: _Int64 | None = None


class JsonSingle(JsonReading, forbid_unknown_fields=True):
    """Body of POST /api/v1/ingest."""

    device: _Text = ""
    boot: _Boot = 0
    seq: _Number = 0
    vin: _Text = ""


class JsonColumn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Readings of one signal."""

    signal: _Signal
    values: list[float]
    first_time: _Time | None = None
    first_time_ns: _Int64 | None = None
    step_ns: _Int64 | list[_Int64] = 0


class JsonBatch(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/ingest/batch: readings, or columns, or both."""

    device: _Text = ""
    boot: _Boot = 0
    seq: _Number = 0
    vin: _Text = ""
    readings: list[JsonReading] = []
    columns: list[JsonColumn] = []


_single = msgspec.json.Decoder(JsonSingle)
_batch = msgspec.json.Decoder(JsonBatch)


def read_single(body: bytes, device: str, now_ns: int) -> Batch:
    """Give the batch of one reading.

    Raises:
        Refusal: it is no such JSON; names the field.
    """
    single = decode_json(body, _single)
    check_device(single.device, device)
    checker = Checker(now_ns)
    _check_rows([single], checker, "")
    return finished(
        Batch(
            single.boot,
            single.seq,
            1,
            single.vin,
            checker.good,
            checker.problems,
            bytes_sent=len(body),
        )
    )


def read_batch(body: bytes, device: str, now_ns: int) -> Batch:
    """Give the readings of a batch; numbered in the order of the list, then column by column.

    Raises:
        Refusal: it is no such JSON, or breaks a bound; names the field.
    """
    batch = decode_json(body, _batch)
    check_device(batch.device, device)
    size = len(batch.readings) + sum(len(column.values) for column in batch.columns)
    if size > BATCH_READINGS:
        raise too_many()
    checker = Checker(now_ns)
    _check_rows(batch.readings, checker, "readings")
    place = len(batch.readings)
    for number, column in enumerate(batch.columns):
        where = f"columns[{number}]"
        whole = _column(column, place, where)
        signal = find_signal(column.signal)
        if signal is None:
            checker.problems.add(unknown_signal(column.signal, f"{where}.signal"), whole.size)
        else:
            whole.signal = signal.id
            checker.column(whole, signal, where)
        place += whole.size
    return finished(
        Batch(
            batch.boot,
            batch.seq,
            size,
            batch.vin,
            checker.good,
            checker.problems,
            bytes_sent=len(body),
        )
    )


def _column(column: JsonColumn, place: int, where: str) -> Column:
    size = len(column.values)
    if not size:
        raise BadParameter(f"{where}.values", "at least one value", "none")
    steps = column.step_ns if isinstance(column.step_ns, list) else [column.step_ns]
    if len(steps) not in (1, size - 1):
        raise BadParameter(f"{where}.step_ns", f"1 or {size - 1} steps", f"{len(steps)}")
    time_ns = _instant_ns(column.first_time, column.first_time_ns, f"{where}.first_time_ns")
    return Column(place, 0, time_ns, steps, little_endian(array("d", column.values)))


def _check_rows(rows: Iterable[JsonReading], checker: Checker, where: str) -> None:
    for index, row in enumerate(rows):
        place = f"{where}[{index}]." if where else ""
        time_ns = _instant_ns(row.time, row.time_ns, f"{place}time")
        signal = find_signal(row.signal)
        if signal is None:
            checker.problems.add(unknown_signal(row.signal, f"{place}signal"))
        else:
            checker.single(index, signal, time_ns, row.value, place)


def _instant_ns(time: datetime.datetime | None, time_ns: int | None, where: str) -> int:
    if (time is None) == (time_ns is None):
        found = "none" if time is None else "both"
        raise BadParameter(where, "one of time (ISO 8601) and time_ns (whole number)", found)
    if time_ns is not None:
        return time_ns
    assert time is not None
    return (time - _EPOCH) // _MICROSECOND * 1000
