"""Sending again what got no answer, and the numbers of readings."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.devices.client import ApiError
from server.importer.plan import make_plan
from server.importer.sending import COLUMNS_MOST, Sender, _messages, _Series
from server.importer.tables import open_file, tables_of
from server.wire.telemetry_pb2 import Readings
from tests.server.importer.files import s0


class Moody:
    """A gateway that fails now and then; keeps what it has taken."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.taken: list[bytes] = []

    @contextlib.contextmanager
    def answer(self, method: str, path: str, data: bytes, *_: Any) -> Iterator[io.BytesIO]:
        """Fail with the next status, or take it."""
        status = self.statuses.pop(0) if self.statuses else 200
        if status != 200:
            raise ApiError("not now", status)
        if path.endswith("/readings"):
            self.taken.append(data)
            size = sum(len(column.values) // 8 for column in Readings.FromString(data).columns)
            told = {"accepted": size, "duplicates": 0, "rejected": 0, "errors": []}
        else:
            told = {"found": True}
        yield io.BytesIO(json.dumps(told).encode())


def send(file: Path, gateway: Moody) -> tuple[int, list[float]]:
    """Send a file; give what was accepted, and how long was waited."""
    waits: list[float] = []
    with closing(open_file(file)) as connection:
        plan = make_plan(connection, tables_of(connection), {}, "car-1")
        sender = Sender(gateway, lambda done: None, waits.append)  # type: ignore[arg-type]
        return sender.send(connection, plan, "car-1").accepted, waits


def test_what_got_no_answer_is_sent_again(tmp_path: Path) -> None:
    """The same bytes go again after 503, 429 and silence, later each time; a refusal ends it."""
    file = s0(tmp_path / "s0.db")
    calm, moody = Moody([]), Moody([503, 429, 0])
    assert send(file, calm) == (180, [])
    assert send(file, moody) == (180, [1.0, 2.0, 4.0])
    assert moody.taken == calm.taken
    with pytest.raises(ApiError):
        send(file, Moody([400]))
    nobody = Moody([0] * 100)
    with pytest.raises(ApiError):
        send(file, nobody)
    assert len(nobody.statuses) == 99  # whoever never answered is not waited for
    with pytest.raises(ApiError):
        send(file, Moody([503] * 100))


def test_instants_that_go_back_make_new_columns() -> None:
    """Numbers go on from column to column, and from message to message."""
    size = 2 * COLUMNS_MOST + 10
    series = _Series(0, 5, array("q", range(size, 0, -1)), array("d", range(size)))
    messages = list(_messages(series, 9, 12))
    assert [message.seq for message in messages] == [6, 6 + COLUMNS_MOST, 6 + 2 * COLUMNS_MOST]
    assert sum(len(message.columns) for message in messages) == size
    steady = _Series(0, 0, array("q", [0, 10, 20, 5, 6, 8]), array("d", range(6)))
    (message,) = _messages(steady, 9, 12)
    assert [list(column.step_ns) for column in message.columns] == [[10], [1, 2]]


def test_a_file_that_is_written_to_meanwhile(tmp_path: Path) -> None:
    """What came after the look at the file is left for the next import, which misses nothing."""
    file = s0(tmp_path / "s0.db")
    later = "INSERT INTO data_points VALUES (NULL, ?, 1767323999.5, ?, 5, '')"
    gateway = Moody([])
    with closing(open_file(file)) as connection:
        plan = make_plan(connection, tables_of(connection), {}, "car-1")
        with closing(sqlite3.connect(file)) as writer, writer:
            writer.execute(later, ("a1b2", "SPEED"))
            writer.execute(later, ("new", "RPM"))
        sender = Sender(gateway, lambda done: None)  # type: ignore[arg-type]
        assert sender.send(connection, plan, "car-1").accepted == 180
    first = set(gateway.taken)
    assert send(file, gateway)[0] == 182
    assert first < set(gateway.taken)
