"""WS /api/v1/realtime/subscribe/{device} (W06, W07) and GET /api/v1/health (E26)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus

from server.gateway import Gateway
from server.readings import Reading

SECRET = "correct-horse-battery"
API = f"[api]\nsecret = '{SECRET}'\n"


def url(gateway: Gateway, device: str) -> str:
    """Where a device is subscribed to."""
    return f"{gateway.url.replace('http', 'ws')}/api/v1/realtime/subscribe/{device}"


@pytest.mark.promise("W06", "W07")
async def test_only_what_concerns_the_device(run_gateway: Callable[..., Any]) -> None:
    """Readings and events of one device come, and none of another; the heart beats."""
    async with run_gateway(API, http="ws_heartbeat_s = 1\n") as gateway:
        _, minted = await gateway.registry.register("esp-1")
        headers = {"X-API-Key": minted.key}
        async with connect_websocket(url(gateway, "esp-1"), additional_headers=headers) as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            own = Reading(12, 10**18, 800.0, 10**18)
            gateway.pipeline.offer([own])
            gateway.hub.event({"type": "command", "device": "esp-2"})
            gateway.hub.device_readings("esp-2", 1, [(1, own)], 1)
            gateway.hub.device_readings("esp-1", 7, [(5, own)], 1)
            gateway.hub.event({"type": "command", "device": "esp-1"})
            frames = [json.loads(await socket.recv()) for _ in range(3)]
            assert [frame["type"] for frame in frames] == ["readings", "stored", "command"]
            assert all(frame["device"] == "esp-1" for frame in frames)
            assert frames[0]["readings"] == [[5, 12, 10**18, 800.0, 10**18, 0]]
            async with asyncio.timeout(10):
                assert json.loads(await socket.recv())["type"] == "heartbeat"
                assert json.loads(await socket.recv())["type"] == "heartbeat"
            async with httpx2.AsyncClient(base_url=gateway.url) as client:
                health = (await client.get("/api/v1/health")).json()
                assert (health["status"], health["websocket_connections"]) == ("ok", 1)
                assert datetime.fromisoformat(health["timestamp"]).tzinfo is not None


async def test_who_may(run_gateway: Callable[..., Any]) -> None:
    """The operator may listen to all, a device only to itself, anybody else to none."""
    async with run_gateway(API) as gateway:
        _, minted = await gateway.registry.register("esp-1")
        _, other = await gateway.registry.register("esp-2")
        for device in ("esp-1", "car-1"):
            async with connect_websocket(
                url(gateway, device), additional_headers={"X-API-Key": SECRET}
            ) as socket:
                await socket.recv()
        async with connect_websocket(
            url(gateway, "esp-1"), subprotocols=["telerig.live", f"telerig.key.{minted.key}"]
        ) as socket:
            assert socket.subprotocol == "telerig.live"
        await gateway.registry.revoke("esp-1", minted.id)
        for device, key, status in (
            ("esp-1", None, "401"),
            ("esp-1", "wrong", "401"),
            ("esp-1", minted.key, "401"),
            ("esp-1", other.key, "404"),
            ("nobody", SECRET, "404"),
            ("%00", SECRET, "404|400"),
        ):
            headers = {"X-Forwarded-For": "1.2.3.4"} if key is None else {"X-API-Key": key}
            with pytest.raises(InvalidStatus, match=status):
                await connect_websocket(url(gateway, device), additional_headers=headers)


async def test_a_revoked_key_hears_nothing_more(run_gateway: Callable[..., Any]) -> None:
    """A stream that is open ends when its key is revoked; that of another key goes on."""
    async with run_gateway(API) as gateway:
        _, first = await gateway.registry.register("esp-1")
        second = await gateway.registry.rotate("esp-1")
        place = url(gateway, "esp-1")
        async with (
            connect_websocket(place, additional_headers={"X-API-Key": first.key}) as one,
            connect_websocket(place, additional_headers={"X-API-Key": second.key}) as other,
            connect_websocket(place, additional_headers={"X-API-Key": SECRET}) as operator,
        ):
            await gateway.registry.revoke("esp-1", first.id)
            await asyncio.wait_for(one.wait_closed(), 10)
            assert one.close_code == 1008
            await asyncio.sleep(0.2)
            for socket in (other, operator):
                await socket.ping()
                assert socket.close_code is None
