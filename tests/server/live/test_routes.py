"""The live stream over real connections: what one may ask, and who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.gateway import Gateway
from server.readings import Reading

NS = 10**18
VIN = "WF0DXXGAKDDK12345"


def place(gateway: Gateway, path: str) -> str:
    """An address."""
    return gateway.url.replace("http", "ws") + path


async def take(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Give the next message of a type."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def refused(address: str, **options: Any) -> int:
    """Give the status of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as error:
        async with connect_websocket(address, **options):
            pass
    return error.value.response.status_code


async def test_signals_and_a_new_subscription(run_live: Callable[..., Any]) -> None:
    """A client gets the signals that it names, and others from the moment it says so."""
    async with (
        run_live() as gateway,
        connect_websocket(place(gateway, "/api/v1/live?signal=RPM&form=points")) as socket,
    ):
        await take(socket, "hello")
        pair = [Reading(12, NS, 1.0, NS), Reading(13, NS, 2.0, NS)]
        gateway.pipeline.offer(pair)
        assert (await take(socket, "reading"))["name"] == "RPM"
        await socket.send(json.dumps({"type": "subscribe", "signal": "SPEED", "device": "car-1"}))
        told = await take(socket, "subscribed")
        assert (told["device"], told["signal"]) == (["car-1"], [13])
        gateway.pipeline.offer(pair)
        assert (await take(socket, "reading"))["name"] == "SPEED"
        await socket.send('{"type": "ping"}')
        assert (await take(socket, "pong"))["n"] == gateway.hub.number
        for bad in (
            "x",
            "[]",
            "{}",
            '{"type": "subscribe", "signal": ["NO"]}',
            '{"type": "subscribe", "device": "nobody"}',
            '{"type": "subscribe", "what": 1}',
            '{"type": "subscribe", "session": 3}',
        ):
            await socket.send(bad)
            error = (await take(socket, "error"))["error"]
            assert set(error) == {"expected", "found", "where"}, bad
        gateway.pipeline.offer(pair)
        assert (await take(socket, "reading"))["name"] == "SPEED"


async def test_vehicle_and_session(run_gateway: Callable[..., Any]) -> None:
    """A vehicle's and a session's stream are those of their devices; ended ones are refused."""
    async with run_gateway() as gateway:
        gateway.vehicle(VIN)
        await gateway.registry.register("esp-1")
        number = gateway.hotlog.session_id
        for query in (f"vehicle={VIN}", f"session={number}"):
            async with connect_websocket(place(gateway, f"/api/v1/live?{query}")) as socket:
                await take(socket, "hello")
                gateway.hub.device_readings("esp-1", 7, [(1, Reading(12, NS, 9.0, NS))], NS)
                gateway.pipeline.offer([Reading(12, NS, 1.0, NS)])
                found = await take(socket, "readings")
                assert (found["device"], found["readings"][0][3]) == ("car-1", 1.0), query
        address = place(gateway, f"/api/v1/live?session={number}")
        async with (
            connect_websocket(address) as socket,
            connect_websocket(place(gateway, "/api/v1/live")) as other,
        ):
            await take(socket, "hello")
            await take(other, "hello")
            ended = {"type": "session", "device": "car-1", "id": number, "state": "ended"}
            gateway.hub.event(ended)
            assert (await take(socket, "session"))["id"] == number
            await asyncio.wait_for(socket.wait_closed(), 10)
            assert (socket.close_code, socket.close_reason) == (1000, "the session has ended")
            await take(other, "session")
            await other.ping()
        for query, status in (
            ("vehicle=WF0DXXGAKDDK99999", 404),
            ("vehicle=x", 400),
            ("session=1000000", 404),
            ("device=nobody", 404),
            ("signal=NO", 400),
            ("form=columns", 400),
            ("policy=all", 400),
            ("resume=yesterday", 400),
            ("heartbeat=-1", 400),
            ("what=1", 400),
        ):
            assert await refused(place(gateway, f"/api/v1/live?{query}")) == status, query


async def test_only_a_session_that_runs_is_streamed(run_gateway: Callable[..., Any]) -> None:
    """The gateway's own session runs however long its links are silent; a planned one, from which
    nothing would ever come, and one that has ended are refused."""
    local = {"TELERIG_USERS_LOCAL_ROLE": "operator"}
    async with (
        run_gateway("", local) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        own = gateway.hotlog.session_id
        async with gateway.pool.acquire() as connection:
            await connection.execute("UPDATE sessions SET opened_ns = 1 WHERE id = $1", own)
        async with connect_websocket(place(gateway, f"/api/v1/live?session={own}")) as socket:
            await take(socket, "hello")
        made = (await client.post("/api/v1/sessions")).json()["id"]
        address = place(gateway, f"/api/v1/live?session={made}")
        assert await refused(address) == 409
        await client.post(f"/api/v1/sessions/{made}/start")
        async with connect_websocket(address) as socket:
            await take(socket, "hello")
        await client.post(f"/api/v1/sessions/{made}/stop")
        assert await refused(address) == 409


@pytest.mark.promise("W14")
async def test_resume_after_a_cut(run_live: Callable[..., Any]) -> None:
    """A client whose connection was cut goes on with the number it had, and misses nothing."""
    async with run_live() as gateway:
        address = place(gateway, "/api/v1/live?form=points")
        async with connect_websocket(address) as socket:
            hello = await take(socket, "hello")
            gateway.pipeline.offer([Reading(12, NS, float(n), NS) for n in range(10)])
            for _ in range(4):
                last = await take(socket, "reading")
            socket.transport.abort()
        gateway.pipeline.offer([Reading(12, NS, float(n), NS) for n in range(10, 20)])
        await asyncio.sleep(0.05)
        again = f"{address}&resume={hello['stream']}-{last['n']}"
        async with connect_websocket(again) as socket:
            values = [(await take(socket, "reading"))["value"] for _ in range(16)]
        assert values == [float(n) for n in range(4, 20)]


@pytest.mark.promise("W13")
async def test_as_many_as_may_be(run_live: Callable[..., Any]) -> None:
    """One more than may be is told so and closed; a seat that is left is free."""
    env = {"TELERIG_LIVE_CLIENTS": "3", "TELERIG_LIVE_CLIENTS_PER_USER": "2"}
    async with run_live("[api]\nsecret = 'x2345678901234567'\n", env) as gateway:
        address = place(gateway, "/api/v1/live")
        key = {"X-API-Key": "x2345678901234567"}
        async with connect_websocket(address), connect_websocket(address) as second:
            for _ in range(2):
                async with connect_websocket(address) as third:
                    with pytest.raises(ConnectionClosed):
                        await asyncio.wait_for(third.recv(), 10)
                    assert third.close_code == 1013
                    assert "of one user" in (third.close_reason or "")
            async with (
                connect_websocket(address, additional_headers=key) as other,
                connect_websocket(address, additional_headers=key) as fourth,
            ):
                await take(other, "hello")
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(fourth.recv(), 10)
                assert "[live] clients" in (fourth.close_reason or "")
            await second.close()
            async with asyncio.timeout(10):
                while gateway.seats.taken > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with connect_websocket(address) as again:
                await take(again, "hello")


async def test_pages_of_others_and_strangers(run_live: Callable[..., Any]) -> None:
    """A page of another site, and who is not of this machine, get no stream at all."""
    async with run_live() as gateway:
        for path in ("/api/v1/live", "/api/v1/ws", "/api/v1/replay?session=1"):
            address = place(gateway, path)
            assert await refused(address, origin="https://evil.example") == 403, path
            strange = {"X-Forwarded-For": "1.2.3.4"}
            assert await refused(address, additional_headers=strange) == 401, path
        own = gateway.url
        async with connect_websocket(place(gateway, "/api/v1/live"), origin=own) as socket:
            await take(socket, "hello")


async def test_a_ticket_opens_one_stream(run_gateway: Callable[..., Any]) -> None:
    """Who may gets a ticket for a page's WebSocket; it works once."""
    secret = "x2345678901234567"
    async with (
        run_gateway(f"[api]\nsecret = '{secret}'\n") as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        answer = await client.post("/api/v1/auth/ticket", headers={"X-API-Key": secret})
        ticket = answer.json()["ticket"]
        address = place(gateway, f"/api/v1/live?form=points&ticket={ticket}")
        strange = {"X-Forwarded-For": "1.2.3.4"}
        async with connect_websocket(address, additional_headers=strange) as socket:
            await take(socket, "hello")
        assert await refused(address, additional_headers=strange) == 401


@pytest.mark.promise("W02")
async def test_s1s_stream_of_a_session(run_gateway: Callable[..., Any]) -> None:
    """Each reading of the session is a message, and its end is told."""
    async with run_gateway() as gateway:
        number = gateway.hotlog.session_id
        for path in (f"/api/v1/ws?session_id={number}", "/api/v1/ws"):
            async with connect_websocket(place(gateway, path)) as socket:
                await asyncio.sleep(0.1)
                gateway.pipeline.offer([Reading(12, NS, 812.5, NS), Reading(13, NS, 50.0, NS)])
                assert await take(socket, "telemetry") == {
                    "type": "telemetry",
                    "session_id": number,
                    "timestamp": "2001-09-09T01:46:40.000Z",
                    "signal": "RPM",
                    "value": 812.5,
                    "unit": "rpm",
                }
                assert (await take(socket, "telemetry"))["signal"] == "SPEED"
                gateway.hub.event(
                    {"type": "session", "device": "car-1", "id": number, "state": "ended"}
                )
                assert (await take(socket, "session"))["state"] == "ended"
                await asyncio.wait_for(socket.wait_closed(), 10)
                assert socket.close_code == 1000
        assert await refused(place(gateway, "/api/v1/ws?session_id=1000000")) == 404


@pytest.mark.promise("W01")
async def test_s0s_stream(run_live: Callable[..., Any]) -> None:
    """Each reading is a message with pid, value and unit; it is there where S0 is switched on."""
    async with run_live("[compat]\ns0 = true\n") as gateway:
        async with connect_websocket(place(gateway, "/ws/telemetry")) as socket:
            await asyncio.sleep(0.1)
            gateway.pipeline.offer([Reading(12, NS, 812.5, NS), Reading(13, NS, 50.0, NS)])
            found = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(2)]
        assert found[0] == {
            "pid": "RPM",
            "value": 812.5,
            "unit": "rpm",
            "timestamp": "2001-09-09T01:46:40.000Z",
            "device": "car-1",
        }
        assert (found[1]["pid"], found[1]["unit"]) == ("SPEED", "km/h")
    async with run_live() as gateway:
        assert await refused(place(gateway, "/ws/telemetry")) in (403, 404)
