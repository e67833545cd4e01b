"""Sessions, trips, vehicles and history over HTTP, and the command `telerig sessions`."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK

from server.api.role import Role
from server.gateway import Gateway
from server.sessions.cli import COMMAND
from server.users.principal import Kind, Principal
from tests.server.history.stored import RPM, SPEED, S, reading, seal, store

SECRET = "correct horse battery"
API = f"[api]\nsecret = '{SECRET}'\n"
VIN = "WF0DXXGAKDDK12345"
BEGIN_NS = 1_790_000_000 * S


@pytest.fixture
async def served(run_gateway: Callable[..., Any], database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with a secret; two other devices have sent, the same signals at the same time."""
    async with run_gateway(API) as gateway:
        for device, kmh in (("esp-1", 36.0), ("esp-2", 90.0)):
            made = []
            for second in range(300):
                made.append(reading(SPEED, BEGIN_NS + second * S, kmh))
                made.append(reading(RPM, BEGIN_NS + second * S, kmh * 50 + second))
            await store(database_url, device, 1, made, size=200)
        async with gateway.pool.acquire() as connection:
            await connection.execute("UPDATE sessions SET vin = $1 WHERE device = 'esp-1'", VIN)
        yield gateway


@pytest.fixture
async def client(served: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the API secret."""
    async with httpx2.AsyncClient(base_url=served.url, headers={"X-API-Key": SECRET}) as client:
        yield client


@pytest.mark.promise("E08")
@pytest.mark.promise("E09")
@pytest.mark.promise("E10")
async def test_start_and_stop(served: Gateway, client: httpx2.AsyncClient) -> None:
    """Start makes a session and starts it, once; status tells of it; stop ends it."""
    base = "/api/v1/telemetry"
    idle = (await client.get(f"{base}/status")).json()
    assert (idle["status"], idle["session"], idle["recording"]) == ("idle", None, True)
    started = (await client.post(f"{base}/start", json={"name": "Lap", "driver": "Ada"})).json()
    assert (started["status"], started["session"]["name"]) == ("running", "Lap")
    assert (started["device"], started["session"]["kind"]) == ("car-1", "manual")
    again = (await client.post(f"{base}/start")).json()
    assert again["session_id"] == started["session_id"]
    status = (await client.get(f"{base}/status")).json()
    assert status["session_id"] == started["session_id"]
    assert status["elapsed_s"] >= 0
    stopped = (await client.post(f"{base}/stop")).json()
    assert (stopped["status"], stopped["session"]["state"]) == ("idle", "ended")
    assert (await client.post(f"{base}/stop")).json()["session"] is None
    assert (await client.post(f"{base}/start", json={"device": "nobody"})).status_code == 404
    assert (await client.post(f"{base}/start", json={"nane": "x"})).status_code == 400


async def test_many_start_at_once(served: Gateway, client: httpx2.AsyncClient) -> None:
    """Of those who press start at the same time one makes the session, and all are told of it."""
    starts = (client.post("/api/v1/telemetry/start", json={"name": "Lap"}) for _ in range(10))
    answers = await asyncio.gather(*starts)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["session_id"] for answer in answers}) == 1
    planned = (await client.get("/api/v1/sessions", params={"state": "planned"})).json()
    assert planned["sessions"] == []


async def test_a_session_that_is_removed_ends_its_stream(
    served: Gateway, client: httpx2.AsyncClient
) -> None:
    """Who listens to a session that somebody removes is told, and the stream ends."""
    number = (await client.post("/api/v1/telemetry/start")).json()["session_id"]
    address = f"{served.url.replace('http', 'ws', 1)}/api/v1/live?session={number}"
    async with connect(address, additional_headers={"X-API-Key": SECRET}) as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
        assert (await client.delete(f"/api/v1/sessions/{number}")).status_code == 204
        told = json.loads(await socket.recv())
        assert (told["type"], told["id"], told["state"]) == ("session", number, "removed")
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()


@pytest.mark.promise("E11")
@pytest.mark.promise("E12")
@pytest.mark.promise("E13")
@pytest.mark.promise("E14")
async def test_a_session_by_hand(served: Gateway, client: httpx2.AsyncClient) -> None:
    """A session is made with name, car and driver, started and stopped by its number, listed with
    limit and offset, described anew and forgotten."""
    body = {"name": "Lap 1", "car_id": "ST", "driver": "Ada"}
    made = await client.post("/api/v1/sessions", json=body)
    assert made.status_code == 201
    session = made.json()
    assert isinstance(session["id"], int)
    one = f"/api/v1/sessions/{session['id']}"
    assert (await client.post(f"{one}/stop")).status_code == 409
    started = (await client.post(f"{one}/start")).json()
    assert (started["state"], started["car_id"]) == ("running", "ST")
    assert (await client.post(f"{one}/stop")).json()["state"] == "ended"
    assert (await client.post(f"{one}/start")).status_code == 409
    listed = (await client.get("/api/v1/sessions")).json()
    assert (listed["limit"], listed["offset"], len(listed["sessions"])) == (1000, 0, 4)
    second = (await client.get("/api/v1/sessions?limit=1&offset=1")).json()["sessions"]
    assert second == listed["sessions"][1:2]
    of_car = (await client.get(f"/api/v1/sessions?vin={VIN}")).json()["sessions"]
    assert [each["device"] for each in of_car] == ["esp-1"]
    changed = (await client.patch(one, json={"notes": "wet"})).json()
    assert (changed["notes"], changed["name"]) == ("wet", "Lap 1")
    assert (await client.delete(one)).status_code == 204
    assert (await client.get(one)).status_code == 404
    automatic = f"/api/v1/sessions/{of_car[0]['id']}"
    assert (await client.delete(automatic)).status_code == 409


@pytest.mark.promise("E15")
@pytest.mark.promise("E21")
async def test_signals_of_a_session(
    served: Gateway, client: httpx2.AsyncClient, database_url: str
) -> None:
    """Readings of a session come by time, in pages, filtered by source, channel and time."""
    (session,) = (await client.get("/api/v1/sessions?device=esp-1")).json()["sessions"]
    one = f"/api/v1/sessions/{session['id']}"
    await seal(database_url)
    answer = (await client.get(f"{one}/signals")).json()
    assert (answer["limit"], answer["offset"], len(answer["signals"])) == (1000, 0, 600)
    assert answer["next_offset"] is None
    assert answer["signals"][0] == {
        "timestamp": "2026-09-21T14:13:20.000Z",
        "source": "obd",
        "channel": "RPM",
        "value": 1800.0,
        "unit": "rpm",
        "state": 0,
        "time_ns": BEGIN_NS,
    }
    some = (
        await client.get(
            f"{one}/signals?sources=obd&channels=speed,throttle&limit=5&offset=3"
            "&start_time=2026-09-21T14:13:30Z&end_time=2026-09-21T14:13:40Z"
        )
    ).json()
    assert [s["time_ns"] // S - BEGIN_NS // S for s in some["signals"]] == [13, 14, 15, 16, 17]
    assert {s["channel"] for s in some["signals"]} == {"SPEED"}
    assert some["next_offset"] == 8
    assert (await client.get(f"{one}/signals?channels=warp")).status_code == 400
    assert (await client.get("/api/v1/sessions/99999/signals")).status_code == 404


async def test_figures_of_a_session(
    served: Gateway, client: httpx2.AsyncClient, database_url: str
) -> None:
    """Statistics, series and windows of a session are those of its readings."""
    (session,) = (await client.get("/api/v1/sessions?device=esp-2")).json()["sessions"]
    one = f"/api/v1/sessions/{session['id']}"
    statistics = (await client.get(f"{one}/statistics")).json()
    assert statistics["readings"] == 600
    assert statistics["drive"]["distance_m"] == pytest.approx(299 * 25)
    assert [(s["signal"], s["max"]) for s in statistics["signals"]] == [
        ("RPM", 4500 + 299),
        ("SPEED", 90),
    ]
    series = (await client.get(f"{one}/series?signal=RPM&points=50")).json()["series"]
    assert len(series[0]["values"]) <= 50
    assert series[0]["values"][-1] == 4799
    windows = (await client.get(f"{one}/aggregate?window_s=100&signal=SPEED")).json()["windows"]
    assert [w["count"] for w in windows] == [100, 100, 100]


@pytest.mark.promise("E32")
@pytest.mark.promise("E33")
@pytest.mark.promise("T10")
async def test_history_of_a_device(served: Gateway, client: httpx2.AsyncClient) -> None:
    """History, windows, series, statistics and latest values of a device are its own."""
    base = "/api/v1/devices/esp-1"
    page = (await client.get(f"{base}/history?signal=RPM&limit=2")).json()
    assert [(r["value"], r["name"]) for r in page["readings"]] == [(1800, "RPM"), (1801, "RPM")]
    rest = (await client.get(f"{base}/history?signal=RPM&after={page['next']}")).json()
    assert len(rest["readings"]) == 298
    (window,) = (await client.get(f"{base}/aggregate?signal=SPEED")).json()["windows"]
    assert (window["count"], window["min"], window["max"], window["avg"]) == (300, 36, 36, 36)
    found = (await client.get(f"{base}/statistics?start_ns={BEGIN_NS + 100 * S}")).json()
    assert [s["count"] for s in found["signals"]] == [200, 200]
    for path in ("history", "aggregate", "series", "statistics", "latest"):
        assert (await client.get(f"/api/v1/devices/nobody/{path}")).status_code == 404
        assert (await client.get(f"{base}/{path}")).status_code == 200
    assert (await client.get(f"{base}/history?after=x")).status_code == 400
    assert (await client.get("/api/v1/readings?device=esp-2")).json()["device"] == "esp-2"


async def test_latest_of_a_vehicle(served: Gateway, client: httpx2.AsyncClient) -> None:
    """The newest readings of a vehicle are those its devices took in it, and no other's."""
    async with served.pool.acquire() as connection:
        for device in ("esp-1", "esp-2"):
            for boot, signal in ((1, RPM), (2, SPEED)):
                await connection.execute(
                    "INSERT INTO latest (device, signal, boot, time_ns, value, state, written_ns)"
                    " VALUES ($1, $2, $3, $4, 7, 0, 0)",
                    device,
                    signal,
                    boot,
                    BEGIN_NS,
                )
    (newest,) = (await client.get(f"/api/v1/vehicles/{VIN}/latest")).json()["latest"]
    assert (newest["device"], newest["signal"], newest["value"]) == ("esp-1", "RPM", 7)
    of_device = (await client.get("/api/v1/devices/esp-2/latest")).json()["latest"]
    assert [each["signal"] for each in of_device] == ["RPM", "SPEED"]


@pytest.mark.promise("T06")
async def test_vehicles_and_trips(served: Gateway, client: httpx2.AsyncClient) -> None:
    """Vehicles are known by their sessions, and described; trips are found for each."""
    found = (await client.get("/api/v1/vehicles")).json()["vehicles"]
    assert [(v["vin"], v["devices"], v["sessions"]) for v in found] == [(VIN, ["esp-1"], 1)]
    told = {"name": "Ada's", "model": "Focus ST", "year": 2013}
    changed = (await client.put(f"/api/v1/vehicles/{VIN}", json=told)).json()
    assert (changed["model"], changed["year"], changed["devices"]) == ("Focus ST", 2013, ["esp-1"])
    other = "WF0DXXGAKDDK99999"
    assert (await client.get(f"/api/v1/vehicles/{other}")).status_code == 404
    assert (await client.put(f"/api/v1/vehicles/{other}", json={})).json()["devices"] == []
    trips = (await client.get("/api/v1/trips")).json()["trips"]
    assert {(t["device"], t["max_kmh"], t["vin"]) for t in trips} == {
        ("esp-1", 36.0, VIN),
        ("esp-2", 90.0, None),
    }
    (one,) = (await client.get(f"/api/v1/trips?vin={VIN}")).json()["trips"]
    detail = (await client.get(f"/api/v1/trips/{one['id']}")).json()
    assert detail["drive"]["distance_m"] == one["distance_m"] == pytest.approx(2990)
    again = (await client.post("/api/v1/trips/recompute?device=esp-1")).json()["trips"]
    assert again == [one]


async def test_nobody_sees_what_is_not_theirs(
    served: Gateway, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may see one device sees its sessions, trips and vehicle; of the others not even that
    they are there."""
    everything = (await client.get("/api/v1/sessions")).json()["sessions"]
    trips = (await client.get("/api/v1/trips")).json()["trips"]
    limited = Principal("bob", Role.OPERATOR, Kind.USER, scope=frozenset({"esp-2"}), user=7)

    async def admit(*_: object, **__: object) -> Principal:
        return limited

    monkeypatch.setattr(served.guard, "admit", admit)
    listed = (await client.get("/api/v1/sessions")).json()["sessions"]
    assert {s["device"] for s in listed} == {"esp-2"}
    assert (await client.get("/api/v1/sessions?device=esp-1")).json()["sessions"] == []
    assert {t["device"] for t in (await client.get("/api/v1/trips")).json()["trips"]} == {"esp-2"}
    assert (await client.get("/api/v1/vehicles")).json()["vehicles"] == []
    assert (await client.get(f"/api/v1/vehicles/{VIN}/latest")).json()["latest"] == []
    assert (await client.get("/api/v1/readings?device=esp-1")).json()["readings"] == []
    hidden = next(s["id"] for s in everything if s["device"] == "esp-1")
    hidden_trip = next(t["id"] for t in trips if t["device"] == "esp-1")
    refused = [
        ("GET", f"/api/v1/sessions/{hidden}"),
        ("GET", f"/api/v1/sessions/{hidden}/signals"),
        ("GET", f"/api/v1/sessions/{hidden}/statistics"),
        ("GET", f"/api/v1/sessions/{hidden}/series"),
        ("GET", f"/api/v1/sessions/{hidden}/aggregate"),
        ("PATCH", f"/api/v1/sessions/{hidden}"),
        ("DELETE", f"/api/v1/sessions/{hidden}"),
        ("POST", f"/api/v1/sessions/{hidden}/start"),
        ("POST", f"/api/v1/sessions/{hidden}/stop"),
        ("GET", f"/api/v1/trips/{hidden_trip}"),
        ("POST", "/api/v1/trips/recompute?device=esp-1"),
        ("POST", "/api/v1/telemetry/start"),
        ("POST", "/api/v1/telemetry/stop?device=esp-1"),
        ("GET", "/api/v1/telemetry/status?device=esp-1"),
        ("GET", "/api/v1/devices/esp-1/history"),
        ("GET", "/api/v1/devices/esp-1/latest"),
        ("GET", f"/api/v1/vehicles/{VIN}"),
        ("PUT", f"/api/v1/vehicles/{VIN}"),
    ]
    for method, path in refused:
        body = {} if method in ("PATCH", "PUT") else None
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 404, (method, path, answer.text)


async def test_the_command(
    served: Gateway, client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """`telerig sessions` lists, starts, stops and shows, for people and as JSON."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)

    async def run(*words: str, code: int = 0) -> str:
        args = parser.parse_args(["--url", served.url, "--secret", SECRET, *words])
        assert await asyncio.to_thread(COMMAND.run, args) == code
        told = capsys.readouterr()
        return told.err if code else told.out

    assert "automatic  ended (stopped)" in await run()
    started = await run("start", "--name", "Lap", "--driver", "Ada")
    assert "running" in started
    assert "Lap" in started
    assert "ended (stopped)" in await run("stop")
    assert "no session of car-1 runs" in await run("stop")
    (session,) = json.loads(await run("list", "--device", "esp-1", "--json"))["sessions"]
    shown = await run("show", str(session["id"]))
    assert "2.99 km (SPEED)" in shown
    assert "RPM" in shown
    assert "90 km/h" in await run("trips")
    assert len(
        json.loads(await run("--json", "trips", "--recompute", "--device", "esp-1"))["trips"]
    )
    assert "expected --device" in await run("trips", "--recompute", code=2)
    assert "the number of a session" in await run("show", "4242", code=1)
