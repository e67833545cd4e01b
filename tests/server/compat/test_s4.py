"""S4's words and its address (W08-W12, E36, E37, and which dialect /ws means)."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from server.errors import ListenError
from server.gateway import Gateway
from server.readings import Reading
from server.wire.telemetry_pb2 import EdgeRecord

VIN = "WF0DXXGAKDDK12345"
WS = "telerig.s4"
CODE = "import time; print('logging', flush=True); time.sleep(600)"
S4 = f"""
[compat]
s4 = true
s4_port = 0
[compat.logger]
command = ['{sys.executable}', '-c', "{CODE}"]
"""
NOW_S = round(time.time()) - 60


@pytest.fixture
async def served(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway with S4 on an address of its own."""
    async with run_gateway(S4) as gateway:
        yield gateway


async def send(gateway: Gateway, second: float, **fields: Any) -> None:
    """Send a record as an edge logger does."""
    record = EdgeRecord(timestamp=NOW_S + second, vehicle_vin=VIN, **fields)
    async with httpx2.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post("/api/telemetry", content=record.SerializeToString())
        assert answer.status_code == 200


def record(second: float, **fields: float) -> dict[str, Any]:
    """A record as clients get it."""
    names = ("speed", "battery", "power", "heading", "latitude", "longitude")
    nothing = dict.fromkeys(names)
    return {"timestamp": NOW_S + second, **nothing, **fields, "vehicle_vin": VIN}


@pytest.mark.promise("W08", "W09", "W11")
@pytest.mark.promise("P19")
async def test_history_then_telemetry(served: Gateway, talk: Any) -> None:
    """A client first gets what was, then what comes, with the statistics as they change."""
    await send(served, 0, speed=50, battery=80)
    await send(served, 1, speed=60)
    async with talk(f"{served.url}/ws", WS) as client:
        history = await client.of("history")
        assert history["data"] == [
            record(0, speed=50, battery=80),
            record(1, speed=60, battery=80),
        ]
        assert (await client.of("compression_stats"))["data"] == {
            "total_readings": 4,
            "transmitted_readings": 3,
            "skipped_readings": 1,
            "compression_ratio": 0.25,
        }
        await send(served, 2, power=7.5)
        telemetry = await client.of("telemetry")
        assert telemetry == {
            "type": "telemetry",
            "data": record(2, speed=53, battery=80, power=7.5),
        }
        changed = await client.of("compression_stats")
        assert changed["data"]["total_readings"] == 7


async def test_the_gateways_own_car(served: Gateway, talk: Any) -> None:
    """Readings of a local link are records too, under the vehicle that the link has read."""
    served.vehicle(VIN)
    async with talk(f"{served.url}/ws", WS) as client:
        assert (await client.of("history"))["data"] == []
        when_ns = NOW_S * 10**9
        served.pipeline.offer(
            [
                Reading(12, when_ns, 800.0, when_ns),
                Reading(13, when_ns, 30.0, when_ns),
                Reading(1005, when_ns, 90.0, when_ns),
                Reading(13, when_ns + 500_000_000, 31.0, when_ns),
            ]
        )
        assert (await client.of("telemetry"))["data"] == record(0, speed=30, heading=90)
        assert (await client.of("telemetry"))["data"] == record(0.5, speed=31, heading=90)


@pytest.mark.promise("W10", "W12")
@pytest.mark.promise("D17")
async def test_the_logger_by_message(served: Gateway, talk: Any) -> None:
    """start_logger and stop_logger do it; what the logger writes comes as log messages."""

    def says(text: str) -> Callable[[dict[str, Any]], bool]:
        return lambda m: m["type"] == "log" and text in m["data"]["message"]

    async with talk(f"{served.url}/ws", WS) as client:
        await client.say({"type": "stop_logger"})
        await client.until(says("no logger runs"))
        await client.say({"type": "start_logger"})
        line = await client.until(says("logging"))
        assert line["data"]["level"] == "info"
        assert abs(line["data"]["timestamp"] - time.time()) < 60
        await client.say({"type": "start_logger"})
        await client.until(says("runs already"))
        await client.say({"type": "stop_logger"})
        await client.until(says("logger stopped"))
        await client.say({"type": "sing"})
        await client.until(says('expected "start_logger" or "stop_logger"'))
        await client.say("{")
        assert (await client.of("log"))["data"]["level"] == "error"


@pytest.mark.promise("E35", "E36", "E37")
async def test_the_logger_by_request(served: Gateway) -> None:
    """/logger/start and /logger/stop say what they did, and /status how it is."""
    async with httpx2.AsyncClient(base_url=served.url) as client:
        assert (await client.post("/logger/stop")).json()["status"] == "not_running"
        started = (await client.post("/logger/start")).json()
        assert (started["status"], started["logger"]["state"]) == ("started", "running")
        assert (await client.post("/logger/start")).json()["status"] == "already_running"
        assert (await client.get("/status")).json()["logger"]["state"] == "running"
        assert (await client.post("/logger/stop")).json()["status"] == "stopped"
        assert (await client.get("/status")).json()["logger"]["state"] == "stopped"


async def test_a_stop_of_the_gateway_stops_the_logger(run_gateway: Callable[..., Any]) -> None:
    """Nothing is left of it."""
    async with run_gateway(S4) as gateway:
        await gateway.logger.start()
        assert gateway.logger.status.pid is not None
    assert gateway.logger.status.pid is None


async def test_without_a_command(run_gateway: Callable[..., Any], talk: Any) -> None:
    """Who starts a logger that is not configured is told what to configure."""
    async with (
        run_gateway("[compat]\ns4 = true\n") as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
        talk(f"{gateway.url}/ws") as socket,
    ):
        answer = await client.post("/logger/start")
        assert answer.status_code == 409
        assert answer.json()["error"]["expected"] == "[compat.logger] command"
        await socket.say({"type": "start_logger"})
        assert "[compat.logger] command" in (await socket.of("log"))["data"]["message"]


async def test_which_dialect(run_gateway: Callable[..., Any], talk: Any) -> None:
    """The client's subprotocol decides; else the address; else the configuration."""
    both = S4.replace("s4 = true", "s4 = true\ns2 = true")

    async def first(gateway_url: str, *subprotocols: str) -> str:
        async with talk(f"{gateway_url}/ws", *subprotocols) as client:
            await client.say("{}")
            kind: str = (await client.until(lambda message: True))["type"]
            return kind

    async with run_gateway(both) as gateway:
        assert gateway.s4_url != gateway.url
        assert await first(gateway.url) == "error"
        assert await first(gateway.s4_url) == "history"
        assert await first(gateway.url, "telerig.s4") == "history"
        assert await first(gateway.s4_url, "telerig.s2") == "error"
        with pytest.raises(InvalidStatus, match="403"):
            await first(gateway.url, "telerig.s9")
    async with run_gateway(both.replace("s4 = true", "s4 = true\nws = 's4'")) as gateway:
        assert await first(gateway.url) == "history"


async def test_the_second_address_serves_all(served: Gateway) -> None:
    """S4's address is the same process with the same paths."""
    async with httpx2.AsyncClient(base_url=served.s4_url) as client:
        assert (await client.get("/status")).json()["status"] == "healthy"
        assert (await client.get("/health")).json()["boot"] == served.boot


async def test_the_second_address_is_taken(run_gateway: Callable[..., Any]) -> None:
    """A busy port is one line that names its key, and the first address is free again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"port {port}: .* another \[compat\] s4_port"):
            async with run_gateway(S4.replace("s4_port = 0", f"s4_port = {port}")):
                pass


async def test_a_key_for_browsers(run_gateway: Callable[..., Any], talk: Any) -> None:
    """A key comes as header or as subprotocol, which is not sent back; without it, 403."""
    key = "key-of-the-dashboard"
    text = S4.replace("s4 = true", f"s4 = true\ns4_key = '{key}'")
    async with run_gateway(text) as gateway:
        url = f"{gateway.url}/ws"
        async with talk(url, WS, f"telerig.key.{key}") as client:
            assert client.socket.subprotocol == WS
            await client.of("history")
        async with talk(url, additional_headers={"X-API-Key": key}) as client:
            await client.of("history")
        for subprotocols in ((WS,), (WS, "telerig.key.wrong-key-of-somebody")):
            with pytest.raises(InvalidStatus, match="403"):
                async with talk(url, *subprotocols):
                    pass
