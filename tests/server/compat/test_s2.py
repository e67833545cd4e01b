"""S2's paths and words (E23, E24, E25, W03, W04, W05, A06, A08, D10, D11)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.gateway import Gateway
from server.readings import Reading, State
from tests.server.told import Result, Told

S2 = "[compat]\ns2 = true\n"
WS = "telerig.s2"


@pytest.fixture
async def served(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway whose S2 clients mean the device esp-1."""
    async with run_gateway(f"{S2}device = 'esp-1'\n") as gateway:
        await gateway.registry.register("esp-1")
        await gateway.control.hello("esp-1", [Told("lights", "on or off", LIGHTS)])
        yield gateway


LIGHTS = '{"properties": {"on": {"type": "boolean"}}, "required": ["on"]}'


def readings(count: int = 3) -> list[Reading]:
    """Readings of a second each, with a state that has no value among them."""
    now_ns = round(time.time()) * 10**9
    found = [Reading(12, now_ns + i * 10**9, 800.0 + i, now_ns) for i in range(count)]
    return [*found, Reading(13, now_ns, float("nan"), now_ns, State.LOST)]


def is_done(message: dict[str, Any]) -> bool:
    """Tell whether a message confirms that a command is done."""
    return message["id"] == "command_confirmation" and message["value"]["state"] == "done"


@pytest.mark.promise("W03")
async def test_each_reading_is_a_message(served: Gateway, talk: Any) -> None:
    """Points come one by one, as {type, id, value, timestamp}, never in bulk."""
    async with talk(f"{served.url}/ws", WS) as client:
        assert client.socket.subprotocol == WS
        given = readings()
        served.pipeline.offer(given)
        points = [await client.of("data") for _ in given]
    when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(given[0].time_ns // 10**9))
    assert points[0] == {
        "type": "data",
        "id": "RPM",
        "value": 800.0,
        "timestamp": when,
        "device": "car-1",
    }
    assert [point["value"] for point in points] == [800.0, 801.0, 802.0, None]


@pytest.mark.promise("W04", "W05")
async def test_a_command_is_confirmed_among_the_points(served: Gateway, talk: Any) -> None:
    """A command goes to the device; what the device says about it comes in the stream, when the
    device says it."""
    async with talk(f"{served.url}/ws", WS) as client:
        await client.say({"type": "command", "command": "lights", "parameters": {"on": True}})
        queued = await client.until(lambda message: message.get("id") == "command_confirmation")
        assert queued["value"]["state"] == "queued"
        (command,) = await served.control.pending("esp-1")
        assert (command.name, json.loads(command.parameters)) == ("lights", {"on": True})
        served.pipeline.offer(readings(1))
        await client.until(lambda message: message.get("id") == "RPM")
        await served.control.results("esp-1", [Result(command.id, 1, '"lit"')])
        done = await client.until(is_done)
        assert done["type"] == "data"
        assert done["device"] == "esp-1"
        assert done["value"] == {
            "command": "lights",
            "id": command.id,
            "state": "done",
            "detail": '"lit"',
        }


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("not json", "body"),
        ("[1]", "body"),
        ('{"type": "dance"}', "type"),
        ("{}", "type"),
        ({"type": "command"}, "name"),
        ({"type": "command", "command": 7}, "command"),
        ({"type": "command", "command": "fly"}, "name"),
        ({"type": "command", "command": "lights", "parameters": []}, "parameters"),
        ({"type": "command", "command": "lights", "parameters": {"on": "yes"}}, "parameters.on"),
        ({"type": "command", "command": "lights", "device": "esp-9"}, "name"),
    ],
)
async def test_what_is_not_understood(served: Gateway, talk: Any, said: object, where: str) -> None:
    """Nonsense and what the templates refuse are told to who said it, and nothing is sent."""
    async with talk(f"{served.url}/ws", WS) as client:
        await client.say(said)
        assert (await client.of("error"))["error"]["where"] == where
        assert await served.control.pending("esp-1") == []


async def test_a_message_too_long(served: Gateway, talk: Any) -> None:
    """A client cannot make the gateway hold megabytes; others are not troubled."""
    async with talk(f"{served.url}/ws", WS) as other:
        async with talk(f"{served.url}/ws", WS) as client:
            await client.say("x" * 100_000)
            await asyncio.wait_for(client.socket.wait_closed(), 10)
            assert client.socket.close_code == 1009
        served.pipeline.offer(readings(1))
        await other.of("data")


@pytest.mark.promise("E25")
@pytest.mark.promise("E23", "E24", "P20")
async def test_types_templates_and_history(served: Gateway) -> None:
    """What can be measured, what can be told, and what was measured."""
    served.pipeline.offer(readings(3))
    while served.pipeline.counts.stored < 4:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    async with httpx2.AsyncClient(base_url=served.url) as client:
        types = {
            item["id"]: item for item in (await client.get("/telemetry-types")).json()["types"]
        }
        assert (types["RPM"]["unit"], types["RPM"]["maximum"]) == ("rpm", 16383.75)
        templates = (await client.get("/command-templates")).json()
        assert templates["device"] == "esp-1"
        assert templates["templates"][0]["parameters"]["required"] == ["on"]
        path = "/historical-data?device=car-1&signal=RPM"
        history = (await client.get(f"{path}&limit=2")).json()
        assert [(point["id"], point["value"]) for point in history["data"]] == [
            ("RPM", 800.0),
            ("RPM", 801.0),
        ]
        rest = (await client.get(f"{path}&after={history['next']}")).json()
        assert [point["value"] for point in rest["data"]] == [802.0]
        assert (await client.get("/historical-data")).json()["data"] == []
        for bad in ("limit=0", "start=x", "device=%27--", "signal=NO", "what=1"):
            assert (await client.get(f"/historical-data?{bad}")).status_code in (400, 404), bad


@pytest.mark.promise("A08")
async def test_files_of_the_configuration(
    run_gateway: Callable[..., Any], tmp_path: Path, talk: Any
) -> None:
    """telemetry_types.json and command_templates.json count, and a change needs no restart."""
    types, templates = tmp_path / "telemetry_types.json", tmp_path / "command_templates.json"
    types.write_text('{"RPM": {"unit": "1/min"}}')
    templates.write_text('{"horn": {"parameters": {"required": ["s"]}}}')
    text = f"{S2}telemetry_types = '{types}'\n[control]\ntemplates = '{templates}'\n"
    async with (
        run_gateway(text) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        assert (await client.get("/telemetry-types")).json() == {"RPM": {"unit": "1/min"}}
        found = (await client.get("/command-templates")).json()["templates"]
        assert [template["name"] for template in found] == ["horn"]
        types.write_text('{"RPM": {"unit": "revolutions"}}')
        assert (await client.get("/telemetry-types")).json() == {"RPM": {"unit": "revolutions"}}
        async with talk(f"{gateway.url}/ws", WS) as socket:
            await socket.say({"type": "command", "command": "horn", "parameters": {"s": 1}})
            await socket.until(lambda message: message.get("id") == "command_confirmation")


@pytest.mark.promise("W14")
async def test_a_client_that_goes_leaves_nothing(served: Gateway, talk: Any) -> None:
    """Clients of a dialect are counted like all others, and forgotten."""
    async with talk(f"{served.url}/ws", WS), talk(f"{served.url}/ws", WS) as second:
        served.pipeline.offer(readings(1))
        await second.of("data")
        assert served.hub.clients == 2
        async with httpx2.AsyncClient(base_url=served.url) as client:
            health = (await client.get("/api/v1/health")).json()
            assert health["websocket_connections"] == 2
    async with asyncio.timeout(10):
        while served.hub.clients:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
