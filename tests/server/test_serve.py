"""The gateway end to end: real PostgreSQL, real uvicorn, real WebSocket, a link for tests."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

import server.serve as serve_module
from server.config import GatewayConfig, HttpConfig, parse_config
from server.errors import (
    ConfigError,
    DatabaseUnreachable,
    ListenError,
    ReadingsNotStored,
    StoreError,
)
from server.gateway import Gateway
from server.serve import address, listen, serve
from server.store.connection import connect
from tests.server.running import QUICK, gateway_config, running
from tests.server.stored import StoredReading, fetch_readings

LINK = QUICK + "[links.f]\nkind = 'fake'\n"
VIN = "WF0DXXGAKDDK12345"


def config(url: str, text: str = LINK) -> GatewayConfig:
    """A configuration on a database, with the fake link unless another text is given."""
    return gateway_config(url, text)


class Listener:
    """Everything that a WebSocket client of the gateway gets."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.close_code: int | None = None

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def rows(self) -> list[list[Any]]:
        return [row for frame in self.of("readings") for row in frame["readings"]]

    async def listen(self, url: str) -> None:
        async with connect_websocket(f"{url.replace('http', 'ws', 1)}/api/v1/live") as websocket:
            try:
                while True:
                    self.frames.append(json.loads(await websocket.recv()))
            except ConnectionClosed as closed:
                self.close_code = closed.rcvd.code if closed.rcvd else None


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_database_that_refuses_at_the_start(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full when the gateway has opened its session is told in a line, too."""

    async def full(gateway: Gateway) -> None:
        raise asyncpg.DiskFullError("could not extend file: No space left on device")

    monkeypatch.setattr(Gateway, "open", full)
    with pytest.raises(StoreError, match="refuses at the start: could not extend file"):
        await serve(config(database_url), stop=asyncio.Event())


async def test_readings_are_published_and_stored(database_url: str) -> None:
    """What the link reads is on the stream and in the database, each once, with equal content."""
    listener = Listener()
    async with running(config(database_url, LINK + f"vin = '{VIN}'")) as gateway:
        listening = asyncio.create_task(listener.listen(gateway.url))
        await until(lambda: listener.of("stored") and len(listener.rows) > 50)
    await asyncio.wait_for(listening, 5)
    stored = await fetch_readings(database_url, "car-1")
    assert [reading.seq for reading in stored] == list(range(1, len(stored) + 1))
    assert [reading.value for reading in stored] == [float(reading.seq) for reading in stored]
    rows = {
        r.seq: [r.seq, r.signal, r.time_ns, r.value, r.received_ns, int(r.state)] for r in stored
    }
    assert len(listener.rows) == len({row[0] for row in listener.rows})
    assert all(row == rows[row[0]] for row in listener.rows)
    assert listener.rows[-1][0] == listener.of("stored")[-1]["upto"] == len(stored)
    assert listener.of("hello")[0]["boot"] == gateway.boot == stored[0].boot
    assert [frame["state"] for frame in listener.of("link")][-1] == "down"
    assert listener.close_code == 1012
    assert gateway.pipeline.counts.pending == 0


@pytest.mark.promise("E22", "E26")
async def test_the_api(database_url: str) -> None:
    """Health, readiness, links, signals, sessions and readings answer in JSON."""
    async with running(config(database_url, LINK + f"vin = '{VIN}'")) as gateway:
        await until(lambda: gateway.pipeline.counts.stored > 20)
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            assert (await client.get("/health")).json() == {"status": "ok", "boot": gateway.boot}
            ready = (await client.get("/ready")).json()
            assert ready == {
                "ready": True,
                "database": {"state": "ok", "reason": ""},
                "links": {"f": "up"},
            }
            links = (await client.get("/api/v1/links")).json()
            assert links["links"][0]["state"] == "up"
            assert links["links"][0]["counters"]["polls"] > 20
            assert links["pipeline"]["accepted"] >= links["pipeline"]["stored"] > 20
            signals = {
                s["name"]: s for s in (await client.get("/api/v1/signals")).json()["signals"]
            }
            assert signals["RPM"]["latest"]["value"] > 20
            assert signals["RPM"]["latest"]["stale"] is False
            assert signals["SPEED"]["latest"] is None
            (session,) = (await client.get("/api/v1/sessions")).json()["sessions"]
            assert (session["vin"], session["closed_ns"]) == (VIN, None)
            pages, after = [], None
            for _ in range(3):
                parameters = {"signal": "RPM", "limit": 5} | ({"after": after} if after else {})
                answer = (await client.get("/api/v1/readings", params=parameters)).json()
                pages += [reading["value"] for reading in answer["readings"]]
                after = answer["next"]
            assert pages == list(range(1, 16))
            other = await client.get("/api/v1/readings", params={"device": "car-9"})
            assert other.json() == {"device": "car-9", "readings": [], "next": None}


@pytest.mark.parametrize(
    ("path", "status", "where", "expected"),
    [
        ("/nothing", 404, "GET /nothing", "a path and method of this API"),
        ("/api/v1/readings?limit=0", 400, "limit", "a whole number >= 1"),
        ("/api/v1/readings?limit=x", 400, "limit", "a whole number"),
        ("/api/v1/readings?start_ns=-1", 400, "start_ns", "a whole number >= 0"),
        ("/api/v1/readings?device=%00", 400, "device", "a text without NUL"),
        ("/api/v1/readings?after=%00", 400, "after", "a text without NUL"),
        ("/api/v1/readings?signal=RPMM", 400, "signal", "a name, path or id of /api/v1/signals"),
        ("/api/v1/readings?signal=9999", 400, "signal", "a name, path or id of /api/v1/signals"),
        ("/api/v1/readings?limti=1", 400, "query", "one of "),
        ("/api/v1/sessions?limit=99999999999999999999999", 400, "limit", "a whole number"),
    ],
)
async def test_bad_requests(
    database_url: str, path: str, status: int, where: str, expected: str
) -> None:
    """A wrong request is answered with what was expected, what came, and where."""
    async with (
        running(config(database_url, QUICK)) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        answer = await client.get(path)
        error = answer.json()
        assert (answer.status_code, error["where"]) == (status, where)
        assert error["expected"].startswith(expected)
        refused = await client.post("/health")
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_a_stop_flushes(database_url: str) -> None:
    """What was accepted right before the stop is stored, and the session is closed."""
    slow = config(database_url, LINK.replace("flush_ms = 30", "flush_ms = 60000"))
    async with running(slow) as gateway:
        await until(lambda: gateway.pipeline.counts.accepted > 20)
        assert gateway.pipeline.counts.stored == 0
    assert len(await fetch_readings(database_url)) == gateway.pipeline.counts.accepted
    connection = await connect(database_url)
    assert await connection.fetchval("SELECT closed_how FROM sessions") == "stopped"
    await connection.close()


async def _away(postgres_url: str, name: str, away: bool) -> None:
    """Shut a database to everybody, or open it again."""
    connection = await connect(postgres_url)
    await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {not away}')
    if away:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
    await connection.close()


async def test_the_database_goes_and_comes(database_url: str, postgres: Any) -> None:
    """While the database is away the gateway says so and keeps; afterwards nothing is missing."""
    name = database_url.partition("@/")[2].partition("?")[0]
    admin_url = postgres.url("postgres")
    listener = Listener()
    async with running(config(database_url)) as gateway:
        listening = asyncio.create_task(listener.listen(gateway.url))
        await until(lambda: gateway.pipeline.counts.stored > 10)
        await _away(admin_url, name, away=True)
        await until(lambda: gateway.pipeline.failing)
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            ready = await client.get("/ready")
            assert ready.status_code == 503
            assert ready.json()["database"]["state"] == "failing"
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/api/v1/sessions")).status_code == 503
        accepted = gateway.pipeline.counts.accepted
        await until(lambda: gateway.pipeline.counts.accepted > accepted)
        await _away(admin_url, name, away=False)
        await until(lambda: gateway.pipeline.counts.stored >= accepted)
    await asyncio.wait_for(listening, 5)
    assert [frame["state"] for frame in listener.of("store")] == ["failing", "ok"]
    stored = await fetch_readings(database_url)
    assert [reading.seq for reading in stored] == list(range(1, len(stored) + 1))
    assert len(stored) == gateway.pipeline.counts.accepted


async def test_stopped_while_the_database_is_away(
    database_url: str, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop without a database ends in time and says how many readings are lost."""
    monkeypatch.setattr(serve_module, "FLUSH_TIMEOUT_S", 0.2)
    name = database_url.partition("@/")[2].partition("?")[0]
    admin_url = postgres.url("postgres")
    with pytest.raises(ReadingsNotStored, match=r"with \d+ accepted readings not"):  # noqa: PT012
        async with running(config(database_url)) as gateway:
            await until(lambda: gateway.pipeline.counts.stored > 10)
            await _away(admin_url, name, away=True)
            await until(lambda: gateway.pipeline.failing)
    await _away(admin_url, name, away=False)


async def test_a_stop_while_the_database_is_away_leaves_a_journal(
    database_url: str, postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a journal such a stop loses nothing: the next run stores what waits, under its boot."""
    monkeypatch.setattr(serve_module, "FLUSH_TIMEOUT_S", 2.0)
    name = database_url.partition("@/")[2].partition("?")[0]
    admin_url = postgres.url("postgres")
    journal = f"[journal]\nfolder = '{tmp_path}'\n"
    async with running(config(database_url, journal + LINK + f"vin = '{VIN}'")) as gateway:
        await until(lambda: gateway.pipeline.counts.stored > 10)
        await _away(admin_url, name, away=True)
        await until(lambda: gateway.pipeline.counts.journaled > 20)
        stored = gateway.pipeline.counts.stored
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            links = (await client.get("/api/v1/links")).json()
        assert links["pipeline"]["journaled"] > 20
        assert links["pipeline"]["pending"] < links["pipeline"]["accepted"] - stored
    accepted = gateway.pipeline.counts.accepted
    assert gateway.pipeline.counts.pending == 0
    await _away(admin_url, name, away=False)
    async with running(config(database_url, journal + QUICK)) as again:
        await until(lambda: again.pipeline.counts.journaled == 0)
    found = await fetch_readings(database_url)
    assert [(one.boot, one.seq) for one in found] == [
        (gateway.boot, seq) for seq in range(1, accepted + 1)
    ]
    connection = await connect(database_url)
    sessions = await connection.fetch("SELECT boot, vin, closed_how FROM sessions ORDER BY id")
    assert [tuple(session) for session in sessions] == [
        (gateway.boot, VIN, "recovered"),
        (again.boot, None, "stopped"),
    ]
    await connection.close()


async def test_two_runs_after_each_other(database_url: str) -> None:
    """A second run on the same database has its own boot and numbers from 1."""
    for _ in range(2):
        async with running(config(database_url)) as gateway:
            await until(lambda: gateway.pipeline.counts.accepted > 3)
    stored: dict[int, list[StoredReading]] = {}
    for reading in await fetch_readings(database_url):
        stored.setdefault(reading.boot, []).append(reading)
    assert len(stored) == 2
    assert all(run[0].seq == 1 for run in stored.values())


@pytest.mark.promise("W14")
async def test_a_client_that_goes_is_forgotten(database_url: str) -> None:
    """Clients come and go, politely or not, without a trace."""
    async with running(config(database_url)) as gateway:
        for _ in range(3):
            host, port = gateway.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b"101" in await reader.readline()
            await until(lambda: gateway.hub.clients == 1)
            writer.transport.abort()
            await until(lambda: gateway.hub.clients == 0)
        async with connect_websocket(f"{gateway.url.replace('http', 'ws')}/api/v1/live") as socket:
            await socket.send("clients may say anything")
            await until(lambda: gateway.hub.clients == 1)
        await until(lambda: gateway.hub.clients == 0)


async def test_a_busy_port(database_url: str) -> None:
    """A port that somebody else has is one line."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        busy = config(database_url, f"[http]\nport = {port}")
        with pytest.raises(ListenError, match=rf"port {port}: address already in use; choose"):
            async with running(busy):
                pass


def test_hosts_that_cannot_be_listened_on() -> None:
    """An unknown host and a foreign address are one line each."""
    with pytest.raises(ListenError, match=r"cannot listen on no\.such\.host\.invalid port 1"):
        listen(HttpConfig("no.such.host.invalid", 1))
    with pytest.raises(ListenError, match="cannot assign requested address"):
        listen(HttpConfig("203.0.113.1", 0))


def test_addresses() -> None:
    """The URL names a host that this machine reaches, IPv6 in brackets."""
    with listen(HttpConfig("0.0.0.0", 0)) as listener:
        assert address("0.0.0.0", listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert address("::", listener).startswith("http://[::1]:")


async def test_without_a_database() -> None:
    """No database URL and an unreachable one are refused."""
    with pytest.raises(ConfigError, match=r"\[database\] url"):
        await serve(parse_config(QUICK, "f", {}), stop=asyncio.Event())
    nowhere = config("postgresql://u:pw@127.0.0.1:1/d", QUICK)
    with pytest.raises(DatabaseUnreachable, match=r"postgresql://u@127\.0\.0\.1:1/d"):
        await serve(nowhere, stop=asyncio.Event())


async def test_another_vehicle_than_configured(database_url: str) -> None:
    """A configured vehicle stays, whatever a link reports."""
    text = f"[gateway]\nvehicle = '1FADP3L95DL123456'\n{LINK}vin = '{VIN}'"
    async with running(config(database_url, text)) as gateway:
        await until(lambda: gateway.pipeline.counts.stored > 0)
    connection = await connect(database_url)
    assert await connection.fetchval("SELECT vin FROM sessions") == "1FADP3L95DL123456"
    await connection.close()


async def test_a_failing_link_does_not_end_the_gateway(
    database_url: str, fake_kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link with a bug is down; the API and the other links go on."""

    def explode(self: object, *arguments: object, **options: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(fake_kind, "__init__", explode)
    async with running(config(database_url)) as gateway:
        await until(lambda: gateway.links[0].reason == "unexpected RuntimeError: bug")
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            assert (await client.get("/ready")).json()["links"] == {"f": "down"}


def test_asyncpg_is_what_the_errors_expect() -> None:
    """The errors that count as a lost connection are those of this asyncpg."""
    assert issubclass(asyncpg.ConnectionDoesNotExistError, asyncpg.PostgresConnectionError)
    assert issubclass(TimeoutError, OSError)
