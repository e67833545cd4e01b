"""Who may use interfaces that had no authentication, and pages of other origins (E38)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus

from server.compat.access import why_not_local
from server.config import parse_config
from server.errors import ConfigError

KEY = "key of the old loggers"
SECRET = "correct horse battery"
S4 = "[compat]\ns4 = true\n"
PATHS = [
    ("POST", "/api/telemetry"),
    ("GET", "/status"),
    ("POST", "/logger/start"),
    ("POST", "/logger/stop"),
]
S2_PATHS = [
    ("GET", "/telemetry-types"),
    ("GET", "/command-templates"),
    ("GET", "/historical-data"),
]


def connection(peer: str | None, host: str, **headers: str) -> HTTPConnection:
    """A request from a peer."""
    given = {"host": host, **{name.replace("_", "-"): text for name, text in headers.items()}}
    raw = [(name.encode(), text.encode()) for name, text in given.items()]
    client = (peer, 1234) if peer is not None else None
    return HTTPConnection({"type": "http", "headers": raw, "client": client})


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("127.0.0.9", "localhost"),
        ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "LOCALHOST:1"),
    ],
)
def test_this_machine(peer: str, host: str) -> None:
    """Loopback addresses of either family, asked by a loopback name, are this machine."""
    assert why_not_local(connection(peer, host)) == ""


@pytest.mark.parametrize(
    ("peer", "host", "headers"),
    [
        ("192.168.1.7", "localhost", {}),
        (None, "localhost", {}),
        ("testclient", "localhost", {}),
        ("127.0.0.1", "evil.example:8000", {}),
        ("127.0.0.1", "127.0.0.1.evil.example", {}),
        ("127.0.0.1", "", {}),
        ("127.0.0.1", "[", {}),
        ("127.0.0.1", "localhost", {"x_forwarded_for": "10.0.0.1"}),
        ("127.0.0.1", "localhost", {"forwarded": "for=10.0.0.1"}),
    ],
)
def test_not_known_to_be_this_machine(peer: str | None, host: str, headers: dict[str, str]) -> None:
    """Other peers, names that were made to point here, and proxies are not trusted."""
    assert why_not_local(connection(peer, host, **headers))


async def test_all_is_off_by_default(run_gateway: Callable[..., Any]) -> None:
    """Without [compat] there is none of the paths, and no /ws."""
    async with (
        run_gateway() as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        for method, path in PATHS + S2_PATHS:
            assert (await client.request(method, path)).status_code == 404
        with pytest.raises(InvalidStatus):
            await connect_websocket(f"{gateway.url.replace('http', 'ws')}/ws")


async def test_with_a_key_nobody_passes_without(run_gateway: Callable[..., Any]) -> None:
    """A key counts on this machine too; the API secret works as well."""
    text = f"[api]\nsecret = '{SECRET}'\n{S4}s4_key = '{KEY}'\ns2 = true\ns2_key = '{KEY}2'\n"
    async with (
        run_gateway(text) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        for method, path in PATHS + S2_PATHS:
            for headers in ({}, {"X-API-Key": "wrong"}):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.json()["detail"] == "Invalid API key"
                assert KEY not in answer.text
        for key in (KEY, SECRET):
            assert (await client.get("/status", headers={"X-API-Key": key})).status_code == 200
        other = await client.get("/telemetry-types", headers={"X-API-Key": KEY})
        assert other.status_code == 401


async def test_without_a_key_only_this_machine(run_gateway: Callable[..., Any]) -> None:
    """A page that has its own name point here, and a proxy, are refused with what to do."""
    async with (
        run_gateway(S4) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        assert (await client.get("/status")).status_code == 200
        for headers in ({"host": "evil.example"}, {"x-forwarded-for": "127.0.0.1"}):
            for method, path in PATHS:
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 403, path
                assert "[compat] s4_key" in answer.json()["error"]["expected"]


async def test_pages_of_other_origins(run_gateway: Callable[..., Any]) -> None:
    """A foreign page can neither start the logger nor open a WebSocket; the gateway's own can."""
    async with (
        run_gateway(S4) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        own = gateway.url
        for origin, status in (("https://evil.example", 403), ("null", 403), (own, 409)):
            answer = await client.post("/logger/start", headers={"origin": origin})
            assert answer.status_code == status, origin
        url = gateway.url.replace("http", "ws")
        for path in ("/ws", "/api/v1/live", "/api/v1/realtime/subscribe/car-1"):
            with pytest.raises(InvalidStatus, match="403"):
                await connect_websocket(f"{url}{path}", origin="https://evil.example")
        async with connect_websocket(f"{url}/api/v1/live", origin=own):
            pass


@pytest.mark.promise("E38")
async def test_allowed_origins(run_gateway: Callable[..., Any]) -> None:
    """An origin of the configuration gets CORS headers and WebSockets; others get neither."""
    async with (
        run_gateway(http="origins = ['http://localhost:3000']\n") as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        allowed = {"origin": "http://localhost:3000"}
        asked = {"access-control-request-method": "POST", **allowed}
        asked["access-control-request-headers"] = "x-api-key"
        preflight = await client.options("/api/v1/devices", headers=asked)
        assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"
        answer = await client.get("/health", headers=allowed)
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        other = await client.get("/health", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        refused = await client.post("/api/v1/devices", headers=allowed)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "http://localhost:3000"
        url = gateway.url.replace("http", "ws")
        async with connect_websocket(f"{url}/api/v1/live", origin="http://localhost:3000"):
            pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[http]\norigins = ['localhost:3000']", "f:2: expected an origin"),
        ("[http]\norigins = ['https://a.example/path']", "an origin as"),
        ("[compat]\ns4 = true\ns4_key = 'short'", "f:3: expected 16 or more printable"),
        ("[compat]\nws = 's4'", "an interface that is switched on"),
        ("[compat]\ns4_port = 8001", "no port while s4 is off"),
        ("[compat]\ns3 = true", "unknown key 's3'"),
        ("[compat.logger]\ncommand = 'rm -rf /'", "an array of strings"),
        ("[compat]\ntelemetry_types = '/no/such'", "a readable file"),
    ],
)
def test_wrong_configurations(text: str, expected: str) -> None:
    """A wrong table is refused with its line."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f", {})
    assert expected in str(caught.value)


def test_switched_on_by_the_environment() -> None:
    """[compat] can be set by variables, except its lists."""
    variables = {
        "TELERIG_COMPAT_S4": "true",
        "TELERIG_COMPAT_S4_PORT": "8001",
        "TELERIG_COMPAT_S4_KEY": KEY,
        "WS_HEARTBEAT_INTERVAL": "7",
    }
    config = parse_config("", "f", variables)
    assert (config.compat.s4, config.compat.s4_port, config.compat.s4_key) == (True, 8001, KEY)
    assert config.http.ws_heartbeat_s == 7
    assert KEY not in repr(config)
    with pytest.raises(ConfigError, match="TELERIG_COMPAT_S2"):
        parse_config("", "f", {"TELERIG_COMPAT_S2": "perhaps"})
