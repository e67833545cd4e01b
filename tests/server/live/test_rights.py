"""Who may hear, see and control what: devices out of one's scope are not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus

from server.api.role import Role
from server.gateway import Gateway
from server.readings import Reading
from server.users.principal import Kind, Principal

NS = 1_700_000_000 * 10**9
PEOPLE = {
    "ada": Principal("ada", Role.VIEWER, Kind.USER, user=1, session=1),
    "bob": Principal("bob", Role.VIEWER, Kind.USER, user=2, session=2, scope=frozenset({"esp-1"})),
    "eve": Principal("eve", Role.VIEWER, Kind.USER, user=3, session=3),
    "olga": Principal("olga", Role.OPERATOR, Kind.USER, user=4, session=4),
}


@pytest.fixture
async def served(
    run_gateway: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """A gateway that believes the header X-Name, with ten readings of its own."""

    async def admit(connection: HTTPConnection, role: Role, or_device: bool = False) -> Principal:
        return PEOPLE[connection.headers["x-name"]]

    async with run_gateway() as gateway:
        monkeypatch.setattr(gateway.guard, "admit", admit)
        await gateway.registry.register("esp-1")
        gateway.pipeline.offer([Reading(12, NS + n, float(n), NS) for n in range(10)])
        async with asyncio.timeout(20):
            while gateway.pipeline.counts.stored < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield gateway


def address(gateway: Gateway, path: str) -> str:
    """Where a path is."""
    return gateway.url.replace("http", "ws") + path


async def test_a_stream_has_what_one_may_see(served: Gateway) -> None:
    """Other people's devices are neither heard nor known to be there; nor by a new wish."""
    options: Any = {"additional_headers": {"X-Name": "bob"}}
    live = address(served, "/api/v1/live")
    async with connect_websocket(live, **options) as socket:
        await socket.recv()
        served.pipeline.offer([Reading(12, NS, 1.0, NS)])
        await asyncio.sleep(0.1)
        served.hub.device_readings("esp-1", 7, [(1, Reading(12, NS, 2.0, NS))], NS)
        heard = json.loads(await socket.recv())
        assert (heard["device"], heard["readings"][0][3]) == ("esp-1", 2.0)
        await socket.recv()  # stored
        for wish in ({"device": "car-1"}, {"session": served.hotlog.session_id}):
            await socket.send(json.dumps({"type": "subscribe", **wish}))
            error = json.loads(await socket.recv())
            assert error["type"] == "error", error
    for path in (
        "/api/v1/live?device=car-1",
        f"/api/v1/live?session={served.hotlog.session_id}",
        f"/api/v1/ws?session_id={served.hotlog.session_id}",
        "/api/v1/realtime/subscribe/car-1",
        "/api/v1/replay?device=car-1",
        f"/api/v1/replay?session={served.hotlog.session_id}",
    ):
        with pytest.raises(InvalidStatus, match="404"):
            await connect_websocket(address(served, path), **options)


async def test_replays_of_others(served: Gateway) -> None:
    """Those who may see its device see a replay; its maker and operators control it."""
    async with httpx2.AsyncClient(base_url=served.url) as client:

        async def ask(name: str, method: str, path: str, body: object = None) -> int:
            answer = await client.request(method, path, json=body, headers={"X-Name": name})
            return answer.status_code

        made = await client.post(
            "/api/v1/replays",
            json={"device": "car-1", "paused": True},
            headers={"X-Name": "ada"},
        )
        one = f"/api/v1/replays/{made.json()['id']}"
        assert await ask("bob", "POST", "/api/v1/replays", {"device": "car-1"}) == 404
        seen = await client.get("/api/v1/replays", headers={"X-Name": "bob"})
        assert seen.json() == {"replays": []}
        change = {"speed": 2}
        for name, shown, changed in (
            ("bob", 404, 404),
            ("eve", 200, 403),
            ("ada", 200, 200),
            ("olga", 200, 200),
        ):
            assert await ask(name, "GET", one) == shown, name
            assert await ask(name, "PATCH", one, change) == changed, name
        assert await ask("bob", "DELETE", one) == 404
        assert await ask("eve", "DELETE", one) == 403
        eve: Any = {"additional_headers": {"X-Name": "eve"}}
        async with connect_websocket(address(served, f"{one}/stream"), **eve) as socket:
            await socket.recv()
            await socket.send('{"type": "play"}')
            error = json.loads(await socket.recv())
            assert (error["type"], error["error"]["where"]) == ("error", "replay")
        assert await ask("olga", "DELETE", one) == 200
