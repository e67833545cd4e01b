"""Records as messages: however they are put together, a reading has one number."""

from __future__ import annotations

import random
import time
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import by_name
from server.disk_queue import Record
from server.forward.wire import COLUMN_READINGS, Message, parts_of
from server.ingest.protobuf_readings import read_protobuf
from server.readings import Reading, State
from server.store.body import (
    Column,
    decode_places,
    encode_body,
    encode_columns,
    little_endian,
)

SIGNALS = [by_name(name).id for name in ("RPM", "SPEED", "COOLANT_TEMP")]
NOW_NS = time.time_ns()
Key = tuple[int, int]


def local(boot: int, seq: int, points: list[tuple[int, int, int, int]]) -> Record:
    """A record of local readings, (signal, milliseconds, value, state) each."""
    readings = [
        Reading(SIGNALS[signal], NOW_NS + ms * 10**6, float(value), NOW_NS, State(state))
        for signal, ms, value, state in points
    ]
    body = encode_body(readings)
    return Record(boot, seq, seq + len(readings) - 1, NOW_NS, len(readings), "", body)


def sent(records: list[Record], most: int) -> dict[Key, tuple[int, int, float, int]]:
    """Give what a far gateway makes of the messages of records: by (boot, number)."""
    found: dict[Key, tuple[int, int, float, int]] = {}
    message = Message(most)
    queue = [(record, part) for record in records for part in parts_of(record)]
    while queue:
        record, part = queue[0]
        if message.take(record, part):
            queue.pop(0)
            continue
        _arrive(message, found)
        message = Message(most)
    _arrive(message, found)
    return found


def _arrive(message: Message, found: dict[Key, tuple[int, int, float, int]]) -> None:
    batch = read_protobuf(message.encode(), "far", NOW_NS)
    assert not batch.problems.count, batch.problems.first
    piece = batch.piece(NOW_NS)
    for place, reading in decode_places(piece.body):
        key = batch.boot, batch.seq + place
        assert key not in found
        found[key] = (reading.signal, reading.time_ns, reading.value, int(reading.state))


points = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 50), st.integers(0, 100), st.integers(0, 2)),
    min_size=1,
    max_size=30,
)


@given(st.lists(points, min_size=1, max_size=5), st.integers(1, 40))
def test_numbers_do_not_depend_on_the_messages(
    parts: list[list[tuple[int, ...]]], most: int
) -> None:
    """Each record's readings arrive with the record's numbers, alone or with others, whole."""
    seq, records = 1, []
    for part in parts:
        records.append(local(9, seq, part))  # type: ignore[arg-type]
        seq += len(part)
    together = sent(records, most)
    alone: dict[Key, tuple[int, int, float, int]] = {}
    for record in records:
        one = sent([record], 500)
        assert sorted(number for _, number in one) == list(
            range(record.seq_first, record.seq_last + 1)
        )
        alone |= one
    assert together == alone
    given_ = sorted(
        (SIGNALS[signal], NOW_NS + ms * 10**6, float(value), state)
        for part in parts
        for signal, ms, value, state in part
    )
    assert sorted(together.values()) == given_


def test_gaps_of_a_device_stay() -> None:
    """Numbers that were refused here are left out there as well."""
    values = little_endian(array("d", [1.0, 2.0]))
    columns = [
        Column(0, SIGNALS[0], NOW_NS, [5], values),
        Column(7, SIGNALS[1], NOW_NS, [5], values, 1),
    ]
    record = Record(3, 100, 108, NOW_NS, 4, "", encode_columns(NOW_NS, columns))
    found = sent([record], 500)
    assert sorted(number for _, number in found) == [100, 101, 107, 108]
    assert found[3, 107][3] == State.BOUNDED


def test_a_long_column_is_cut() -> None:
    """A column that is too long for a message goes in parts, with its numbers."""
    size = 2 * COLUMN_READINGS + 17
    values = little_endian(array("d", [float(i % 100) for i in range(size)]))
    column = Column(0, SIGNALS[0], NOW_NS - 10**12, [1000], values)
    record = Record(3, 1, size, NOW_NS, size, "", encode_columns(NOW_NS, [column]))
    assert len(sent([record], 500)) == size


def test_without_a_boot_no_two_records_meet() -> None:
    """Where the content is the number, each record is a message of its own."""
    rng = random.Random(1)
    records = []
    for number in range(3):
        values = little_endian(array("d", [float(rng.randrange(100))]))
        body = encode_columns(NOW_NS, [Column(0, SIGNALS[0], NOW_NS + number, [], values)])
        records.append(Record(0, 5 + number, 5 + number, NOW_NS, 1, "", body))
    found = sent(records, 500)
    assert len(found) == 3
    assert {boot for boot, _ in found} == {0}
    assert found.keys() == sent(records[::-1], 500).keys()


@pytest.mark.parametrize("state", [4, 200])
def test_a_state_that_is_none_is_refused(state: int) -> None:
    """The far gateway takes no state that it does not know."""
    from server.answers import BadParameter
    from server.wire import telemetry_pb2

    message = telemetry_pb2.Readings(boot=1, seq=1)
    message.columns.add(signal="RPM", first_time_ns=NOW_NS, values=bytes(8), state=state)
    with pytest.raises(BadParameter, match="state"):
        read_protobuf(message.SerializeToString(), "far", NOW_NS)
