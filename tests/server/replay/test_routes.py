"""Replays over HTTP and WebSocket (E04)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus

from server.gateway import Gateway
from server.readings import Reading

START_NS = 1_700_000_000 * 10**9
STEP_NS = 100_000_000
COUNT = 100


@pytest.fixture
async def recorded(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway that has stored ten seconds of two signals, and half a second after an hour."""
    async with run_gateway() as gateway:
        times = [START_NS + n * STEP_NS for n in range(COUNT)]
        times += [START_NS + 3600 * 10**9 + n * STEP_NS for n in range(5)]
        gateway.pipeline.offer(
            [
                Reading(signal, time_ns, float(number), time_ns)
                for number, time_ns in enumerate(times)
                for signal in (12, 13)
            ]
        )
        async with asyncio.timeout(20):
            while gateway.pipeline.counts.stored < 2 * len(times):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield gateway


def place(gateway: Gateway, path: str) -> str:
    """An address."""
    return gateway.url.replace("http", "ws") + path


async def hear(socket: ClientConnection, until: str = "ended") -> list[dict[str, Any]]:
    """Take messages until the replay is in a state."""
    found = []
    async with asyncio.timeout(20):
        while True:
            found.append(json.loads(await socket.recv()))
            if found[-1]["type"] == "replay" and found[-1]["state"] == until:
                return found


def rows(messages: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """Signal and value of each reading."""
    return [
        (row[1], row[3])
        for message in messages
        if message["type"] == "readings"
        for row in message["readings"]
    ]


@pytest.mark.promise("E04")
async def test_a_drive_to_oneself(recorded: Gateway) -> None:
    """A session comes as it was: every reading once, in order, a long pause included or left."""
    session = recorded.hotlog.session_id
    end = f"end_ns={START_NS + 60 * 10**9}"
    path = f"/api/v1/replay?session={session}&speed=100&{end}"
    async with connect_websocket(place(recorded, path)) as socket:
        messages = await hear(socket)
    hello = messages[0]
    assert hello["type"] == "hello"
    assert hello["replay"]["start_ns"] == START_NS
    assert hello["replay"]["speed"] == 100
    assert rows(messages) == [(s, float(n)) for n in range(COUNT) for s in (12, 13)]
    seqs = [row[0] for m in messages if m["type"] == "readings" for row in m["readings"]]
    assert seqs == list(range(1, 2 * COUNT + 1))
    assert not recorded.replays.all


async def test_controls(recorded: Gateway) -> None:
    """Seek, pause, play and speed by message; what makes no sense is told."""
    path = "/api/v1/replay?device=car-1&paused=true&signal=RPM&form=points"
    async with connect_websocket(place(recorded, path)) as socket:

        async def say(content: object) -> None:
            await socket.send(json.dumps(content))

        assert json.loads(await socket.recv())["replay"]["state"] == "paused"
        await say({"type": "ping"})
        assert json.loads(await socket.recv())["type"] == "pong"
        await say({"type": "seek", "position_s": 3600.2})
        jump = json.loads(await socket.recv())
        assert (jump["type"], jump["jump"], jump["position_s"]) == ("replay", True, 3600.2)
        await say({"type": "speed", "speed": 50})
        await say({"type": "play"})
        messages = await hear(socket)
        points = [m["value"] for m in messages if m["type"] == "reading"]
        assert points == [102.0, 103.0, 104.0]
        for bad in (
            {"type": "seek"},
            {"type": "seek", "time": "yesterday"},
            {"type": "speed", "speed": 1000},
            {"type": "speed", "speed": "x"},
            {"type": "play", "x": 1},
            {"type": "sing"},
            [],
        ):
            await say(bad)
            assert json.loads(await socket.recv())["type"] == "error", bad


async def test_with_others(recorded: Gateway) -> None:
    """A replay that was made over HTTP is watched by many and controlled over HTTP."""
    async with httpx2.AsyncClient(base_url=recorded.url) as client:
        body = {"device": "car-1", "speed": 50, "paused": True, "end_ns": START_NS + 10**10}
        made = await client.post("/api/v1/replays", json=body)
        assert made.status_code == 201, made.text
        number = made.json()["id"]
        one = f"/api/v1/replays/{number}"
        async with (
            connect_websocket(place(recorded, f"{one}/stream")) as first,
            connect_websocket(place(recorded, f"{one}/stream?signal=SPEED")) as second,
        ):
            await first.recv()
            await second.recv()
            assert (await client.get(one)).json()["watchers"] == 2
            changed = await client.patch(one, json={"position_s": 9, "state": "playing"})
            assert changed.json()["state"] == "playing"
            assert rows(await hear(first)) == [
                (signal, float(n)) for n in range(90, 100) for signal in (12, 13)
            ]
            assert rows(await hear(second)) == [(13, float(n)) for n in range(90, 100)]
            listed = (await client.get("/api/v1/replays")).json()["replays"]
            assert [replay["id"] for replay in listed] == [number]
            assert (await client.delete(one)).json()["state"] == "ended"
            await asyncio.wait_for(first.wait_closed(), 10)
            assert first.close_code == 1000
        assert (await client.get(one)).status_code == 404


async def test_what_cannot_be_played(recorded: Gateway) -> None:
    """Unknown sessions, devices and times, and one replay too many, are refused with reasons."""
    async with httpx2.AsyncClient(base_url=recorded.url) as client:
        for body, status in (
            ({}, 400),
            ({"session": 1, "device": "car-1"}, 400),
            ({"session": 10**6}, 404),
            ({"device": "nobody"}, 404),
            ({"device": "car-1", "end_ns": 5}, 404),
            ({"device": "car-1", "speed": 0.01}, 400),
            ({"device": "car-1", "speed": 101}, 400),
            ({"device": "car-1", "what": 1}, 400),
        ):
            answer = await client.post("/api/v1/replays", json=body)
            assert answer.status_code == status, (body, answer.text)
        with pytest.raises(InvalidStatus, match="404"):
            await connect_websocket(place(recorded, "/api/v1/replay?session=1000000"))
        with pytest.raises(InvalidStatus, match="404"):
            await connect_websocket(place(recorded, "/api/v1/replays/77/stream"))
        for _ in range(recorded.config.live.replays):
            body = {"device": "car-1", "paused": True}
            assert (await client.post("/api/v1/replays", json=body)).status_code == 201
        refused = await client.post("/api/v1/replays", json=body)
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
