"""The paths of other people's devices: keys, answers, idempotence, quarantine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2

from server.gateway import Gateway
from server.history.reader import Wanted, columns

ON = """
[dialects]
torque = true
osmand = true
thingsboard = true
thingsboard_keys = {temperature = "AMBIANT_AIR_TEMP"}
[[dialects.torque_senders]]
id = "8a10dcdc03a8b509d9ff1dc42b855a4e"
eml = "ada@example.org"
device = "phone-1"
"""
PHONE = {"eml": "ada@example.org", "v": "8", "id": "8a10dcdc03a8b509d9ff1dc42b855a4e"}
TIME_MS = 1_767_323_045_000


async def stored(gateway: Gateway, device: str) -> list[tuple[int, float]]:
    """All readings of a device: signal, value."""
    async with gateway.pool.acquire() as connection:
        return [
            (column.signal, value)
            async for column in columns(connection, Wanted(device))
            for value in column.values
        ]


async def refused(gateway: Gateway, device: str) -> set[str]:
    """Reasons of the quarantine, once they are written."""
    async with asyncio.timeout(10):
        while gateway.ingest.log.refusals:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.05)
    async with gateway.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT reason FROM device_refusals WHERE device = $1", device
        )
    return {row["reason"] for row in rows}


@contextlib.asynccontextmanager
async def serving(
    run_gateway: Callable[..., Any], text: str = ON
) -> AsyncIterator[tuple[Gateway, httpx2.AsyncClient, str]]:
    """A gateway with a phone: it, a client, the phone's key."""
    async with run_gateway(text) as gateway:
        _, minted = await gateway.registry.register("phone-1")
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            yield gateway, client, minted.key


async def test_torque(run_gateway: Callable[..., Any]) -> None:
    """A phone is known by its key, wherever that is, or by its configured id and e-mail; it gets
    OK! also for nonsense; the same again changes nothing, another value at the same instant is
    kept."""
    async with serving(run_gateway) as (gateway, client, key):
        path = "/api/v1/torque"
        data = {**PHONE, "time": str(TIME_MS), "kc": "800", "kff1005": "12.1", "kff1006": "49.1"}
        for answer in (
            await client.get(path, params=data),
            await client.get(path, params=data),
            await client.post(path, data=data),
            await client.get(f"{path}/{key}", params={**data, "id": "another", "eml": ""}),
            await client.get(path, params=data, headers={"authorization": f"Bearer {key}"}),
        ):
            assert (answer.status_code, answer.text) == (200, "OK!"), answer.text
        assert sorted(await stored(gateway, "phone-1")) == [(12, 800), (1001, 49.1), (1002, 12.1)]
        other = await client.get(path, params={**data, "kc": "801"})
        assert other.text == "OK!"
        assert [value for signal, value in await stored(gateway, "phone-1") if signal == 12] == [
            800,
            801,
        ]
        nonsense = await client.get(path, params={**data, "kc": "Infinity", "x": "1"})
        assert nonsense.text == "OK!"
        assert await refused(gateway, "phone-1") >= {"not a number", "unknown field"}
        for wrong in ({**data, "id": "8a10"}, {**data, "eml": "eve@example.org"}):
            answer = await client.get(path, params=wrong)
            assert answer.status_code == 401
            assert answer.json()["detail"] == "Invalid API key"
        wrong_key = await client.get(f"{path}/vtg_dev_x_{'0' * 40}", params=data)
        assert wrong_key.status_code == 401
        assert "vtg_dev_x" not in wrong_key.text
        await gateway.registry.deactivate("phone-1")
        assert (await client.get(path, params=data)).status_code == 403


async def test_osmand(run_gateway: Callable[..., Any]) -> None:
    """A position needs the device's key, and its id; GET, form and JSON are the same."""
    async with serving(run_gateway) as (gateway, client, key):
        path = f"/api/v1/osmand/{key}"
        at = {"id": "phone-1", "lat": "49.1", "lon": "12.1", "timestamp": str(TIME_MS // 1000)}
        message = {
            "device_id": "phone-1",
            "location": {
                "timestamp": "2026-01-02T03:04:05Z",
                "coords": {"latitude": 49.1, "longitude": 12.1, "speed": -1},
            },
        }
        for answer in (
            await client.get(path, params=at),
            await client.post(path, data=at),
            await client.post(path, json=message),
            await client.post("/api/v1/osmand", params={**at, "key": key}),
            await client.get("/api/v1/osmand", params=at, headers={"x-api-key": key}),
        ):
            assert (answer.status_code, answer.text) == (200, ""), answer.text
        assert sorted(await stored(gateway, "phone-1")) == [(1001, 49.1), (1002, 12.1)]
        assert (await client.get("/api/v1/osmand", params=at)).status_code == 401
        # Traccar Client follows no redirect of a POST, and takes it for an answer.
        later = {**at, "timestamp": str(TIME_MS // 1000 + 1)}
        for slash in (f"{path}/", "/api/v1/osmand/"):
            answer = await client.post(slash, params={**later, "key": key})
            assert (answer.status_code, answer.text) == (200, "")
        assert len(await stored(gateway, "phone-1")) == 4
        assert (await client.get(path, params={**at, "id": "phone-2"})).status_code == 403
        assert (await client.post(path, json={"location": 5})).status_code == 400
        assert (await client.get(path, params={**at, "lat": "95"})).status_code == 200
        assert await refused(gateway, "phone-1") >= {"http 403", "http 400", "value"}


async def test_thingsboard(run_gateway: Callable[..., Any]) -> None:
    """The token is the device's key; attributes are taken and said not to be kept; a body that is
    too large or no JSON is refused."""
    async with serving(run_gateway) as (gateway, client, key):
        path = f"/api/v1/{key}/telemetry"
        body = [{"ts": TIME_MS, "values": {"temperature": 21, "RPM": 800, "lights": 1}}]
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "rejected": 1})
        assert (await client.post(path, json=body)).json()["accepted"] == 0
        assert sorted(await stored(gateway, "phone-1")) == [(12, 800), (70, 21)]
        attributes = await client.post(f"/api/v1/{key}/attributes", json={"firmware": "1.2"})
        assert attributes.status_code == 200
        assert "not kept" in attributes.text
        assert (await client.post("/api/v1/guess/telemetry", json=body)).status_code == 401
        assert (await client.post(path, content=b"{")).status_code == 400
        assert (await client.post(path, content=b" " * 300_000)).status_code == 413


async def test_off_unless_switched_on(run_gateway: Callable[..., Any]) -> None:
    """Without [dialects] none of the paths is there."""
    async with serving(run_gateway, "") as (_, client, key):
        for method, path in (
            ("GET", "/api/v1/torque"),
            ("GET", f"/api/v1/osmand/{key}"),
            ("POST", f"/api/v1/{key}/telemetry"),
        ):
            assert (await client.request(method, path)).status_code == 404


async def test_no_log_shows_a_key(run_gateway: Callable[..., Any]) -> None:
    """A key in a path is hidden from the log of requests, also where nothing is served."""
    import structlog

    async with serving(run_gateway, ON + '[log]\nlevel = "debug"\n') as (_, client, key):
        with structlog.testing.capture_logs() as lines:
            await client.post(f"/api/v1/{key}/telemetry", json={"RPM": 1})
            await client.get(f"/api/v1/torque/{key}", params={"time": "1"})
            await client.get(f"/api/v1/{key}/rpc")
            await client.put(f"/api/v1/osmand/{key}")
        assert key not in str(lines)
        assert [line["path"] for line in lines if line["event"] == "request"] == [
            "/api/v1/…/telemetry",
            "/api/v1/torque/…",
            "/api/v1/…/rpc",
            "/api/v1/osmand/…",
        ]
