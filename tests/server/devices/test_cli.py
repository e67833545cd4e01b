"""`telerig devices` against a running gateway."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.devices.cli import COMMAND, _commands, table

SECRET = "correct horse battery"
API = f"[api]\nsecret = '{SECRET}'\n"

Telerig = Callable[..., Awaitable[tuple[int, str, str]]]


def run(words: str) -> int:
    """Run `telerig devices WORDS` in this process."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args(shlex.split(words)))


@pytest.fixture
def telerig(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Telerig:
    """Run the command beside the gateway; give exit code, output, and complaints."""
    monkeypatch.setenv("TELERIG_API_SECRET", SECRET)

    async def devices(words: str, url: str = "") -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, f"{words} --url {url}" if url else words)
        return code, *capsys.readouterr()

    return devices


async def test_the_life_of_a_device(run_gateway: Callable[..., Any], telerig: Telerig) -> None:
    """Register, list, show, rotate, revoke, deactivate: each does it and shows it."""
    async with run_gateway(API) as gateway:
        url = gateway.url
        code, out, err = await telerig("register esp-1 --name 'Ada'", url)
        assert (code, err) == (0, "")
        key = out.splitlines()[1]
        assert await gateway.registry.authenticate(key)
        assert (await telerig("register esp-1", url))[::2] == (
            1,
            "telerig devices: POST /api/v1/devices: id: expected an id that no active device has, "
            "found 'esp-1' (rotate its key, or deactivate it first)\n",
        )
        lines = (await telerig("list", url))[1].splitlines()
        assert [line.split()[:4] for line in lines] == [
            ["id", "name", "vin", "active"],
            ["esp-1", "Ada", "-", "yes"],
        ]
        code, out, _ = await telerig("rotate esp-1 --overlap 60 --json", url)
        second = json.loads(out)["key"]
        assert await gateway.registry.authenticate(second)
        shown = (await telerig("show esp-1", url))[1]
        assert [line.split()[:2] for line in shown.splitlines()[3:]] == [
            ["key", "live"],
            ["2", "yes"],
            ["1", "yes"],
        ]
        revoked = (await telerig("revoke esp-1 1", url))[1]
        assert revoked.splitlines()[2].split()[:2] == ["1", "no"]
        assert await gateway.registry.authenticate(key) is None
        code, out, _ = await telerig("rotate esp-1 --overlap forever", url)
        assert code == 0
        assert (await telerig("deactivate esp-1", url))[1] == "esp-1 is deactivated\n"
        assert json.loads((await telerig("list --json", url))[1]) == {"devices": []}
        assert "esp-1" in (await telerig("list --all", url))[1]
        assert await gateway.registry.authenticate(second) is None


async def test_a_wrong_secret(
    run_gateway: Callable[..., Any], telerig: Telerig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's refusal is one line, without the secret that was tried."""
    async with run_gateway(API) as gateway:
        monkeypatch.setenv("TELERIG_API_SECRET", "not the right secret")
        code, out, err = await telerig("list", gateway.url)
        assert (code, out) == (1, "")
        assert err == (
            "telerig devices: GET /api/v1/devices: X-API-Key: expected the API secret, "
            "found another key\n"
        )


async def test_complaints(telerig: Telerig, monkeypatch: pytest.MonkeyPatch) -> None:
    """No gateway, no URL, no secret, no JSON: one line and the right exit code each."""
    code, _, err = await telerig("list", "http://127.0.0.1:1")
    assert code == 1
    assert "expected a gateway at http://127.0.0.1:1, got: [Errno 111]" in err
    assert (await telerig("list", "file:///etc/passwd"))[0] == 2
    code, _, err = await telerig("command esp-1 reboot {", "http://127.0.0.1:1")
    assert code == 2
    assert err.startswith("telerig devices: expected parameters as a JSON object")
    monkeypatch.delenv("TELERIG_API_SECRET")
    code, _, err = await telerig("list")
    assert code == 2
    assert "TELERIG_API_SECRET" in err


@pytest.mark.parametrize("overlap", ["soon", "-1", "nan", "inf"])
def test_a_wrong_overlap(overlap: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no time is wrong usage, told with what was expected."""
    with pytest.raises(SystemExit) as caught:
        run(f"rotate esp-1 --overlap={overlap}")
    assert caught.value.code == 2
    assert "expected seconds from 0, or 'forever'" in capsys.readouterr().err


async def test_something_else_answers(telerig: Telerig) -> None:
    """A server that is no gateway is told from one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        code, _, err = await telerig("list", f"http://127.0.0.1:{port}")
    assert code == 1
    assert "expected a gateway's JSON" in err


async def test_the_secret_does_not_follow_a_redirect(telerig: Telerig) -> None:
    """An answer that points elsewhere is an error; nobody else is asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        code, _, err = await telerig("list", f"http://127.0.0.1:{port}")
    assert (code, len(asked)) == (1, 1)
    assert "the answer 302 Found" in err


@pytest.mark.parametrize(
    "url",
    ["", "http://", "http://:80", "http://x:99999", "http://x:0", "http://x:y", "http://a..b",
     "'http://a b'", "http://user@x", "http://x?y", "http://x#y", "http://[x", "ftp://x"],
)  # fmt: skip
async def test_what_is_no_url(url: str, telerig: Telerig) -> None:
    """Wrong usage, told before anything is asked."""
    code, out, err = await telerig(f"list --url={url}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "expected a URL http://HOST:PORT" in err


def test_a_long_result_leaves_the_table_of_commands_readable() -> None:
    """A status of hundreds of characters stands cut at the end of its line."""
    told = {"id": 1, "name": "get_status", "parameters": {}, "state": "done", "late": False}
    lines = _commands([told | {"detail": "x" * 900, "queued_ns": 0}]).splitlines()
    assert lines[0].split() == ["command", "name", "state", "queued", "parameters", "detail"]
    assert lines[1].endswith("xx…")
    assert max(map(len, lines)) < 140


def test_tables_show_no_control_characters() -> None:
    """A device's name cannot move the terminal's cursor."""
    assert table(("a", "b"), [("x\x1b[2J", "y")]) == "a      b\nx?[2J  y"
