"""Connections that say nothing, or not enough, and more of them than there is room for."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import structlog
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus

import server.http_protocol as http_protocol
from server.clock import SystemClock
from server.gateway import Gateway
from server.http_protocol import FILES_RESERVE, HEAD_BYTES, Limits
from tests.server.hand_clock import HandClock

HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\n"
SHORT_S = 0.3
PATIENCE_S = 30


@contextlib.asynccontextmanager
async def connected(
    gateway: Gateway,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the gateway closes the connection."""
    return await asyncio.wait_for(reader.read(), PATIENCE_S)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short time for heads."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", SHORT_S)


@pytest.mark.parametrize(
    "begin",
    [b"", b"G", HEAD, b"\r\n", HEAD + b"\r\n" + HEAD, HEAD + b"\r\n\r\n"],
    ids=["nothing", "a letter", "half a head", "a line", "the second", "a line after one"],
)
@pytest.mark.usefixtures("short")
async def test_a_head_that_stays_away(run_gateway: Callable[..., Any], begin: bytes) -> None:
    """A head that is not whole in time ends the connection, also the second one on it."""
    async with run_gateway() as gateway, connected(gateway) as (reader, writer):
        writer.write(begin)
        if HEAD + b"\r\n" in begin:  # the rest of the head comes after the first answer
            assert b"200 OK" in await reader.readuntil(b"}")
            writer.write(b"X-More: 1\r\n" if begin.endswith(b"x\r\n") else b"\r\n")
        answer = await everything(reader)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"expected":"a whole request head within 0.3 s"' in answer
        assert b"connection: close" in answer


@pytest.mark.usefixtures("short")
async def test_a_head_letter_by_letter(run_gateway: Callable[..., Any]) -> None:
    """Who sends a letter now and then gains no time by it."""
    async with run_gateway() as gateway, connected(gateway) as (reader, writer):
        answering = asyncio.create_task(everything(reader))
        writer.write(HEAD + b"X-Name: ")
        begin_s = asyncio.get_running_loop().time()
        while not answering.done():
            writer.write(b"x")
            await asyncio.sleep(SHORT_S / 5)
        assert asyncio.get_running_loop().time() - begin_s >= SHORT_S
        with contextlib.suppress(ConnectionError):  # a letter may meet the closed connection
            assert b" 408 " in answering.result()


async def test_what_is_no_http(run_gateway: Callable[..., Any]) -> None:
    """Other bytes are answered with a problem too, and the connection is closed."""
    async with run_gateway() as gateway, connected(gateway) as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00\x01 hello\r\n\r\n")
        answer = await everything(reader)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer
        assert b'"expected":"a request of HTTP/1.1' in answer


async def test_a_head_without_end(run_gateway: Callable[..., Any]) -> None:
    """A head is not gathered beyond its bound, however fast it comes."""
    async with run_gateway() as gateway, connected(gateway) as (reader, writer):
        writer.write((HEAD + b"X-Name: ").ljust(HEAD_BYTES + 1, b"x"))
        assert (await everything(reader)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.usefixtures("short")
async def test_what_is_in_time_goes_on(run_gateway: Callable[..., Any]) -> None:
    """A head in two parts, and a WebSocket that is silent for longer, are served."""
    async with run_gateway() as gateway, connected(gateway) as (reader, writer):
        live = f"{gateway.url.replace('http', 'ws')}/api/v1/live"
        async with connect_websocket(live) as websocket:
            await websocket.recv()
            for _ in range(3):
                writer.write(HEAD)
                await asyncio.sleep(SHORT_S / 10)
                writer.write(b"\r\n")
                assert b"200 OK" in await reader.readuntil(b"}")
            await asyncio.sleep(SHORT_S * 2)
            await (await websocket.ping())


@pytest.mark.promise("W13")
async def test_more_connections_than_allowed(run_gateway: Callable[..., Any]) -> None:
    """One too many hears 503, whatever it asks; when others have gone there is room again."""
    capture = structlog.testing.LogCapture()
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(run_gateway(http="connections = 3\n"))
        structlog.configure(processors=[capture], cache_logger_on_first_use=False)
        live = f"{gateway.url.replace('http', 'ws')}/api/v1/live"
        websocket = await stack.enter_async_context(connect_websocket(live))
        async with contextlib.AsyncExitStack() as others:
            for _ in range(2):
                _, writer = await others.enter_async_context(connected(gateway))
                writer.write(HEAD)
            async with httpx2.AsyncClient(base_url=gateway.url) as client:
                for _ in range(3):
                    answer = await client.get("/health")
                    assert answer.status_code == 503
                    assert answer.headers["retry-after"] == "1"
                    assert answer.json()["expected"] == "at most 3 open connections"
            with pytest.raises(InvalidStatus, match="503"):
                async with connect_websocket(live):
                    pass
            async with connected(gateway) as (reader, _):
                assert (await everything(reader)).startswith(b"HTTP/1.1 503 ")
        async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient() as client:
            while (await client.get(f"{gateway.url}/health")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await (await websocket.ping())
    (line,) = [entry for entry in capture.entries if entry["event"] == "too many connections"]
    assert (line["limit"], line["set_by"]) == (3, "[http] connections")


async def test_what_rests_gives_way(run_gateway: Callable[..., Any]) -> None:
    """A new connection takes the place of the one that has rested for longest; who works stays."""
    async with (
        run_gateway(http="connections = 3\n") as gateway,
        connected(gateway) as (first, ask_first),
        connected(gateway) as (second, ask_second),
        connected(gateway) as (working, finish),
    ):
        finish.write(HEAD)
        for reader, writer in ((first, ask_first), (second, ask_second)):
            writer.write(HEAD + b"\r\n")
            assert b"200 OK" in await reader.readuntil(b"}")
        ask_first.write(HEAD + b"\r\n")  # now the second one has rested for longest
        assert b"200 OK" in await first.readuntil(b"}")
        async with connected(gateway) as (third, ask_third):
            ask_third.write(HEAD + b"\r\n")
            assert b"200 OK" in await third.readuntil(b"}")
            assert await everything(second) == b""
            ask_first.write(HEAD + b"\r\n")
            assert b"200 OK" in await first.readuntil(b"}")
            finish.write(b"\r\n")
            assert b"200 OK" in await working.readuntil(b"}")
        assert gateway.http_limits is not None
        assert gateway.http_limits.refused == 0


async def test_how_long_a_connection_may_rest(run_gateway: Callable[..., Any]) -> None:
    """As long as `keep_alive_s` says, from its last answer on."""
    loop = asyncio.get_running_loop()
    async with (
        run_gateway(http="keep_alive_s = 1\n") as gateway,
        connected(gateway) as (reader, writer),
    ):
        for _ in range(2):
            await asyncio.sleep(0.6)
            writer.write(HEAD + b"\r\n")
            assert b"200 OK" in await reader.readuntil(b"}")
        begin_s = loop.time()
        assert await everything(reader) == b""
        assert loop.time() - begin_s >= 0.9


async def test_a_flood_is_cut_off(
    run_gateway: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far beyond the limit connections are closed at once, so that files are left for others."""
    monkeypatch.setattr(http_protocol, "REFUSED_AT_ONCE", 0)
    async with run_gateway(http="connections = 1\n") as gateway:
        async with connected(gateway) as (_, writer):
            writer.write(HEAD)
            async with connected(gateway) as (reader, _):
                with contextlib.suppress(ConnectionError):
                    assert await everything(reader) == b""
        async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"{gateway.url}/health")).status_code == 200:
                        break
                await asyncio.sleep(0.01)


def test_the_file_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more connections than the process may have files, less what else it opens."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert Limits(1000, SystemClock()).connections == 1024 - FILES_RESERVE
    assert Limits(500, SystemClock()).connections == 500
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert Limits(5000, SystemClock()).connections == 5000


def test_a_warning_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections are refused, the log has a line a minute, with their number."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    clock = HandClock()
    limits = Limits(1000, clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            limits.refuse()
        clock.now_s += 60
        limits.refuse()
    assert [line["refused"] for line in lines] == [1, 6]
    assert lines[0]["set_by"] == "the file limit of 1024 (ulimit -n)"
