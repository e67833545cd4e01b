"""Sends what was planned to a gateway, in batches that may be sent again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from server.devices.client import ApiError, Client, part
from server.importer.errors import ImportRefused
from server.importer.plan import Plan, Span, device_names, read_table
from server.wire.telemetry_pb2 import Readings

BATCH_READINGS = 10_000
HELD_READINGS = 400_000
COLUMNS_MOST = 400
TRIES = 8
TIMEOUT_S = 60.0
_TRY_AGAIN = (0, 408, 429, 500, 502, 503, 504)
_RANK_BITS = 40
_HASH_BITS = 22
_PROTOBUF = "application/x-protobuf"


class Result(msgspec.Struct):
    """What a gateway has taken.

    Attributes:
        accepted: readings that were new.
        duplicates: readings that it had.
        rejected: readings that it refused.
        examples: why readings were refused, the first few.
        sessions: sessions that were told.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    examples: list[str] = []
    sessions: int = 0


class _Series(msgspec.Struct):
    """Readings of one signal of one session that wait, and how many have gone before."""

    base: int
    sent: int = 0
    times_ns: array[int] = msgspec.field(default_factory=lambda: array("q"))
    values: array[float] = msgspec.field(default_factory=lambda: array("d"))


class Sender:
    """Sends one file.

    A reading's number is made of its channel's name and its place in it, so that it does not hang
    on which other channels are imported: the same file again, or with more behind, adds nothing
    twice.

    Args:
        client: of the gateway.
        progress: told how many readings are done.
        sleep: waits between tries.
    """

    def __init__(
        self,
        client: Client,
        progress: Callable[[int], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._progress = progress
        self._sleep = sleep
        self._done = 0
        self._has_answered = False
        self.result = Result()

    def send(self, connection: sqlite3.Connection, plan: Plan, device: str | None) -> Result:
        """Send everything; give what became of it.

        Raises:
            ApiError: the gateway does not answer, or refuses.
            ImportRefused: two channels cannot be told apart.
        """
        _check_bases(plan)
        names = device_names(connection, plan.tables)
        for table in plan.tables:
            if table.name not in plan.chosen:
                continue
            series: dict[tuple[str, str, str, str], _Series] = {}
            held = 0
            for found in read_table(connection, table, names, device):
                mapped = plan.channels.get(found.channel)
                if mapped is None or not mapped.signal or found.value is None:
                    continue
                if (table.name, found.session, found.device) not in plan.spans:
                    continue  # a session that began since the file was looked at: the next time
                key = found.session, found.device, str(found.channel), str(mapped.signal)
                one = series.get(key)
                if one is None:
                    one = series[key] = _Series(_base(str(found.channel)))
                one.times_ns.append(found.time_ns)
                one.values.append(mapped.value(found.value))
                held += 1
                if len(one.values) >= BATCH_READINGS:
                    held -= self._flush(plan, table.name, key, one)
                elif held >= HELD_READINGS:
                    for other, waiting in series.items():
                        held -= self._flush(plan, table.name, other, waiting)
            for key, one in series.items():
                self._flush(plan, table.name, key, one)
        for span in plan.spans.values():
            self._tell(span)
        return self.result

    def _flush(
        self, plan: Plan, table: str, key: tuple[str, str, str, str], series: _Series
    ) -> int:
        """Send what waits; give how many that were."""
        size = len(series.values)
        if not size:
            return 0
        session, device, _, signal = key
        boot = plan.spans[table, session, device].boot
        for message in _messages(series, boot, int(signal)):
            path = f"/api/v1/import/{part(device)}/readings"
            answer = self._ask(path, message.SerializeToString(), _PROTOBUF)
            result = self.result
            result.accepted += answer["accepted"]
            result.duplicates += answer["duplicates"]
            result.rejected += answer["rejected"]
            for error in answer["errors"][: max(0, 5 - len(result.examples))]:
                text = f"{error['where']}: expected {error['expected']}, found {error['found']}"
                result.examples.append(text)
        series.sent += size
        series.times_ns, series.values = array("q"), array("d")
        self._done += size
        self._progress(self._done)
        return size

    def _tell(self, span: Span) -> None:
        body = {
            "name": span.name,
            "car_id": span.car_id,
            "driver": span.driver,
            "notes": span.notes,
            "opened_ns": span.first_ns,
            "closed_ns": span.last_ns,
        }
        path = f"/api/v1/import/{part(span.device)}/sessions/{span.boot}"
        told = self._ask(path, json.dumps(body).encode(), "application/json")
        self.result.sessions += bool(told["found"])

    def _ask(self, path: str, body: bytes, content_type: str) -> dict[str, Any]:
        for number in range(1, TRIES + 1):
            try:
                with self._client.answer("POST", path, body, content_type, TIMEOUT_S) as answer:
                    told: dict[str, Any] = json.loads(answer.read())
                    self._has_answered = True
                    return told
            except ApiError as error:
                self._has_answered |= error.status > 0
                # Where nobody ever answered, no gateway is away for a moment: the URL is wrong.
                if error.status not in _TRY_AGAIN or number == TRIES or not self._has_answered:
                    raise
            self._sleep(min(0.5 * 2**number, 10.0))
        raise AssertionError("unreachable")


def _messages(series: _Series, boot: int, signal: int) -> Iterator[Readings]:
    """Give the messages of what waits: columns end where an instant goes back."""
    message = Readings(boot=boot, seq=series.base + series.sent + 1)
    times, values = series.times_ns, series.values
    begin = 0
    for place in range(1, len(values) + 1):
        if place < len(values) and times[place] >= times[place - 1]:
            continue
        steps = [times[i + 1] - times[i] for i in range(begin, place - 1)]
        if steps and min(steps) == max(steps):
            del steps[1:]
        message.columns.add(
            signal_id=signal,
            first_time_ns=times[begin],
            step_ns=steps,
            values=struct.pack(f"<{place - begin}d", *values[begin:place]),
        )
        begin = place
        if len(message.columns) >= COLUMNS_MOST and place < len(values):
            yield message
            message = Readings(boot=boot, seq=series.base + series.sent + place + 1)
    yield message


def _base(channel: str) -> int:
    """Give where the numbers of a channel begin."""
    digest = hashlib.blake2b(channel.encode(), digest_size=4).digest()
    return (int.from_bytes(digest, "big") >> (32 - _HASH_BITS)) << _RANK_BITS


def _check_bases(plan: Plan) -> None:
    seen: dict[int, str] = {}
    for channel, mapped in plan.channels.items():
        name = str(channel)
        if mapped.signal and seen.setdefault(_base(name), name) != name:
            raise ImportRefused(
                f"the channels {seen[_base(name)]!r} and {name!r} have the same numbers: import "
                f"one of them first with --map '{name}=-', then rename it in a copy of the file"
            )
