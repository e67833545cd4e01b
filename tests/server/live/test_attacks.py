"""Bad clients of the live stream: slow, silent, flooding, speaking nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import connect as connect_websocket

from server.gateway import Gateway
from server.live.client import Policy
from server.live.protocol import LiveProtocol
from server.readings import Reading

NS = 10**18
BOUNDS = "[live]\nqueue_messages = 1000\n"
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
async def served(run_live: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway without a database."""
    async with run_live(BOUNDS) as gateway:
        yield gateway


RESET = -1


class Raw:
    """A client that does only what a test says."""

    def __init__(self, gateway: Gateway, path: str = "/api/v1/live?form=points") -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        self._gateway = gateway
        self._path = path

    async def __aenter__(self) -> Raw:
        loop = asyncio.get_running_loop()
        port = int(self._gateway.url.rpartition(":")[2])
        await loop.sock_connect(self.socket, ("127.0.0.1", port))
        await loop.sock_sendall(self.socket, HANDSHAKE % self._path.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += await asyncio.wait_for(loop.sock_recv(self.socket, 1), 10)
        assert b" 101 " in head
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def say(self, data: bytes) -> None:
        """Send bytes; that the other end has closed is no news."""
        with contextlib.suppress(ConnectionError):
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_sendall(self.socket, data), 20)

    async def close_code(self) -> int | None:
        """Read to the end; give the code of the close frame, None where there was none, RESET where
        the kernel took it away with the connection: more of ours had come than was read."""
        loop = asyncio.get_running_loop()
        data = b""
        code = None
        try:
            while chunk := await asyncio.wait_for(loop.sock_recv(self.socket, 65_536), 20):
                data += chunk
        except ConnectionError:
            code = RESET
        while len(data) >= 2:
            size, begin = data[1], 2
            if size == 126:
                size, begin = int.from_bytes(data[2:4], "big"), 4
            if data[0] == 0x88 and size >= 2:
                code = int.from_bytes(data[begin : begin + 2], "big")
            data = data[begin + size :]
        return code


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as clients send it; the mask is 0."""
    size = len(payload)
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    return head + bytes(4) + payload


def outlets(gateway: Gateway) -> list[LiveProtocol]:
    """The connections of the clients."""
    found = [client._outlet for client in gateway.hub._clients]
    assert all(isinstance(outlet, LiveProtocol) for outlet in found)
    return found  # type: ignore[return-value]


async def test_slow_readers_hold_nobody_up(served: Gateway) -> None:
    """Clients that read nothing cost no more than their bounds; another one gets everything."""
    address = served.url.replace("http", "ws") + "/api/v1/live?form=points"
    count, batch = 300, 100
    async with contextlib.AsyncExitStack() as stack:
        for policy in ("drop_oldest", "latest"):
            for _ in range(5):
                path = f"/api/v1/live?form=points&policy={policy}"
                await stack.enter_async_context(Raw(served, path))
        quick = await stack.enter_async_context(
            connect_websocket(address, max_queue=None, compression=None)
        )
        assert json.loads(await quick.recv())["type"] == "hello"

        async def hear() -> list[float]:
            values = []
            while len(values) < count * batch:
                message = json.loads(await quick.recv())
                assert message["type"] != "dropped"
                if message["type"] == "reading":
                    values.append(message["value"])
            return values

        hearing = asyncio.create_task(hear())
        for number in range(count):
            served.hub.readings(
                number * batch + 1,
                [Reading(12, NS, float(number * batch + n), NS) for n in range(batch)],
            )
            await asyncio.sleep(0.002)
            for client in served.hub._clients:
                assert client.queued_bytes <= 512 * 1024
        values = await asyncio.wait_for(hearing, 30)
        assert values == [float(n) for n in range(count * batch)]
        assert served.hub.counts.dropped > count * batch
        latest = [c for c in served.hub._clients if c.policy is Policy.LATEST]
        # For these nothing is kept but what is kept for all of them together.
        assert [(c.is_idle, c.queued_bytes) for c in latest] == [(False, 0)] * 5
        for outlet in outlets(served):
            assert outlet.transport.get_write_buffer_size() <= 1 << 20
        began_s = time.monotonic()
    # The gateway can stop, although five clients still do not read (the fixture does that).
    assert time.monotonic() - began_s < 10


async def test_a_stop_does_not_wait_for_slow_readers(run_live: Callable[..., Any]) -> None:
    """Clients that read nothing are cut when the gateway stops."""
    raws = []
    async with run_live(BOUNDS) as gateway:
        for _ in range(3):
            raw = Raw(gateway)
            await raw.__aenter__()
            raws.append(raw)
        for number in range(100):
            rows = [Reading(12, NS, float(n), NS) for n in range(200)]
            gateway.hub.readings(number * 200 + 1, rows)
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert any(not outlet.is_writable for outlet in outlets(gateway))
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 8
    for raw in raws:
        raw.socket.close()


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(frame(0x9, b"x") * 20_000, id="pings"),
        pytest.param(frame(0xA, b"x") * 20_000, id="pongs"),
        pytest.param(frame(0x1, b"{}") * 20_000, id="texts"),
        pytest.param(
            frame(0x1, b"{", fin=False) + frame(0x0, b"", fin=False) * 20_000, id="fragments"
        ),
    ],
)
async def test_floods_end_with_1008(served: Gateway, flood: bytes) -> None:
    """Who sends more frames than anybody needs is closed; the others hear on."""
    address = served.url.replace("http", "ws") + "/api/v1/live?form=points"
    async with Raw(served) as raw, connect_websocket(address) as other:
        await raw.say(flood)
        assert await raw.close_code() in (1008, RESET)
        await other.recv()
        served.pipeline.offer([Reading(12, NS, 1.0, NS)])
        assert json.loads(await asyncio.wait_for(other.recv(), 10))["value"] == 1.0


async def test_pings_of_one_who_does_not_read(served: Gateway) -> None:
    """Pongs do not pile up for a client that sends pings and reads nothing."""
    async with Raw(served) as raw:
        while True:
            rows = [Reading(12, NS, float(n), NS) for n in range(500)]
            served.hub.readings(1, rows)
            await asyncio.sleep(0.001)
            if not outlets(served)[0].is_writable:
                break
        (outlet,) = outlets(served)
        before = outlet.transport.get_write_buffer_size()
        await raw.say(frame(0x9, b"x" * 100) * 150)
        await asyncio.sleep(0.2)
        assert outlet.transport.get_write_buffer_size() <= before + 200


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(0x1, b"x" * 70_000), 1009, id="big message"),
        pytest.param(
            frame(0x1, b"x" * 40_000, fin=False) + frame(0x0, b"x" * 40_000),
            1009,
            id="big in parts",
        ),
        pytest.param(b"\x81\xff" + b"\xff" * 8 + bytes(4), 1009, id="endless"),
        pytest.param(b"\x81\x05hello", 1002, id="not masked"),
        pytest.param(frame(0x3, b"x"), 1002, id="unknown opcode"),
        pytest.param(frame(0x0, b"x"), 1002, id="continuation of nothing"),
        pytest.param(frame(0x9, b"x" * 126), 1002, id="long ping"),
        pytest.param(frame(0x9, b"x", fin=False), 1002, id="ping in parts"),
        pytest.param(b"\xf1\x80" + bytes(4), 1002, id="reserved bits"),
        pytest.param(frame(0x1, b"\xff\xfe"), 1007, id="no UTF-8"),
        pytest.param(frame(0x8, b"\x00"), 1002, id="short close"),
        pytest.param(frame(0x8, b"\x00\x05"), 1002, id="close with a code that is none"),
    ],
)
async def test_nonsense_ends_the_connection_alone(served: Gateway, data: bytes, code: int) -> None:
    """What is against the protocol is closed with its code, and leaves nothing behind."""
    async with Raw(served) as raw:
        await raw.say(data)
        assert await raw.close_code() == code
    await nobody_left(served)


async def nobody_left(gateway: Gateway) -> None:
    """Wait until no client is left."""
    async with asyncio.timeout(10):
        while gateway.hub.clients or gateway.seats.taken:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_random_bytes(served: Gateway) -> None:
    """Whatever bytes come, the gateway logs no error and goes on."""
    chance = random.Random(1)
    for _ in range(100):
        async with Raw(served) as raw:
            data = chance.randbytes(chance.randrange(1, 400))
            if chance.random() < 0.5:
                data = frame(chance.randrange(16), data, fin=chance.random() < 0.7) + data
            await raw.say(data)
            await asyncio.sleep(0)
    await nobody_left(served)
    address = served.url.replace("http", "ws") + "/api/v1/live"
    async with connect_websocket(address) as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
    processors = structlog.get_config()["processors"]
    capture = next(p for p in processors if isinstance(p, structlog.testing.LogCapture))
    assert [e for e in capture.entries if e["log_level"] in ("error", "critical")] == []


async def test_who_is_silent_for_ever_is_cut(
    served: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open connection, which answers no ping, is given up though its buffer is full."""
    monkeypatch.setattr("server.live.protocol.LAST_WORDS_S", 0.1)
    async with Raw(served):
        for _ in range(200):
            served.hub.readings(1, [Reading(12, NS, float(n), NS) for n in range(200)])
            await asyncio.sleep(0)
        (outlet,) = outlets(served)
        assert not outlet.is_writable
        outlet.keepalive_timeout()  # as the timer does 40 s later
        await nobody_left(served)


async def test_many_come_at_once(served: Gateway) -> None:
    """A hundred connections that are opened and cut at once leave no file and no client."""
    before = len(os.listdir("/proc/self/fd"))

    async def come_and_go(number: int) -> None:
        raw = Raw(served)
        await raw.__aenter__()
        if number % 2:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.socket.close()

    await asyncio.gather(*(come_and_go(number) for number in range(100)))
    await nobody_left(served)
    await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
