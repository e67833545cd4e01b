"""A gateway in operation: metrics, request ids, TLS, reload, no database."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from server.config import GatewayConfig, parse_config
from server.errors import ConfigError
from server.gateway import Gateway
from server.operation.reload import Reload, changed_keys
from server.operation.tls import expires_ns, make_context
from server.serve import serve
from server.wire.telemetry_pb2 import EdgeRecord
from tests.server.operation.certificates import write_certificate
from tests.server.running import QUICK, gateway_config, running

LIVE = QUICK + "[database]\nenabled = false\n"
LINK = "[links.f]\nkind = 'fake'\n"
T = TypeVar("T")
TOKEN = "metrics-token-0123456789"


def live(text: str = "", http: str = "") -> GatewayConfig:
    """A configuration without a database."""
    whole = LIVE.replace("port = 0\n", f"port = 0\n{http}") + text
    return parse_config(whole, "telerig.toml", {})


async def soon(awaitable: Awaitable[T]) -> T:
    """Wait, but not for ever."""
    async with asyncio.timeout(10):
        return await awaitable


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def sample(text: str, name: str, **labels: str) -> float:
    """The value of one sample; every line has to be what Prometheus reads."""
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return float(found.value)
    raise AssertionError(f"no sample {name} {labels}")


@pytest.mark.promise("O11")
@pytest.mark.promise("O17")
async def test_metrics_of_a_run(run_gateway: Callable[..., Any]) -> None:
    """Links, pipeline, store, live stream, HTTP and process are told, and agree with the API."""
    async with (
        run_gateway(LINK) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        await until(lambda: gateway.pipeline.counts.stored > 20)
        await client.get("/nothing")
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = answer.text
    stored = sample(text, "telerig_readings_stored_total")
    assert 20 < stored <= sample(text, "telerig_readings_accepted_total")
    assert sample(text, "telerig_link_state", link="f", state="up") == 1
    assert sample(text, "telerig_link_state", link="f", state="down") == 0
    assert sample(text, "telerig_link_events_total", link="f", event="polls") > 20
    assert sample(text, "telerig_commits_total") >= 1
    assert sample(text, "telerig_store_failing", log="links") == 0
    assert sample(text, "telerig_database_connections_limit") == 5
    assert sample(text, "telerig_http_requests_total", path="other", status="404") == 1
    assert sample(text, "telerig_process_resident_memory_bytes") > 10_000_000
    assert sample(text, "telerig_live_clients") == 0
    for name in (
        "compactor_segments_total",
        "compactor_failing",
        "alerts_failing",
        "alerts_lost_total",
        "exports_running",
        "live_queued_bytes",
    ):
        assert sample(text, f"telerig_{name}") >= 0


async def test_who_may_read_metrics() -> None:
    """With a token only who has it; without one, not through a proxy."""
    async with (
        running(live(f"[metrics]\ntoken = '{TOKEN}'")) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        assert (await client.get("/metrics")).status_code == 401
        wrong = await client.get("/metrics", headers={"authorization": "Bearer wrong"})
        assert (wrong.status_code, TOKEN in wrong.text) == (401, False)
        right = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert right.status_code == 200
    async with (
        running(live()) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        assert (await client.get("/metrics")).status_code == 200
        refused = await client.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"})
        assert refused.status_code == 403


@pytest.mark.promise("O06")
@pytest.mark.promise("O07")
async def test_request_ids() -> None:
    """A sound id of the client comes back and stands in the log; others get one of ours."""
    with capture_logs() as lines:
        async with (
            running(live("[log]\nrequests = true\n")) as gateway,
            httpx2.AsyncClient(base_url=gateway.url) as client,
        ):
            given = await client.get("/health", headers={"X-Request-ID": "trace-7"})
            assert given.headers["x-request-id"] == "trace-7"
            bad = await client.get("/health", headers={"X-Request-ID": "a b"})
            made = bad.headers["x-request-id"]
            assert made.startswith(f"{gateway.boot:08x}-")
    told = [line for line in lines if line["event"] == "request"]
    assert [line["request_id"] for line in told] == ["trace-7", made]
    assert {line["log_level"] for line in told} == {"info"}


@pytest.mark.promise("X09")
async def test_tls_and_a_new_certificate(tmp_path: Path) -> None:
    """https and wss with the files of the configuration; a reload takes renewed ones."""
    cert, key = write_certificate(tmp_path, "first")
    config = live(http=f"tls_cert = '{cert}'\ntls_key = '{key}'\n")
    stop = asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()
    reload = Reload(lambda: config, ended=done.set)
    task = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result, reload=reload))
    gateway = await soon(ready)
    assert gateway.url.startswith("https://127.0.0.1:")
    async with httpx2.AsyncClient(verify=ssl.create_default_context(cafile=cert)) as client:
        assert (await client.get(f"{gateway.url}/health")).status_code == 200
    write_certificate(tmp_path, "second")
    reload.ask()
    await soon(done.wait())
    async with httpx2.AsyncClient(verify=ssl.create_default_context(cafile=cert)) as client:
        assert (await client.get(f"{gateway.url}/health")).status_code == 200
    key.write_text("no key", encoding="ascii")
    done.clear()
    with capture_logs() as lines:
        reload.ask()
        await soon(done.wait())
    assert "not reloaded" in [line["event"] for line in lines]
    async with httpx2.AsyncClient(verify=ssl.create_default_context(cafile=cert)) as client:
        assert (await client.get(f"{gateway.url}/health")).status_code == 200
    stop.set()
    await soon(task)


def test_tls_files_that_are_none(tmp_path: Path) -> None:
    """Each mistake is one line with the file's name."""
    cert, key = write_certificate(tmp_path)
    assert expires_ns(cert) > 10**18
    with pytest.raises(ConfigError, match=r"no\.pem: expected a file in PEM"):
        make_context(tmp_path / "no.pem", key)
    with pytest.raises(ConfigError, match="expected a certificate chain"):
        make_context(key, key)
    with pytest.raises(ConfigError, match="tls_key beside tls_cert"):
        live(http=f"tls_cert = '{cert}'\n")
    with pytest.raises(ConfigError, match="a certificate in PEM"):
        expires_ns(key)


def changed(lines: list[dict[str, Any]]) -> str:
    """What a reload says that it has done."""
    (line,) = [line for line in lines if line["event"] == "reloaded"]
    return str(line["changed"])


async def test_a_reload_exchanges_links() -> None:
    """Links that are as before go on; new ones start, others end; the rest needs a restart."""
    config = live(LINK + "[links.g]\nkind = 'fake'\nperiod_s = 1\n")
    stop = asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()
    next_config = [config]
    reload = Reload(lambda: next_config[0], ended=done.set)

    async def reloaded(new: GatewayConfig) -> list[dict[str, Any]]:
        next_config[0] = new
        done.clear()
        with capture_logs() as lines:
            reload.ask()
            await soon(done.wait())
        return list(lines)

    task = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result, reload=reload))
    gateway = await soon(ready)
    await until(lambda: gateway.pipeline.counts.accepted > 3)
    first = gateway.supervisors["f"]
    new = live(LINK + "[links.h]\nkind = 'fake'\n", http="connections = 7\n")
    lines = await reloaded(new)
    assert changed(lines) == "link g ended; link h started"
    (restart,) = [line for line in lines if line["event"] == "these changes need a restart"]
    assert restart["keys"] == "http.connections"
    assert gateway.supervisors["f"] is first
    assert sorted(gateway.supervisors) == ["f", "h"]
    await until(lambda: gateway.supervisors["h"].readings > 3)
    lines = await reloaded(live("[links.f]\nkind = 'fake'\nperiod_s = 0.01\n"))
    assert changed(lines) == "link h ended; link f restarted"
    assert gateway.supervisors["f"] is not first
    lines = await reloaded(gateway.config)
    assert changed(lines) == "nothing"
    stop.set()
    await soon(task)


async def test_a_reload_of_a_wrong_file_changes_nothing() -> None:
    """The reason is logged, and the gateway goes on."""
    config = live(LINK)

    def load() -> GatewayConfig:
        raise ConfigError("telerig.toml", 3, "a number", "string 'x'")

    stop, done = asyncio.Event(), asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    reload = Reload(load, ended=done.set)
    task = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result, reload=reload))
    gateway = await soon(ready)
    with capture_logs() as lines:
        reload.ask()
        await soon(done.wait())
    (line,) = [line for line in lines if line["event"] == "not reloaded"]
    assert line["reason"] == "telerig.toml:3: expected a number, found string 'x'"
    seen = gateway.pipeline.counts.accepted
    await until(lambda: gateway.pipeline.counts.accepted > seen)
    stop.set()
    await soon(task)


async def test_a_reload_by_request(database_url: str) -> None:
    """An admin is told what changed, what needs a restart, and why a wrong file changes nothing;
    the audit log says who asked."""
    secret = "a-secret-of-the-operator"

    def config_of(text: str) -> GatewayConfig:
        return gateway_config(database_url, f"{QUICK}[api]\nsecret = '{secret}'\n{text}")

    next_config: list[GatewayConfig] = [config_of(LINK)]

    def load() -> GatewayConfig:
        if not next_config:
            raise ConfigError("telerig.toml", 3, "a number", "string 'x'")
        return next_config[0]

    stop = asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    serving = serve(config_of(LINK), stop=stop, on_ready=ready.set_result, reload=Reload(load))
    task = asyncio.create_task(serving)
    gateway = await soon(ready)
    admin = {"x-api-key": secret}
    async with httpx2.AsyncClient(base_url=gateway.url, headers=admin) as client:
        next_config[0] = config_of("[links.g]\nkind = 'fake'\n[store]\nraw_days = 7\n")
        answer = await client.post("/api/v1/reload")
        assert answer.json() == {
            "changed": ["link f ended", "link g started"],
            "needs_restart": ["store.raw_days"],
            "others_told": False,
        }
        assert set(gateway.supervisors) == {"g"}
        both = await asyncio.gather(*(client.post("/api/v1/reload") for _ in range(2)))
        assert [one.json()["changed"] for one in both] == [[], []]
        next_config.clear()
        wrong = await client.post("/api/v1/reload")
        assert (wrong.status_code, wrong.json()["where"]) == (409, "telerig.toml:3")
        assert wrong.json()["expected"] == "a number"
        assert set(gateway.supervisors) == {"g"}
        viewer = await client.post("/api/v1/reload", headers={"x-api-key": ""})
        assert viewer.status_code in (401, 403)
        noted = (await client.get("/api/v1/audit")).json()["entries"]
    outcomes = [one["outcome"] for one in noted if one["action"] == "Read the configuration again"]
    assert "done" in outcomes
    stop.set()
    await soon(task)


async def test_a_gateway_made_by_a_program_has_nothing_to_read_again() -> None:
    """It says so instead of doing nothing."""
    text = "[api]\nsecret = 'a-secret-of-the-operator'\n"
    async with (
        running(live(text)) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        headers = {"x-api-key": "a-secret-of-the-operator"}
        answer = await client.post("/api/v1/reload", headers=headers)
    assert (answer.status_code, answer.json()["found"]) == (409, "one made by a program")


def test_what_differs_between_configurations() -> None:
    """Keys are named with their section."""
    a, b = live(), live("[control]\nstanding = []\n")
    assert changed_keys(a, b) == ["control.standing"]


@pytest.mark.promise("T15")
async def test_without_a_database() -> None:
    """Readings are shown live and counted; what needs the store says that nothing is kept."""
    key = "k" * 32
    text = LINK + f"[api]\ndevice_keys = ['esp-1:{key}']\n[compat]\ns4 = true\n"
    async with (
        running(live(text)) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers={"X-API-Key": key}) as client,
    ):
        await until(lambda: gateway.pipeline.counts.accepted > 5)
        ready = (await client.get("/ready")).json()
        assert (ready["ready"], ready["database"]["state"]) == (True, "off")
        assert "nothing is kept" in ready["database"]["reason"]
        reading = {"signal": "RPM", "value": 900.0, "time_ns": gateway.clock.now_ns()}
        taken = await client.post("/api/v1/ingest", json=reading)
        assert taken.status_code == 200, taken.text
        stored = await client.get("/api/v1/readings")
        assert stored.status_code in (401, 403, 503)
        record = EdgeRecord(timestamp=gateway.clock.now_ns() // 10**9, vehicle_vin="V1", speed=33.0)
        for expected in (1, 2):
            answer = await client.post(
                "/api/telemetry",
                content=record.SerializeToString() + b"",
                headers={"content-type": "application/x-protobuf"},
            )
            assert answer.status_code == 200, (expected, answer.text)
        assert answer.json()["transmitted_fields"] == 1
