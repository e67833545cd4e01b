"""Plain readings over HTTP, as JSON and protobuf: stored, answered, refused by name."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect as connect_websocket

from server.answers import Refusal
from server.gateway import Gateway
from server.ingest.batch import Batch
from server.ingest.json_readings import read_batch, read_single
from server.ingest.limits import BATCH_READINGS
from server.ingest.protobuf_readings import read_protobuf
from server.wire.telemetry_pb2 import Column, Readings
from tests.server.ingest.conftest import NOW_NS, Sender, rows, stored, values

SECOND_NS = 1_000_000_000


def protobuf(*columns: tuple[str, list[float]], boot: int = 1, seq: int = 1, **more: Any) -> bytes:
    """A message of columns with a reading each second."""
    message = Readings(boot=boot, seq=seq, **more)
    for signal, numbers in columns:
        message.columns.add(
            signal=signal,
            first_time_ns=NOW_NS - 60 * SECOND_NS,
            step_ns=[SECOND_NS],
            values=struct.pack(f"<{len(numbers)}d", *numbers),
        )
    return message.SerializeToString()


@pytest.mark.promise("E27")
async def test_one_reading(gateway: Gateway, sender: Sender, database_url: str) -> None:
    """A reading is stored when it is answered, under the device's own boot and number."""
    body = {"boot": 3, "seq": 9, "signal": "RPM", "time_ns": NOW_NS, "value": 812.25}
    answer = await sender.post("/ingest", body)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["accepted"] == content["transmitted"] == 1
    assert content["duplicates"] == content["suppressed"] == content["rejected"] == 0
    assert content["suppression_ratio"] == 0
    assert content["compression_ratio"] == pytest.approx(12 / len(answer.request.content), abs=1e-3)
    (reading,) = await stored(database_url)
    assert (reading.boot, reading.seq, reading.signal) == (3, 9, 12)
    assert (reading.time_ns, reading.value) == (NOW_NS, 812.25)
    again = (await sender.post("/ingest", body)).json()
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert len(await stored(database_url)) == 1


@pytest.mark.parametrize(
    ("signal", "time"),
    [
        (13, "2026-01-02T03:04:05.678901Z"),
        ("Vehicle.Speed", "2026-01-02T04:04:05.678901+01:00"),
    ],
)
async def test_signals_and_times_have_several_names(
    sender: Sender, database_url: str, signal: str | int, time: str
) -> None:
    """A signal may be named by id or path, an instant by ISO 8601 in any zone."""
    assert (
        await sender.post("/ingest", {"signal": signal, "time": time, "value": 50})
    ).status_code == 200
    (reading,) = await stored(database_url)
    assert (reading.signal, reading.value) == (13, 50.0)
    assert reading.time_ns == 1_767_323_045_678_901_000


@pytest.mark.promise("E28")
async def test_a_batch_of_rows(sender: Sender, database_url: str) -> None:
    """Rows are numbered in their order, whatever the order of signals and instants."""
    readings = [{"signal": "RPM", "time_ns": NOW_NS - n * 1000, "value": n} for n in range(5)] + [
        {"signal": "SPEED", "time_ns": NOW_NS, "value": 7}
    ]
    answer = await sender.post("/ingest/batch", {"boot": 1, "seq": 5, "readings": readings})
    assert answer.json()["accepted"] == 6
    found = await stored(database_url)
    assert [(r.seq, r.signal, r.value) for r in found] == [
        *((5 + n, 12, float(n)) for n in range(5)),
        (10, 13, 7.0),
    ]


async def test_batches_of_columns(sender: Sender, database_url: str) -> None:
    """Columns in JSON and protobuf give the same readings, numbered column by column."""
    columns = [
        {"signal": "RPM", "first_time_ns": NOW_NS - 10_000, "step_ns": 10, "values": [1, 2, 3]},
        {
            "signal": "SPEED",
            "first_time_ns": NOW_NS - 9_000,
            "step_ns": [5, 7],
            "values": [4, 5, 6],
        },
        {"signal": "SATS", "first_time_ns": NOW_NS, "values": [9]},
    ]
    assert (await sender.post("/ingest/batch", {"boot": 1, "seq": 1, "columns": columns})).json()[
        "accepted"
    ] == 7
    message = Readings(boot=2, seq=1)
    for column in columns:
        steps = column.get("step_ns", [])
        message.columns.add(
            signal=str(column["signal"]),
            first_time_ns=column["first_time_ns"],
            step_ns=steps if isinstance(steps, list) else [steps],
            values=struct.pack(f"<{len(column['values'])}d", *column["values"]),
        )
    answer = await sender.post("/ingest/batch", message.SerializeToString())
    assert answer.json()["accepted"] == 7, answer.text
    found = await stored(database_url)
    first, second = found[:7], found[7:]
    assert [(r.seq, r.signal, r.time_ns, r.value) for r in first] == [
        (r.seq, r.signal, r.time_ns, r.value) for r in second
    ]
    assert [r.time_ns - NOW_NS for r in first] == [
        -10_000, -9_990, -9_980, -9_000, -8_995, -8_988, 0,
    ]  # fmt: skip


async def test_devices_that_do_not_count(sender: Sender, database_url: str) -> None:
    """Without boot and seq the same readings twice are stored once, others beside them."""
    body = {"signal": "RPM", "time_ns": NOW_NS, "value": 1}
    answers = [(await sender.post("/ingest", content)).json() for content in (body, body, body)]
    assert [answer["accepted"] for answer in answers] == [1, 0, 0]
    assert (await sender.post("/ingest", body | {"value": 2})).json()["accepted"] == 1
    assert sorted(values(await stored(database_url))) == [1.0, 2.0]


async def test_overlaps_are_stored_once(sender: Sender, database_url: str) -> None:
    """A batch that overlaps with stored ones adds what is missing."""
    for first in (1, 11, 6):
        numbers = [float(n) for n in range(first, first + 10)]
        answer = await sender.post("/ingest/batch", protobuf(("RPM", numbers), seq=first))
        assert answer.status_code == 200
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (0, 10)
    numbers = [float(n) for n in range(1, 31)]
    answer = await sender.post("/ingest/batch", protobuf(("RPM", numbers), seq=1))
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (10, 20)
    found = await stored(database_url)
    assert [r.seq for r in found] == values(found) == list(range(1, 31))


async def test_bad_readings_of_a_batch(gateway: Gateway, sender: Sender, database_url: str) -> None:
    """Good readings are stored with their own numbers; bad ones are named, counted and kept out."""
    good = [800.0, 900.0]
    message = Readings.FromString(protobuf(("RPM", [*good, float("nan"), 20_000.0, 700.0])))
    message.columns.add(signal="NONE", first_time_ns=NOW_NS, values=bytes(16), step_ns=[1])
    message.columns.add(signal="SPEED", first_time_ns=NOW_NS + 7200 * SECOND_NS, values=bytes(8))
    message.columns.add(signal="SPEED", first_time_ns=5, values=bytes(8))
    message.columns.add(signal="SPEED", first_time_ns=NOW_NS, values=bytes(24), step_ns=[10, -1])
    body = message.SerializeToString()
    answer = await sender.post("/ingest/batch", body)
    assert answer.status_code == 200
    content = answer.json()
    assert (content["accepted"], content["rejected"]) == (5, 7)
    errors = {error["where"]: error["found"] for error in content["errors"]}
    assert errors["columns[0][2].value"] == "nan"
    assert errors["columns[0][3].value"] == "20000.0"
    assert "NONE" in errors["columns[1].signal"]
    assert {"columns[2][0].time", "columns[3][0].time", "columns[4][2].time"} < set(errors)
    found = await stored(database_url)
    assert [(r.seq, r.value) for r in found] == [
        (1, 800.0), (2, 900.0), (5, 700.0), (10, 0.0), (11, 0.0),
    ]  # fmt: skip
    again = (await sender.post("/ingest/batch", body)).json()
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 5, 7)
    await gateway.ingest.log.close()
    kept = await rows(database_url, "SELECT * FROM device_refusals WHERE device = 'esp-1'")
    assert {row["reason"]: row["count"] for row in kept} == {
        "not a number": 2, "value": 2, "unknown signal": 4, "future": 2, "past": 2, "time": 2,
    }  # fmt: skip
    assert any("20000.0" in example for row in kept for example in row["examples"])


_ROW = {"signal": "RPM", "time_ns": NOW_NS, "value": 1}
_COLUMN = {"signal": "RPM", "first_time_ns": NOW_NS, "values": [1, 2, 3], "step_ns": 1}
BAD_JSON: list[tuple[str, Any, str]] = [
    ("/ingest", {**_ROW, "colour": 1}, "colour"),
    ("/ingest", {"signal": "RPM", "time_ns": 1}, "value"),
    ("/ingest", {**_ROW, "value": "1"}, "value"),
    ("/ingest", {**_ROW, "value": None}, "value"),
    ("/ingest", {**_ROW, "value": 20_000}, "value"),
    ("/ingest", {**_ROW, "signal": "RPN"}, "signal"),
    ("/ingest", {**_ROW, "signal": 2**70}, "signal"),
    ("/ingest", {**_ROW, "time_ns": 2**63}, "time_ns"),
    ("/ingest", {**_ROW, "time_ns": NOW_NS + 2 * 3600 * SECOND_NS}, "time"),
    ("/ingest", {**_ROW, "time_ns": -1}, "time"),
    ("/ingest", {**_ROW, "time": "2026-01-01T00:00:00Z"}, "time"),
    ("/ingest", {"signal": "RPM", "value": 1, "time": "2026-01-01T00:00:00"}, "time"),
    ("/ingest", {"signal": "RPM", "value": 1}, "time"),
    ("/ingest", {**_ROW, "boot": -1}, "boot"),
    ("/ingest", {**_ROW, "boot": 2**32}, "boot"),
    ("/ingest", {**_ROW, "boot": 1}, "seq"),
    ("/ingest", {**_ROW, "seq": -5}, "seq"),
    ("/ingest", {**_ROW, "seq": 1}, "boot"),
    ("/ingest", {**_ROW, "boot": 0, "seq": 1}, "boot"),
    ("/ingest/batch", {"seq": 7, "columns": [_COLUMN]}, "boot"),
    ("/ingest", {**_ROW, "device": "another"}, "device"),
    ("/ingest", {**_ROW, "vin": "WF0 \0"}, "vin"),
    ("/ingest", [], "body"),
    ("/ingest/batch", {}, "readings"),
    ("/ingest/batch", {"readings": [_ROW, {**_ROW, "x": 1}]}, "readings[1].x"),
    ("/ingest/batch", {"columns": [{**_COLUMN, "values": []}]}, "columns[0].values"),
    ("/ingest/batch", {"columns": [{**_COLUMN, "step_ns": [1]}, {**_COLUMN, "step_ns": [1, 2, 3]}]},
     "columns[1].step_ns"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            '{"signal": "RPM", "time_ns": 1, "value": 1e999}',
            ("a number that float64 can hold", "a greater one", "value"),
        ),
        (
            '{"signal": "RPM", "time": "noon", "value": 1}',
            ("an instant as 2026-01-31T12:00:00Z", "another text", "time"),
        ),
        (
            '{"signal": "RPM", "time_ns": 1, "value": "1"}',
            ("`float`", "`str`", "value"),
        ),
    ],
)
def test_words_of_a_refusal(body: str, error: tuple[str, str, str]) -> None:
    """A refusal says what was expected and what came, whatever the decoder's own words are."""
    with pytest.raises(Refusal) as caught:
        read_single(body.encode(), "d", NOW_NS)
    refusal = caught.value
    assert (refusal.expected, refusal.found, refusal.where) == error


@pytest.mark.parametrize(("path", "body", "where"), BAD_JSON, ids=range(len(BAD_JSON)))
async def test_bad_json_is_refused_by_name(
    sender: Sender, database_url: str, path: str, body: Any, where: str
) -> None:
    """What is wrong is answered with 4xx and the name of the field; nothing is stored."""
    answer = await sender.post(path, body)
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()
    assert error["where"] == where, error
    assert error["expected"]
    assert error["found"]
    assert await stored(database_url) == []


def _message(**fields: Any) -> bytes:
    column = {"signal": "RPM", "first_time_ns": NOW_NS, "values": bytes(24), "step_ns": [1]}
    return Readings(boot=1, seq=1, columns=[Column(**(column | fields))]).SerializeToString()


BAD_PROTOBUF = [
    (b"", "readings"),
    (b"\xff\xff", "body"),
    (b"\x0a\xff\xff\xff\xff\x0f", "body"),
    (_message(values=bytes(23)), "columns[0].values"),
    (_message(values=b""), "columns[0].values"),
    (_message(step_ns=[1, 2, 3]), "columns[0].step_ns"),
    (_message(signal=""), "columns[0].signal"),
    (_message()[:-3], "body"),
    (Readings(seq=1, boot=1, device="x").SerializeToString(), "device"),
    (_message() + b"\x18\x00", "seq"),
    (_message() + b"\x18" + b"\xff" * 9 + b"\x01", "seq"),
    (_message() + b"\x10\x00", "boot"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "where"), BAD_PROTOBUF, ids=range(len(BAD_PROTOBUF)))
@pytest.mark.promise("O08")
async def test_bad_protobuf_is_refused_by_name(
    sender: Sender, database_url: str, body: bytes, where: str
) -> None:
    """A message that is none, or breaks a rule, is answered with 4xx and the field's name."""
    answer = await sender.post("/ingest/batch", body)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["where"] == where, answer.text
    assert await stored(database_url) == []


def refusal_or_batch(read: Callable[..., Batch], body: bytes) -> None:
    """Check that a reader gives a batch, or refuses with a status and a name."""
    try:
        batch = read(body, "d", NOW_NS)
    except Refusal as error:
        refusal = error
    else:
        assert batch.size > 0
        return
    assert 400 <= refusal.status < 500
    assert refusal.where


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(body: bytes) -> None:
    """Whatever bytes come, a reader gives a batch or a refusal with a name."""
    for read in (read_single, read_batch, read_protobuf):
        refusal_or_batch(read, body)


_json_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["signal", "value", "time", "time_ns", "boot", "seq", "readings", "columns",
                 "values", "step_ns", "first_time_ns", "vin", "device"]
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_json_like)
@pytest.mark.promise("O14")
def test_any_json_is_refused_or_read(content: Any) -> None:
    """Whatever JSON comes, a reader gives a batch or a refusal with a name."""
    for read in (read_single, read_batch):
        refusal_or_batch(read, json.dumps(content).encode())


@pytest.mark.promise("X07")
async def test_keys_are_needed(gateway: Gateway, sender: Sender) -> None:
    """Without a key, with another and with a revoked one the answer is 401 and the known text."""
    async with httpx2.AsyncClient(base_url=gateway.url) as nobody:
        for path in ("/ingest", "/ingest/batch", "/uplink"):
            answer = await nobody.post(f"/api/v1{path}", content=b"{}")
            assert answer.status_code == 401
            assert answer.json()["detail"] == "Invalid API key"
    await gateway.registry.deactivate("esp-1")
    assert (await sender.post("/ingest", _ROW)).status_code == 401


async def test_kinds_and_codings(sender: Sender, database_url: str) -> None:
    """Another content type or coding is 415; gzip is read; a wrong method is 405."""
    body = json.dumps(_ROW).encode()
    headers = {"content-type": "application/json"}
    packed = gzip.compress(body)
    post = sender.post
    assert (await post("/ingest", packed, **headers, **{"content-encoding": "gzip"})).is_success
    assert len(await stored(database_url)) == 1
    for wrong in ({"content-encoding": "br"}, {"content-type": "text/csv"}):
        assert (await post("/ingest", body, **(headers | wrong))).status_code == 415
    for damaged in (packed[:-4], packed + b"x", body):
        answer = await post("/ingest", damaged, **headers, **{"content-encoding": "gzip"})
        assert answer.status_code == 400
        assert answer.json()["where"] == "body"
    assert (await sender.http.get("/api/v1/ingest")).status_code == 405


async def test_a_batch_is_bounded_in_readings(sender: Sender) -> None:
    """More readings than one batch may have are 413, as JSON and as protobuf."""
    body = protobuf(("RPM", [1.0] * BATCH_READINGS), ("SPEED", [1.0]))
    assert (await sender.post("/ingest/batch", body)).status_code == 413
    column = {"signal": "RPM", "first_time_ns": NOW_NS, "values": [1] * (BATCH_READINGS + 1)}
    assert (await sender.post("/ingest/batch", {"columns": [column]})).status_code == 413


async def test_the_live_stream_names_the_device(gateway: Gateway, sender: Sender) -> None:
    """Readings of devices are on the live stream after their commit, with device and boot."""
    async with connect_websocket(f"{gateway.url.replace('http', 'ws', 1)}/api/v1/live") as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
        await sender.post("/ingest/batch", protobuf(("RPM", [1.0, 2.0, 3.0]), boot=7, seq=4))
        async with asyncio.timeout(5):
            readings, done = json.loads(await socket.recv()), json.loads(await socket.recv())
    assert (readings["type"], readings["device"], readings["boot"]) == ("readings", "esp-1", 7)
    assert [(row[0], row[1], row[3]) for row in readings["readings"]] == [
        (4, 12, 1.0), (5, 12, 2.0), (6, 12, 3.0),
    ]  # fmt: skip
    assert (done["type"], done["device"], done["first"], done["upto"]) == ("stored", "esp-1", 4, 6)


@pytest.mark.promise("T13")
async def test_statistics_are_kept_by_day_and_vehicle(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """Readings count for the vehicle that the request names, else for the device's own."""
    await sender.post("/ingest/batch", protobuf(("RPM", [1.0, 2.0]), vin="WF0DXXGAKDDK12345"))
    await sender.post("/ingest/batch", protobuf(("RPM", [1.0]), seq=3))
    days = await rows(database_url, "SELECT vin, readings FROM device_days ORDER BY vin")
    assert [tuple(row) for row in days] == [("", 1), ("WF0DXXGAKDDK12345", 2)]
