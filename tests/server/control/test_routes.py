"""Commands over HTTP and on the live stream, beside a device that answers."""

from __future__ import annotations

import asyncio
import json
import shlex
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect as connect_websocket

from server.devices.cli import COMMAND
from server.gateway import Gateway
from tests.server.told import Result, Told

SECRET = "correct horse battery"
API = f"[api]\nsecret = '{SECRET}'\n"
COMMANDS = "/api/v1/devices/esp-1/commands"
DONE = 1


@pytest.fixture
async def served(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway that knows the device esp-1 and its command reboot."""
    async with run_gateway(API) as gateway:
        await gateway.registry.register("esp-1")
        await gateway.control.hello("esp-1", [Told("reboot", "start again")])
        yield gateway


@pytest.fixture
async def operator(served: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the API secret."""
    async with httpx2.AsyncClient(base_url=served.url, headers={"X-API-Key": SECRET}) as client:
        yield client


@pytest.mark.promise("A06")
async def test_a_command_and_its_confirmation(
    served: Gateway, operator: httpx2.AsyncClient
) -> None:
    """An order is answered at once; its states come on the live stream; its end can be awaited."""
    templates = (await operator.get("/api/v1/devices/esp-1/templates")).json()["templates"]
    assert [(item["name"], item["description"]) for item in templates] == [
        ("reboot", "start again")
    ]
    async with connect_websocket(f"{served.url.replace('http', 'ws')}/api/v1/live") as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
        answer = await operator.post(COMMANDS, json={"name": "reboot", "timeout_s": 60})
        assert answer.status_code == 202
        command = answer.json()["command"]
        waiting = asyncio.create_task(operator.get(f"{COMMANDS}/{command['id']}?wait_s=30"))
        await served.control.pending("esp-1")
        await served.control.results("esp-1", [Result(command["id"], DONE, '"ok"')])
        ended = (await waiting).json()["command"]
        assert (ended["state"], ended["detail"], ended["late"]) == ("done", '"ok"', False)
        frames = [json.loads(await socket.recv()) for _ in range(3)]
    assert [(frame["type"], frame["state"]) for frame in frames] == [
        ("command", "queued"),
        ("command", "sent"),
        ("command", "done"),
    ]
    assert {key: frames[2][key] for key in ("device", "id", "name", "detail", "late")} == {
        "device": "esp-1",
        "id": command["id"],
        "name": "reboot",
        "detail": '"ok"',
        "late": False,
    }
    listed = (await operator.get(COMMANDS)).json()["commands"]
    assert [item["id"] for item in listed] == [command["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "where"),
    [
        ("POST", COMMANDS, {"name": "fly"}, 404, "name"),
        ("POST", COMMANDS, {}, 400, "name"),
        ("POST", COMMANDS, {"name": "reboot", "parameters": []}, 400, "parameters"),
        ("POST", COMMANDS, {"name": "reboot", "parameters": {"x": 1}}, 400, "parameters.x"),
        ("POST", COMMANDS, {"name": "reboot", "timeout_s": 0}, 400, "timeout_s"),
        ("POST", COMMANDS, {"name": "reboot", "timeout_s": 1e9}, 400, "timeout_s"),
        ("POST", COMMANDS, {"name": "reboot", "force": True}, 400, "force"),
        ("POST", "/api/v1/devices/nobody/commands", {"name": "reboot"}, 404, "device"),
        ("GET", "/api/v1/devices/nobody/templates", None, 404, "device"),
        ("GET", f"{COMMANDS}/99", None, 404, "command"),
        ("GET", f"{COMMANDS}/x", None, 404, "command"),
        ("GET", f"{COMMANDS}?limit=0", None, 400, "limit"),
    ],
)
async def test_bad_orders(
    operator: httpx2.AsyncClient, method: str, path: str, body: Any, status: int, where: str
) -> None:
    """A wrong order is refused with the field that is wrong, and nothing is queued."""
    answer = await operator.request(method, path, json=body)
    assert (answer.status_code, answer.json()["where"]) == (status, where)
    assert (await operator.get(COMMANDS)).json() == {"commands": []}


async def test_only_the_operator_commands(run_gateway: Callable[..., Any]) -> None:
    """Without the secret, and with a device's key, there are no commands."""
    async with (
        run_gateway(API, {"TELERIG_USERS_LOCAL_ROLE": "none"}) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        _, minted = await gateway.registry.register("esp-1")
        for headers in ({}, {"X-API-Key": minted.key}):
            for method, path in (
                ("POST", COMMANDS),
                ("GET", COMMANDS),
                ("GET", f"{COMMANDS}/1"),
                ("GET", "/api/v1/devices/esp-1/templates"),
            ):
                answer = await client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid API key")


async def test_a_deactivated_device_is_not_commanded(
    served: Gateway, operator: httpx2.AsyncClient
) -> None:
    """A device that may not send any more gets nothing either."""
    await served.registry.deactivate("esp-1")
    answer = await operator.post(COMMANDS, json={"name": "reboot"})
    assert answer.status_code == 409
    assert answer.json()["expected"] == "an active device"


async def test_the_command_line(
    served: Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`telerig devices command` and `commands` order and show."""
    monkeypatch.setenv("TELERIG_API_SECRET", SECRET)
    parser = ArgumentParser()
    COMMAND.add_arguments(parser)

    async def telerig(words: str) -> tuple[int, list[str]]:
        args = parser.parse_args([*shlex.split(words), "--url", served.url])
        code = await asyncio.to_thread(COMMAND.run, args)
        captured = capsys.readouterr()
        return code, (captured.out + captured.err).splitlines()

    code, lines = await telerig("command esp-1 reboot")
    assert code == 0
    assert lines[1].split()[:3] == ["1", "reboot", "queued"]
    code, lines = await telerig("command esp-1 fly")
    assert code == 1
    assert lines[0].endswith("name: expected one of reboot, found 'fly'")
    assert [line.split()[0] for line in (await telerig("commands esp-1"))[1]] == ["command", "1"]
