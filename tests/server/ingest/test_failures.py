"""What a device has been told is stored, is; whatever breaks in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs

from server.clock import SystemClock
from server.devices.registry import Registry
from server.gateway import Gateway
from server.ingest.turns import ALWAYS_TAKEN
from server.store import devicelog
from server.store.connection import connect
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate
from server.wire.telemetry_pb2 import Downlink, Readings
from tests.server.ingest.conftest import NOW_NS, Sender, rows, stored, values
from tests.server.ingest.logger import Logger, truth
from tests.server.running import gateway_config, running

KILLED = """
import asyncio, os, signal, sys
from server.config import parse_config
from server.ingest.service import Ingest
from server.serve import serve

commit, left = Ingest.commit, int(sys.argv[2])

async def commit_and_die(self, append):
    global left
    appended = await commit(self, append)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # committed, not answered
    return appended

Ingest.commit = commit_and_die
config = parse_config("[http]\\nport = 0\\n", "f", {}).with_database_url(sys.argv[1])
ready = lambda gateway: print(gateway.url, flush=True)
asyncio.run(serve(config, stop=asyncio.Event(), on_ready=ready))
"""


def batch(seq: int, size: int) -> bytes:
    """Readings whose values are their own numbers."""
    message = Readings(boot=1, seq=seq)
    message.columns.add(
        signal="RPM",
        first_time_ns=NOW_NS - 10**12 + seq * 1000,
        step_ns=[1000],
        values=struct.pack(f"<{size}d", *range(seq, seq + size)),
    )
    return message.SerializeToString()


async def start(script: Path, url: str, commits: int) -> tuple[asyncio.subprocess.Process, str]:
    """Start a gateway that dies after so many commits."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), url, str(commits), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while not (line := await process.stdout.readline()).startswith(b"http"):
            assert line, "the gateway ended before it was ready"
        return process, line.decode().strip()


async def test_killed_between_commit_and_answer(database_url: str, tmp_path: Path) -> None:
    """A gateway that is killed after each few commits loses and doubles nothing: devices send
    again what was not answered, readings and packets alike."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    async with running(gateway_config(database_url)) as gateway:
        _, minted = await gateway.registry.register("esp-1")
    logger = Logger(9)
    waiting: list[tuple[str, bytes]] = []
    for number in range(8):
        waiting.append(("/ingest/batch", batch(1 + number * 10, 15)))  # overlapping, too
        waiting.append(("/uplink", logger.uplink(logger.drive(80))))
    deaths = 0
    while waiting:
        process, url = await start(script, database_url, 3)
        sender = Sender(url, minted.key)
        try:
            while waiting:
                answer = await sender.post(*waiting[0])
                assert answer.status_code == 200, answer.text
                waiting.pop(0)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            deaths += 1
        finally:
            await sender.http.aclose()
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert deaths >= 4
    found = await stored(database_url)
    plain = [r for r in found if r.boot == 1]
    assert [r.seq for r in plain] == values(plain) == list(range(1, 86))
    packed = {(r.signal, r.time_ns) for r in found if r.boot == 9}
    assert packed == set(truth(640))
    assert len(found) == 85 + len(truth(640))
    (days,) = await rows(database_url, "SELECT sum(readings)::int AS readings FROM device_days")
    assert days["readings"] == len(found)


def socket_dir(url: str) -> str:
    """Where the sockets of a server are."""
    return parse_qs(urlsplit(url).query)["host"][0]


async def test_database_away_and_back(tmp_path: Path) -> None:
    """While the database is away requests get 503 with Retry-After; afterwards all is stored."""
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    place = tmp_path / "sockets"  # a server that starts again has them elsewhere
    place.symlink_to(socket_dir(server.start()))
    url = f"postgresql://postgres@/postgres?host={place}"
    try:
        async with running(gateway_config(url)) as gateway:
            _, minted = await gateway.registry.register("esp-1")
            sender = Sender(gateway.url, minted.key)
            logger = Logger(9)
            logger.drive(100)
            assert (await sender.post("/ingest/batch", batch(1, 10))).status_code == 200
            assert (await sender.post("/uplink", logger.uplink())).status_code == 200
            await asyncio.to_thread(server.stop)
            logger.drive(100)
            for body in (batch(11, 10), batch(21, 10)):
                answer = await sender.post("/ingest/batch", body)
                assert answer.status_code == 503
                assert answer.json()["where"] == "database"
                assert int(answer.headers["retry-after"]) >= 1
            answer = await sender.post("/uplink", logger.uplink())
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            place.unlink()
            place.symlink_to(socket_dir(await asyncio.to_thread(server.start)))
            for body in (batch(11, 10), batch(21, 10)):
                for _ in range(3):
                    answer = await sender.post("/ingest/batch", body)
                    if answer.status_code == 200:
                        break
                assert answer.status_code == 200, answer.text
            answer = await sender.post("/uplink", logger.uplink())
            assert answer.status_code == 200, answer.text
            assert Downlink.FromString(answer.content).ack == len(logger.packets)
            await sender.http.aclose()
        found = await stored(url)
        assert values(r for r in found if r.boot == 1) == list(range(1, 31))
        assert {(r.signal, r.time_ns) for r in found if r.boot == 9} == set(truth(200))
        assert len(found) == 30 + len(truth(200))
    finally:
        server.stop()


FULL = """
CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON hot EXECUTE FUNCTION full_disk();
"""


async def test_ready_while_commits_of_devices_fail(
    gateway: Gateway, sender: Sender, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that answers and takes no rows is not ready, until a commit succeeds."""
    monkeypatch.setattr(devicelog, "TRIAL_S", 0.05)

    async def ready() -> tuple[int, str]:
        answer = await sender.http.get("/ready")
        return answer.status_code, answer.json()["database"]["reason"]

    connection = await connect(database_url)
    assert (await sender.post("/ingest/batch", batch(1, 10))).status_code == 200
    before = await connection.fetch("SELECT * FROM sessions")
    await connection.execute(FULL)
    assert (await sender.post("/ingest/batch", batch(11, 10))).status_code == 503
    for _ in range(5):
        assert await ready() == (503, "could not extend file")
        await asyncio.sleep(0.05)
    await connection.execute("DROP TRIGGER full_disk ON hot")
    async with asyncio.timeout(20):
        # No device sends: the gateway tries by itself.
        while (await ready())[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await sender.post("/ingest/batch", batch(11, 10))).status_code == 200
    assert [reading.seq for reading in await stored(database_url)] == list(range(1, 21))
    assert await connection.fetch("SELECT * FROM sessions") == before
    assert await connection.fetchval("SELECT count(*) FROM hot WHERE device = ''") == 0
    await connection.execute(FULL)
    assert (await sender.post("/ingest/batch", batch(21, 10))).status_code == 503
    await connection.execute("DROP TRIGGER full_disk ON hot")
    assert (await sender.post("/ingest/batch", batch(21, 10))).status_code == 200
    assert await ready() == (200, "")
    await connection.close()


async def test_fifty_devices_at_once(gateway: Gateway, database_url: str) -> None:
    """Fifty devices send readings and packets at once, each with losses and repetitions."""
    chance = random.Random(3)

    async def drive(number: int) -> None:
        name = f"esp-{number}"
        _, minted = await gateway.registry.register(name)
        sender = Sender(gateway.url, minted.key)
        logger = Logger(1000 + number, name)
        for step in range(3):
            logger.drive(40)
            for _ in range(chance.choice((1, 2))):
                answer = await sender.post("/ingest/batch", batch(1 + 10 * step, 10))
                assert answer.status_code == 200, answer.text
                answer = await sender.post("/uplink", logger.uplink(hello=step == 0))
                assert answer.status_code == 200, answer.text
            logger.hear(answer.content)
        await sender.http.aclose()

    await asyncio.gather(*map(drive, range(50)))
    for number in range(50):
        found = await stored(database_url, f"esp-{number}")
        plain = [r for r in found if r.boot == 1]
        packed = [r for r in found if r.boot == 1000 + number]
        assert values(plain) == list(range(1, 31))
        assert {(r.signal, r.time_ns) for r in packed} == set(truth(120))
        assert len(packed) == len(truth(120))


async def test_a_stop_answers_what_it_took(database_url: str) -> None:
    """Requests on their way when the gateway stops are answered, or were never taken."""
    async with running(gateway_config(database_url)) as gateway:
        _, minted = await gateway.registry.register("esp-1")
        sender = Sender(gateway.url, minted.key)
        requests = [
            asyncio.create_task(sender.post("/ingest/batch", batch(1 + 10 * n, 10)))
            for n in range(20)
        ]
        await asyncio.sleep(0.02)
    answers = await asyncio.gather(*requests, return_exceptions=True)
    taken = sum(getattr(answer, "status_code", 0) == 200 for answer in answers)
    assert len(await stored(database_url)) >= 10 * taken
    await sender.http.aclose()


async def test_an_overloaded_gateway_tells_devices_to_come_again(
    gateway: Gateway, sender: Sender, database_url: str
) -> None:
    """What would be answered too late is refused at once, whatever its form, and taken later."""
    turns = gateway.ingest.turns
    logger = Logger(9)
    logger.drive(100)
    messages = [
        ("/ingest", batch(1, 1)),
        ("/ingest/batch", batch(2, 10)),
        ("/uplink", logger.uplink()),
    ]
    with contextlib.ExitStack() as others:
        for _ in range(ALWAYS_TAKEN):
            others.enter_context(turns.let_in())
        with turns.let_in():
            await asyncio.sleep(0.2)  # so slowly is one done: 64 would take 7 s
        for path, body in messages:
            answer = await sender.post(path, body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "messages are under way" in answer.json()["found"]
    assert turns.refused == len(messages)
    assert await stored(database_url) == []
    for path, body in messages:
        assert (await sender.post(path, body)).status_code == 200
    assert len(await stored(database_url)) == 11 + len(truth(100))


async def test_the_registry_is_asked_without_a_database(database_url: str) -> None:
    """A gateway that never reached the registry answers 503, not 401: the key may be good."""
    connection = await connect(database_url)
    await migrate(connection, SystemClock())
    await connection.close()
    async with running(gateway_config(database_url)) as gateway:
        connection = await connect(database_url)
        await connection.execute("ALTER TABLE devices RENAME TO away")
        await connection.close()
        sender = Sender(gateway.url, "vtg_dev_x_" + "a" * 43 + "_000000")
        assert isinstance(gateway.registry, Registry)
        answer = await sender.post("/ingest/batch", batch(1, 1))
        assert answer.status_code == 503, answer.text
        await sender.http.aclose()


async def test_a_stop_answers_what_still_waits(database_url: str) -> None:
    """A commit that takes longer than a stop waits is answered 503, and the device sends again."""
    holder = await connect(database_url)
    lock = holder.transaction()
    with capture_logs() as lines:
        async with running(gateway_config(database_url)) as gateway:
            _, minted = await gateway.registry.register("esp-1")
            sender = Sender(gateway.url, minted.key)
            assert (await sender.post("/ingest/batch", batch(1, 5))).status_code == 200
            await lock.start()
            await holder.execute("LOCK TABLE device_boots")
            waiting = asyncio.gather(
                *(sender.post("/ingest/batch", batch(seq, 5)) for seq in (6, 11))
            )
            waiting.add_done_callback(lambda _: asyncio.ensure_future(lock.rollback()))
            await asyncio.sleep(0.3)
        answers = await waiting
    await sender.http.aclose()
    assert [(one.status_code, one.headers["retry-after"]) for one in answers] == [(503, "2")] * 2
    assert answers[0].json()["found"] == "one that stops"
    assert not [line for line in lines if "exc_info" in line or "exception" in line]
    await holder.close()
