"""The registry over HTTP: the operator's secret, registration, keys, history, aggregates."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from server.gateway import Gateway
from server.readings import Reading, State

SECRET = "correct horse battery"
API = f"[api]\nsecret = '{SECRET}'\n"
NO_LOCAL_ROLE = {"TELERIG_USERS_LOCAL_ROLE": "none"}
PROBLEM = {"type", "title", "status", "detail", "instance", "expected", "found", "where"}
VIN = "WF0DXXGAKDDK12345"


@pytest.fixture
async def served(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway with a secret."""
    async with run_gateway(API, NO_LOCAL_ROLE) as gateway:
        yield gateway


@pytest.fixture
async def operator(served: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the API secret."""
    async with httpx2.AsyncClient(base_url=served.url, headers={"X-API-Key": SECRET}) as client:
        yield client


ROUTES = [
    ("POST", "/api/v1/devices"),
    ("GET", "/api/v1/devices"),
    ("GET", "/api/v1/devices/esp-1"),
    ("DELETE", "/api/v1/devices/esp-1"),
    ("POST", "/api/v1/devices/esp-1/keys"),
    ("DELETE", "/api/v1/devices/esp-1/keys/1"),
    ("GET", "/api/v1/devices/esp-1/history"),
    ("GET", "/api/v1/devices/esp-1/aggregate"),
    ("GET", "/api/v1/devices/esp-1/stats"),
    ("GET", f"/api/v1/vehicles/{VIN}/stats"),
]


async def test_only_the_operator_may(served: Gateway, operator: httpx2.AsyncClient) -> None:
    """Every path of the registry refuses anybody without the secret, a device's key included."""
    key = (await operator.post("/api/v1/devices", json={"id": "esp-1"})).json()["key"]
    async with httpx2.AsyncClient(base_url=served.url) as client:
        for method, path in ROUTES:
            for headers in ({}, {"X-API-Key": "wrong horse battery"}, {"X-API-Key": key}):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path)
                assert answer.json()["detail"] == "Invalid API key"
                assert answer.json()["where"] == "X-API-Key"
                assert SECRET not in answer.text
                assert "ApiKey" in answer.headers["www-authenticate"]
    assert len((await operator.get("/api/v1/devices/esp-1")).json()["keys"]) == 1


async def test_without_a_secret_nobody_is_the_operator(run_gateway: Callable[..., Any]) -> None:
    """A gateway without a secret refuses even from this machine, and says how to set one."""
    async with (
        run_gateway("", NO_LOCAL_ROLE) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        for headers in ({}, {"X-API-Key": ""}, {"X-API-Key": "None"}):
            answer = await client.get("/api/v1/devices", headers=headers)
            assert answer.status_code == 401
            assert not headers or "TELERIG_API_SECRET" in answer.json()["expected"]


@pytest.mark.promise("E29", "E30", "E31")
async def test_register_list_show_deactivate(served: Gateway, operator: httpx2.AsyncClient) -> None:
    """A device is registered once, is listed while it is active, and shows no secret."""
    answer = await operator.post(
        "/api/v1/devices", json={"id": "esp-1", "name": "Ada's car", "vin": VIN}
    )
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    key = answer.json()["key"]
    assert answer.json()["device"]["vin"] == VIN
    assert (await served.registry.authenticate(key)).id == "esp-1"  # type: ignore[union-attr]
    again = await operator.post("/api/v1/devices", json={"device_id": "esp-1"})
    assert again.status_code == 409
    assert (await operator.get("/api/v1/devices")).json()["devices"][0]["name"] == "Ada's car"
    shown = await operator.get("/api/v1/devices/esp-1")
    assert [key["live"] for key in shown.json()["keys"]] == [True]
    assert key.split("_")[-2] not in shown.text
    assert (await operator.delete("/api/v1/devices/esp-1")).json()["device"]["active"] is False
    assert (await operator.get("/api/v1/devices")).json() == {"devices": []}
    every = await operator.get("/api/v1/devices?all=true")
    assert [device["id"] for device in every.json()["devices"]] == ["esp-1"]
    assert await served.registry.authenticate(key) is None


async def test_rotate_and_revoke(served: Gateway, operator: httpx2.AsyncClient) -> None:
    """The old and the new key both work until the old one is revoked, which counts at once."""
    first = (await operator.post("/api/v1/devices", json={"id": "esp-1"})).json()
    rotated = await operator.post("/api/v1/devices/esp-1/keys")
    assert (rotated.status_code, rotated.headers["cache-control"]) == (201, "no-store")
    second = rotated.json()["key"]
    assert await served.registry.authenticate(first["key"])
    assert await served.registry.authenticate(second)
    third = await operator.post("/api/v1/devices/esp-1/keys", json={"overlap_s": 60})
    assert third.status_code == 409
    revoked = await operator.delete(f"/api/v1/devices/esp-1/keys/{first['key_id']}")
    assert [key["live"] for key in revoked.json()["keys"]] == [True, False]
    assert await served.registry.authenticate(first["key"]) is None
    assert await served.registry.authenticate(second)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "where"),
    [
        ("POST", "/api/v1/devices", b"", 400, "body"),
        ("POST", "/api/v1/devices", b"{", 400, "body"),
        ("POST", "/api/v1/devices", b"[1]", 400, "body"),
        ("POST", "/api/v1/devices", b"\xff\xfe", 400, "body"),
        ("POST", "/api/v1/devices", b"[" * 50_000, 400, "body"),
        ("POST", "/api/v1/devices", b" " * 70_000, 413, "body"),
        ("POST", "/api/v1/devices", b"{}", 400, "id"),
        ("POST", "/api/v1/devices", b'{"id": 1}', 400, "id"),
        ("POST", "/api/v1/devices", b'{"id": "a\\u0000"}', 400, "body"),
        ("POST", "/api/v1/devices", b'{"id": "\'; DROP TABLE devices; --"}', 400, "id"),
        ("POST", "/api/v1/devices", b'{"id": "../etc"}', 400, "id"),
        ("POST", "/api/v1/devices", b'{"id": "car-1"}', 409, "id"),
        ("POST", "/api/v1/devices", b'{"id": "a", "name": "\\u0007"}', 400, "name"),
        ("POST", "/api/v1/devices", b'{"id": "a", "vin": "short"}', 400, "vin"),
        ("POST", "/api/v1/devices", b'{"id": "a", "active": true}', 400, "active"),
        ("POST", "/api/v1/devices/esp-1/keys", b'{"overlap_s": -1}', 400, "overlap_s"),
        ("POST", "/api/v1/devices/esp-1/keys", b'{"overlap_s": 1e99}', 400, "overlap_s"),
        ("POST", "/api/v1/devices/nobody/keys", b"", 404, "device"),
        ("GET", "/api/v1/devices/nobody", b"", 404, "device"),
        ("GET", "/api/v1/devices/%00", b"", 404, "device"),
        ("GET", "/api/v1/devices/' OR 1=1", b"", 404, "device"),
        ("GET", "/api/v1/devices?all=yes", b"", 400, "all"),
        ("GET", "/api/v1/devices?al=true", b"", 400, "query"),
        ("DELETE", "/api/v1/devices/nobody", b"", 404, "device"),
        ("DELETE", "/api/v1/devices/esp-1/keys/99", b"", 404, "key"),
        ("DELETE", "/api/v1/devices/esp-1/keys/-1", b"", 404, "key"),
        ("DELETE", "/api/v1/devices/esp-1/keys/99999999999999999999", b"", 404, "key"),
        ("GET", "/api/v1/devices/nobody/history", b"", 404, "device"),
        ("GET", "/api/v1/devices/esp-1/history?start=yesterday", b"", 400, "start"),
        ("GET", "/api/v1/devices/esp-1/history?limit=0", b"", 400, "limit"),
        ("GET", "/api/v1/devices/esp-1/aggregate?window_s=0", b"", 400, "window_s"),
        ("GET", "/api/v1/devices/esp-1/aggregate?signal=NO", b"", 400, "signal"),
        ("GET", "/api/v1/devices/nobody/stats", b"", 404, "device"),
        ("GET", "/api/v1/vehicles/short/stats", b"", 404, "vin"),
        ("PUT", "/api/v1/devices/esp-1", b"", 405, "PUT /api/v1/devices/esp-1"),
    ],
)
async def test_bad_requests(
    operator: httpx2.AsyncClient, method: str, path: str, body: bytes, status: int, where: str
) -> None:
    """A wrong request is refused with the field that is wrong, and changes nothing."""
    await operator.post("/api/v1/devices", json={"id": "esp-1"})
    answer = await operator.request(method, path, content=body)
    assert (answer.status_code, answer.json()["where"]) == (status, where)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == PROBLEM
    devices = (await operator.get("/api/v1/devices")).json()["devices"]
    assert [device["id"] for device in devices] == ["esp-1"]


async def test_a_body_that_never_ends(served: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that stops in the middle is answered and cut, not waited for."""
    monkeypatch.setattr("server.requests.read_body.__defaults__", (0.2,))
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"X-API-Key: " + SECRET.encode() + b'\r\n\r\n{"id": '
    )
    async with asyncio.timeout(10):
        assert b" 408 " in await reader.readline()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _steps(gateway: Gateway) -> list[Reading]:
    start_ns = 1_800_000_000 * 10**9
    return [
        Reading(12, start_ns + i * 10**9, float(i), start_ns + i * 10**9) for i in range(20)
    ] + [
        Reading(13, start_ns, 30.0, start_ns, State.MEASURED),
        Reading(13, start_ns + 10**9, 99.0, start_ns, State.HELD),
        Reading(13, start_ns + 10**9, float("nan"), start_ns, State.LOST),
    ]


async def test_history_and_aggregate(served: Gateway, operator: httpx2.AsyncClient) -> None:
    """Readings of a device come in pages; figures count what was measured, in whole windows."""
    served.pipeline.offer(_steps(served))
    while served.pipeline.counts.stored < 23:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    base = "/api/v1/devices/car-1"
    page = (await operator.get(f"{base}/history?signal=RPM&limit=15")).json()
    assert [reading["value"] for reading in page["readings"]] == [float(i) for i in range(15)]
    rest = (await operator.get(f"{base}/history?signal=RPM&after={page['next']}")).json()
    assert [reading["value"] for reading in rest["readings"]] == [15.0, 16.0, 17.0, 18.0, 19.0]
    assert rest["next"] is None
    between = "start=2027-01-15T08:00:05Z&end=2027-01-15T08:00:07%2B00:00&signal=RPM"
    some = (await operator.get(f"{base}/history?{between}")).json()
    assert [reading["value"] for reading in some["readings"]] == [5.0, 6.0]

    whole = (await operator.get(f"{base}/aggregate")).json()["windows"]
    assert whole == [
        {"signal": "RPM", "start_ns": 0, "count": 20, "held": 0, "min": 0, "max": 19, "avg": 9.5},
        {"signal": "SPEED", "start_ns": 0, "count": 1, "held": 1, "min": 30, "max": 30, "avg": 30},
    ]
    windows = (await operator.get(f"{base}/aggregate?window_s=15&signal=RPM")).json()["windows"]
    assert [(w["start_ns"] // 10**9, w["count"], w["avg"]) for w in windows] == [
        (1_800_000_000, 15, 7.0),
        (1_800_000_015, 5, 17.0),
    ]


async def test_an_aggregate_over_too_much(
    served: Gateway, operator: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question over more than the limit is refused with what to do, not answered by halves."""
    served.pipeline.offer(_steps(served))
    while served.pipeline.counts.stored < 23:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    monkeypatch.setattr("server.history.errors.WINDOWS_LIMIT", 3)
    answer = await operator.get("/api/v1/devices/car-1/aggregate?window_s=1")
    assert (answer.status_code, answer.json()["found"]) == (400, "more than 3 windows")
    monkeypatch.setattr("server.history.errors.READINGS_LIMIT", 10)
    answer = await operator.get("/api/v1/devices/car-1/aggregate")
    assert answer.json()["found"] == "more than 10 readings"


async def test_statistics(served: Gateway, operator: httpx2.AsyncClient) -> None:
    """What a device has sent is counted by device, day, start and vehicle; refusals too."""
    body = {"id": "esp-1", "vin": VIN}
    key = {"X-API-Key": (await operator.post("/api/v1/devices", json=body)).json()["key"]}
    empty = (await operator.get("/api/v1/devices/esp-1/stats")).json()
    assert empty["total"]["suppression_ratio"] is None
    assert (empty["days"], empty["boots"], empty["refused"]) == ([], [], [])
    column = {"signal": "RPM", "first_time_ns": 1_700_000_000 * 10**9, "step_ns": 10**9}
    batch = {"boot": 5, "seq": 1, "columns": [{**column, "values": [800.0, 801.0, 802.0]}]}
    async with httpx2.AsyncClient(base_url=served.url, headers=key) as device:
        assert (await device.post("/api/v1/ingest/batch", json=batch)).status_code == 200
        assert (await device.post("/api/v1/ingest", content=b"{")).status_code == 400
        batch["columns"][0]["values"] = [1e9]  # type: ignore[index]
        assert (await device.post("/api/v1/ingest/batch", json=batch)).status_code == 400
    found: dict[str, Any] = {}
    async with asyncio.timeout(15):
        while len(found.get("refused", ())) < 2:
            await asyncio.sleep(0.1)
            found = (await operator.get("/api/v1/devices/esp-1/stats")).json()
    assert (found["total"]["readings"], found["total"]["suppression_ratio"]) == (3, 0.0)
    assert found["total"]["compression_ratio"] > 0
    assert [(day["of"], day["sums"]["readings"]) for day in found["days"]] == [(VIN, 3)]
    assert [(boot["boot"], boot["sums"]["readings"]) for boot in found["boots"]] == [(5, 3)]
    vehicle = (await operator.get(f"/api/v1/vehicles/{VIN}/stats")).json()
    assert vehicle["total"] == found["total"]
    assert [day["of"] for day in vehicle["days"]] == ["esp-1"]


async def test_a_revoked_key_sends_nothing_more(
    served: Gateway, operator: httpx2.AsyncClient
) -> None:
    """On the very next request after the revocation the device is refused."""
    first = (await operator.post("/api/v1/devices", json={"id": "esp-1"})).json()
    second = (await operator.post("/api/v1/devices/esp-1/keys")).json()
    reading = {"signal": "RPM", "time_ns": 1_700_000_000 * 10**9, "value": 800.0}
    async with httpx2.AsyncClient(base_url=served.url) as device:

        async def send(key: str, seq: int) -> int:
            answer = await device.post(
                "/api/v1/ingest",
                json={**reading, "boot": 1, "seq": seq},
                headers={"X-API-Key": key},
            )
            if answer.status_code == 401:
                assert answer.json()["detail"] == "Invalid API key"
            return answer.status_code

        assert await send(first["key"], 1) == 200
        assert await send(second["key"], 2) == 200
        await operator.delete(f"/api/v1/devices/esp-1/keys/{first['key_id']}")
        assert await send(first["key"], 3) == 401
        assert await send(second["key"], 3) == 200
        await operator.delete("/api/v1/devices/esp-1")
        assert await send(second["key"], 4) == 401


async def test_the_list_says_when_a_device_was_heard(
    served: Gateway, operator: httpx2.AsyncClient
) -> None:
    """Null before it was; then when its newest reading came, and when its key was used."""
    before_ns = time.time_ns()
    for device in ("esp-1", "esp-2"):
        key = (await operator.post("/api/v1/devices", json={"id": device})).json()["key"]
    listed = (await operator.get("/api/v1/devices")).json()["devices"]
    assert [(one["heard_ns"], one["last_used_ns"]) for one in listed] == [(None, None)] * 2
    body = {"boot": 1, "seq": 1, "readings": [{"signal": "RPM", "time_ns": 10**18, "value": 900}]}
    answer = await operator.post("/api/v1/ingest/batch", json=body, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text
    first, second = (await operator.get("/api/v1/devices")).json()["devices"]
    assert (first["heard_ns"], first["last_used_ns"]) == (None, None)
    assert second["last_used_ns"] >= before_ns
    assert (
        second["heard_ns"]
        == (await operator.get("/api/v1/devices/esp-2/stats")).json()["boots"][0]["last_ns"]
    )
