"""POST /api/telemetry and GET /status (E34, E35, D14, D15, D16, F16, O08) over a real gateway."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from server.gateway import Gateway
from server.readings import State
from server.store.connection import connect
from server.wire.telemetry_pb2 import EdgeRecord
from tests.server.stored import StoredReading, fetch_readings

VIN = "WF0DXXGAKDDK12345"
OTHER = "WBY1Z21000V123456"
S4 = "[compat]\ns4 = true\n"
PATH = "/api/telemetry"
HEADERS = {"content-type": "application/x-protobuf"}
SPEED, BATTERY, POWER = 13, 3001, 3002


@pytest.fixture
async def served(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway with S4's paths."""
    async with run_gateway(S4) as gateway:
        yield gateway


@pytest.fixture
async def logger(served: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """An edge logger on this machine."""
    async with httpx2.AsyncClient(base_url=served.url, headers=HEADERS) as client:
        yield client


def record(second: float = 0.0, vin: str = VIN, **fields: Any) -> bytes:
    """Make a record."""
    more = fields.pop("more", {})
    message = EdgeRecord(timestamp=round(time.time()) - 60 + second, vehicle_vin=vin, **fields)
    message.more.update(more)
    return bytes(message.SerializeToString())


async def values(gateway: Gateway, vin: str = VIN) -> list[tuple[int, float, State]]:
    """Give what is stored of a vehicle, by instant and signal."""
    url = gateway.config.database.url
    assert url is not None
    stored = await fetch_readings(url, f"edge.{vin}")

    def key(reading: StoredReading) -> tuple[int, int]:
        return reading.time_ns, reading.signal

    return [(r.signal, round(r.value, 4), r.state) for r in sorted(stored, key=key)]


@pytest.mark.promise("E34", "D14", "D15")
async def test_a_record_is_completed(served: Gateway, logger: httpx2.AsyncClient) -> None:
    """Fields that were left out are stored as held, with the predictor's value; others as sent."""
    whole = await logger.post(PATH, content=record(0, speed=100, battery=80, power=20))
    assert whole.status_code == 200
    assert whole.json() == {
        "status": "success",
        "compression_ratio": 0.0,
        "transmitted_fields": 3,
        "skipped_fields": 0,
    }
    part = await logger.post(PATH, content=record(1, speed=110))
    assert part.json() == {
        "status": "success",
        "compression_ratio": round(2 / 3, 4),
        "transmitted_fields": 1,
        "skipped_fields": 2,
    }
    await logger.post(PATH, content=record(2, battery=79))
    measured, held = State.MEASURED, State.HELD
    assert await values(served) == [
        (SPEED, 100.0, measured),
        (BATTERY, 80.0, measured),
        (POWER, 20.0, measured),
        (SPEED, 110.0, measured),
        (BATTERY, 80.0, held),
        (POWER, 20.0, held),
        (SPEED, 103.0, held),  # 0.3 * 110 + 0.7 * 100
        (BATTERY, 79.0, measured),
        (POWER, 20.0, held),
    ]
    status = (await logger.get("/status")).json()
    assert status["status"] == "healthy"
    assert status["compression_stats"] == {
        "total_readings": 9,
        "transmitted_readings": 5,
        "skipped_readings": 4,
        "compression_ratio": round(4 / 9, 4),
    }
    assert status["supabase_enabled"] is True


@pytest.mark.promise("F16")
async def test_the_ratio_is_skipped_over_total(logger: httpx2.AsyncClient) -> None:
    """350 of 1000 sent is 0.65, as the older system's figures say."""
    names = [f"THROTTLE_POS_{letter}" for letter in "BC"] + ["RPM", "MAF", "INTAKE_TEMP"]
    more = dict.fromkeys(names, 10.0)
    answer = await logger.post(PATH, content=record(0, speed=1, battery=2, more=more, fields=20))
    assert answer.json()["transmitted_fields"] == 7
    assert answer.json()["skipped_fields"] == 13
    assert answer.json()["compression_ratio"] == 0.65


@pytest.mark.promise("D16")
async def test_each_vehicle_has_its_own_predictor(
    served: Gateway, logger: httpx2.AsyncClient
) -> None:
    """What one vehicle sends completes no record of another."""
    await logger.post(PATH, content=record(0, speed=100, battery=80))
    await logger.post(PATH, content=record(0, vin=OTHER, speed=50))
    await logger.post(PATH, content=record(1, vin=OTHER, power=1))
    assert await values(served, OTHER) == [
        (SPEED, 50.0, State.MEASURED),
        (SPEED, 50.0, State.HELD),
        (POWER, 1.0, State.MEASURED),
    ]
    connection = await connect(served.config.database.url or "")
    rows = await connection.fetch(
        "SELECT vin, readings, transmitted, suppressed FROM device_days ORDER BY vin"
    )
    await connection.close()
    assert [tuple(row) for row in rows] == [(OTHER, 3, 2, 1), (VIN, 2, 2, 0)]


async def test_nothing_is_invented(served: Gateway, logger: httpx2.AsyncClient) -> None:
    """A field that was never sent is not completed, and a whole record has nothing added."""
    await logger.post(PATH, content=record(0, speed=100, fields=3))
    assert await values(served) == [(SPEED, 100.0, State.MEASURED)]
    await logger.post(PATH, content=record(1, battery=5, fields=1))
    assert await values(served) == [(SPEED, 100.0, State.MEASURED), (BATTERY, 5.0, State.MEASURED)]
    nothing = await logger.post(PATH, content=record(0, vin="NEW"))
    assert (nothing.status_code, nothing.json()["skipped_fields"]) == (200, 0)


async def test_the_same_record_again(served: Gateway, logger: httpx2.AsyncClient) -> None:
    """A retry changes neither what is stored, nor the predictor, nor the statistics."""
    await logger.post(PATH, content=record(0, speed=100))
    twice = record(1, speed=110)
    first = (await logger.post(PATH, content=twice)).json()
    again = (await logger.post(PATH, content=twice)).json()
    assert again == first | {"duplicate": True}
    await logger.post(PATH, content=record(2, battery=1))
    assert (SPEED, 103.0, State.HELD) in await values(served)
    assert (await logger.get("/status")).json()["compression_stats"]["total_readings"] == 4


async def test_a_restart_goes_on(run_gateway: Callable[..., Any]) -> None:
    """Predictor and statistics of an earlier run are taken up, and its retries are known."""
    last = record(1, speed=110)
    async with (
        run_gateway(S4) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers=HEADERS) as logger,
    ):
        await logger.post(PATH, content=record(0, speed=100))
        await logger.post(PATH, content=last)
    async with (
        run_gateway(S4) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers=HEADERS) as logger,
    ):
        assert (await logger.post(PATH, content=last)).json()["duplicate"] is True
        await logger.post(PATH, content=record(2, battery=1))
        assert (await values(gateway))[-2:] == [
            (SPEED, 103.0, State.HELD),
            (BATTERY, 1.0, State.MEASURED),
        ]
        stats = (await logger.get("/status")).json()["compression_stats"]
        assert (stats["total_readings"], stats["skipped_readings"]) == (4, 1)


async def test_records_at_the_same_time(served: Gateway, logger: httpx2.AsyncClient) -> None:
    """Records of one vehicle that come together are each stored once, and each moves the level."""
    await logger.post(PATH, content=record(0, speed=0))
    answers = await asyncio.gather(
        *(logger.post(PATH, content=record(second, speed=100)) for second in range(1, 11))
    )
    assert [answer.status_code for answer in answers] == [200] * 10
    await logger.post(PATH, content=record(11, battery=1))
    stored = await values(served)
    assert len(stored) == 13
    assert stored[-2] == (SPEED, round(100 * (1 - 0.7**10), 4), State.HELD)


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"", 400, "body"),
        (b"\xff\xff\xff", 400, "body"),
        (b"\x12\x7fcut off", 400, "body"),
        (bytes(20_000), 413, "body"),
        (record(vin=""), 400, "vehicle_vin"),
        (record(vin="'; DROP TABLE hot; --"), 400, "vehicle_vin"),
        (record(vin="\0"), 400, "vehicle_vin"),
        (record(speed=math.nan), 400, "speed"),
        (record(speed=-1), 400, "speed"),
        (record(battery=101), 400, "battery"),
        (record(power=math.inf), 400, "power"),
        (record(latitude=91.0), 400, "latitude"),
        (record(more={"RPM": 1e30}), 400, "more.RPM"),
        (record(more={f"x{i}": 1.0 for i in range(300)}), 400, "more"),
        (record(second=86_400, speed=1), 400, "timestamp"),
        (record(second=-2e9, speed=1), 400, "timestamp"),
        (record(second=1e300, speed=1), 400, "timestamp"),
        (EdgeRecord(timestamp=math.nan, vehicle_vin=VIN).SerializeToString(), 400, "timestamp"),
    ],
    # The records have instants in them: their bytes would name each worker's tests differently.
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
async def test_bad_records(
    served: Gateway, logger: httpx2.AsyncClient, body: bytes, status: int, where: str
) -> None:
    """A record that cannot be is refused with its field, logged, counted, and not stored."""
    with capture_logs() as lines:
        answer = await logger.post(PATH, content=body)
    assert (answer.status_code, answer.json()["error"]["where"]) == (status, where)
    if status == 400:
        assert [line["log_level"] for line in lines if line["event"] == "bad record"] == ["warning"]
        assert (await logger.get("/status")).json()["bad_records"] == 1
    assert await values(served) == []


async def test_another_content_type(logger: httpx2.AsyncClient) -> None:
    """JSON is told what is wanted."""
    answer = await logger.post(PATH, json={"speed": 1}, headers={"content-type": "text/json"})
    assert answer.status_code == 415
    assert answer.json()["error"]["expected"].startswith("application/x-protobuf or ")


async def test_fields_without_a_signal(logger: httpx2.AsyncClient) -> None:
    """A name that means nothing here is told back, and the rest is stored."""
    answer = await logger.post(PATH, content=record(more={"SEAT_TEMP": 1.0, "RPM": 800.0}))
    assert answer.json()["unknown_fields"] == ["SEAT_TEMP"]
    assert answer.json()["transmitted_fields"] == 1


async def test_a_vehicle_that_was_deactivated(served: Gateway, logger: httpx2.AsyncClient) -> None:
    """The vehicle shows among the devices, and the operator can end it."""
    await logger.post(PATH, content=record(0, speed=1))
    (device,) = await served.registry.devices()
    assert (device.id, device.vin) == (f"edge.{VIN}", VIN)
    await served.registry.deactivate(device.id)
    answer = await logger.post(PATH, content=record(1, speed=2))
    assert (answer.status_code, answer.json()["error"]["where"]) == (403, "vehicle_vin")


async def test_the_database_goes_and_comes(
    served: Gateway, logger: httpx2.AsyncClient, postgres: Any
) -> None:
    """Without the database a record is refused with 503 and logged; afterwards all goes on."""
    await logger.post(PATH, content=record(0, speed=100))
    url = served.config.database.url or ""
    name = url.partition("@/")[2].partition("?")[0]
    admin = await connect(postgres.url("postgres"))
    await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
    )
    retried = record(1, speed=110)
    with capture_logs() as lines:
        answer = await logger.post(PATH, content=retried)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "record not stored" in [line["event"] for line in lines]
    await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await admin.close()
    assert (await logger.post(PATH, content=retried)).json()["transmitted_fields"] == 1
    await logger.post(PATH, content=record(2, battery=1))
    assert (SPEED, 103.0, State.HELD) in await values(served)
