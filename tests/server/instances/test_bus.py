"""The buses: what one gateway says the others hear, in order; what may be lost is said."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.clock import SystemClock
from server.instances.bus import framing
from server.instances.bus.base import Bus
from server.instances.bus.local import Exchange, LocalBus
from server.instances.bus.nats import NatsBus
from server.instances.bus.notify import CHANNEL, NotifyBus
from tests.server.instances.conftest import NatsServer
from tests.server.instances.door import Door, socket_of, until
from tests.server.operation.certificates import write_certificate

Make = Callable[[], Bus]


@pytest.fixture(params=["local", "notify", "nats"])
def make(request: pytest.FixtureRequest) -> Make:
    """What makes buses of one kind that hear each other."""
    if request.param == "local":
        exchange = Exchange()
        return lambda: LocalBus(exchange)
    if request.param == "notify":
        url = request.getfixturevalue("database_url")
        return lambda: NotifyBus(url, SystemClock(), 0.01)
    server = request.getfixturevalue("nats_server")
    return lambda: NatsBus(server.url, name="gw")


class Heard:
    """What a bus hears on a subject, and its gaps."""

    def __init__(self, bus: Bus, subject: str) -> None:
        self.messages: list[bytes] = []
        self.gaps: list[str] = []
        self.end = bus.subscribe(subject, self.messages.append)
        bus.on_gap.append(self.gaps.append)


async def grows(found: list[str]) -> None:
    """Return when there is one more."""
    before = len(found)
    await until(lambda: len(found) > before)


async def in_force(teller: Bus, *listeners: Bus) -> None:
    """Return when subscriptions that were made before are in force."""
    heard = [Heard(bus, "sync") for bus in listeners]
    while not all(one.messages for one in heard):
        teller.publish("sync", b"?")
        await asyncio.sleep(0.02)
    for one in heard:
        one.end()


async def test_messages_go_to_who_listens(make: Make) -> None:
    """In order, to every other gateway that listens to the subject, and not to the teller."""
    one, two, three = make(), make(), make()
    for bus in (one, two, three):
        await bus.start()
    at_two, at_three = Heard(two, "live.3"), Heard(three, "live.3")
    elsewhere, own = Heard(two, "live.4"), Heard(one, "live.3")
    await in_force(one, two, three)
    wanted = [f"{number} \0\xff".encode() for number in range(500)]
    for data in wanted:
        one.publish("live.3", data)
    await until(lambda: len(at_two.messages) == 500 == len(at_three.messages))
    assert at_two.messages == at_three.messages == wanted
    at_two.end()
    await in_force(one, two)
    one.publish("live.3", b"last")
    await until(lambda: len(at_three.messages) == 501)
    assert len(at_two.messages) == 500
    assert not elsewhere.messages
    assert not own.messages
    assert not at_two.gaps
    assert not one.failing
    assert two.counts.received_bytes >= sum(map(len, wanted))
    for bus in (one, two, three):
        await bus.close()


async def test_what_waits_is_sent_at_the_end(make: Make) -> None:
    """A close sends what was published before it."""
    one, two = make(), make()
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    await in_force(one, two)
    one.publish("live.0", b"farewell")
    await one.close()
    await until(lambda: heard.messages == [b"farewell"])
    await two.close()


async def test_too_long_a_message_is_dropped_and_the_others_know(make: Make) -> None:
    """It is counted; whoever listens learns with the next message that something is missing."""
    one, two = make(), make()
    if one.kind == "local":
        return
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    await in_force(one, two)
    one.publish("live.0", b"x" * one.limit_bytes)
    await until(lambda: len(heard.messages) == 1)
    one.publish("live.0", b"x" * (one.limit_bytes + 1))
    one.publish("live.0", b"next")
    await until(lambda: heard.gaps)
    assert one.counts.dropped == 1
    assert heard.messages[1:] == [b"next"]
    await one.close()
    await two.close()


# -- NOTIFY ------------------------------------------------------------------------------------


async def test_a_thousand_references_are_few_notifications(database_url: str) -> None:
    """All that is published within a tick travels together, below PostgreSQL's 8000 bytes."""
    one, two = (NotifyBus(database_url, SystemClock(), 0.01) for _ in range(2))
    await one.start()
    await two.start()
    heard = [Heard(two, f"live.{shard}") for shard in range(64)]
    payloads: list[str] = []
    listener = await asyncpg.connect(database_url)
    await listener.add_listener(CHANNEL, lambda *about: payloads.append(str(about[3])))
    await in_force(one, two)
    payloads.clear()
    for number in range(1000):
        one.publish(f"live.{number % 64}", f"vehicle-{number:030}:{number}".encode())
    await until(lambda: sum(len(each.messages) for each in heard) == 1000)
    assert len(payloads) <= 30
    assert max(len(payload.encode()) for payload in payloads) < 8000
    await listener.close()
    await one.close()
    await two.close()


async def test_nonsense_on_the_channel_is_counted(database_url: str) -> None:
    """Whoever else uses the channel: it is counted, and the rest goes on."""
    one, two = (NotifyBus(database_url, SystemClock(), 0.01) for _ in range(2))
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    connection = await asyncpg.connect(database_url)
    for text in ("", "{", ".0000", ".0000!!!!", ".0000AAAA", "?abc", "\x01 \x7f", "x" * 7999):
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
    await connection.close()
    one.publish("live.0", b"sense")
    await until(lambda: heard.messages == [b"sense"])
    assert two.counts.malformed == 5
    await one.close()
    await two.close()


async def test_connections_of_notify_are_cut(database_url: str) -> None:
    """It connects again, and says that something may have been lost."""
    one, two = (NotifyBus(database_url, SystemClock(), 0.01) for _ in range(2))
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
    await until(lambda: heard.gaps)
    await until(lambda: not one.failing and not two.failing)
    await in_force(one, two)
    one.publish("live.0", b"again")
    await until(lambda: heard.messages == [b"again"])
    await one.close()
    await two.close()


@contextlib.asynccontextmanager
async def pgbouncer(folder: Path, url: str, mode: str) -> AsyncIterator[str]:
    """Run one before the database; give the URL through it."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    parts = urlsplit(url)
    config = folder / "pgbouncer.ini"
    async with Door(socket_of(url)) as door:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={door.port} user={parts.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
            f"pool_mode = {mode}\nunix_socket_dir =\nlogfile =\nserver_tls_sslmode = disable\n"
            "ignore_startup_parameters = extra_float_digits, synchronous_commit\n"
        )
        # It refuses to be root.
        words = [program, *(["-u", "nobody"] if os.geteuid() == 0 else []), str(config)]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*words, stdout=quiet, stderr=quiet)
        try:
            yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        finally:
            process.kill()
            await process.wait()


async def test_a_pooler_that_keeps_sessions(database_url: str, tmp_path: Path) -> None:
    """Through it all is as without it; what is published does not come back either."""
    async with pgbouncer(tmp_path, database_url, "session") as url:
        one, two = (NotifyBus(url, SystemClock(), 0.01) for _ in range(2))
        own, heard = Heard(one, "live.0"), Heard(two, "live.0")
        await one.start()
        await two.start()
        await until(lambda: not one.failing and not two.failing)
        await in_force(one, two)
        one.publish("live.0", b"through it")
        await until(lambda: heard.messages == [b"through it"])
        assert not own.messages
        await one.close()
        await two.close()


async def test_a_pooler_that_swallows_notifications(database_url: str, tmp_path: Path) -> None:
    """A connection that does not keep LISTEN is noticed, and said with what to do."""
    async with pgbouncer(tmp_path, database_url, "transaction") as url:
        bus = NotifyBus(url, SystemClock(), 0.01)
        heard = Heard(bus, "live.0")
        await bus.start()
        await until(lambda: "pooler in transaction mode" in bus.failing)
        assert heard.gaps
        await bus.close()


# -- NATS --------------------------------------------------------------------------------------


async def test_nats_is_not_there_at_first() -> None:
    """The start goes on without it; from the moment when it is there messages travel."""
    server = NatsServer()
    one, two = NatsBus(server.url, name="a"), NatsBus(server.url, name="b")
    heard = Heard(two, "live.0")
    await one.start()
    await two.start()
    one.publish("live.0", b"nobody hears this")
    assert one.failing
    assert one.counts.dropped == 1
    await until(lambda: len(heard.gaps) >= 3)  # again and again
    try:
        server.start()
        await until(lambda: not one.failing and not two.failing)
        await in_force(one, two)
        one.publish("live.0", b"somebody does")
        await until(lambda: heard.messages == [b"somebody does"])
    finally:
        server.kill()
    await one.close()
    await two.close()


async def test_nats_is_killed_and_back(nats_server: NatsServer) -> None:
    """Both sides say gaps while it is away and one when it is back; subscriptions are renewed."""
    one, two = NatsBus(nats_server.url, name="a"), NatsBus(nats_server.url, name="b")
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    await in_force(one, two)
    wanted: list[bytes] = []
    for round_ in range(2):
        nats_server.kill()
        await until(lambda: one.failing and two.failing)
        one.publish("live.0", b"lost")
        await grows(heard.gaps)
        nats_server.start()
        await until(lambda: not one.failing and not two.failing)
        await in_force(one, two)
        wanted.append(f"{round_}".encode())
        one.publish("live.0", wanted[-1])
        await until(lambda: len(heard.messages) == len(wanted))
    assert heard.messages == wanted
    assert heard.gaps[-1] != heard.gaps[0]
    await one.close()
    await two.close()


async def test_a_network_that_swallows_everything(nats_server: NatsServer) -> None:
    """A server that says nothing more is away within seconds, though no connection is cut."""
    async with Door(("127.0.0.1", nats_server.port)) as door:
        bus = NatsBus(f"nats://127.0.0.1:{door.port}", name="a")
        heard = Heard(bus, "live.0")
        await bus.start()
        assert not bus.failing
        door.freeze()
        await until(lambda: bus.failing)
        door.open()
        await until(lambda: not bus.failing)
        assert heard.gaps
        await bus.close()


async def test_credentials_of_nats(caplog: pytest.LogCaptureFixture) -> None:
    """Those in the URL are used; wrong ones are told, and neither is shown."""
    server = NatsServer("--user", "rig", "--pass", "a-very-secret-word")
    server.start()
    try:
        address = f"127.0.0.1:{server.port}"
        right = NatsBus(f"nats://rig:a-very-secret-word@{address}", name="a")
        wrong = NatsBus(f"nats://rig:another-secret-word@{address}", name="b")
        await right.start()
        await wrong.start()
        assert not right.failing
        assert "authorization" in wrong.failing.lower()
        said = f"{right.place} {wrong.place} {wrong.failing} {caplog.text}"
        assert "secret" not in said
        assert address in right.place
        await right.close()
        await wrong.close()
    finally:
        server.kill()


async def test_tls_is_not_given_up(nats_server: NatsServer) -> None:
    """Where TLS is asked for, a server without it gets no credentials."""
    bus = NatsBus(f"nats+tls://rig:word@127.0.0.1:{nats_server.port}", name="a")
    await bus.start()
    assert "TLS" in bus.failing
    await bus.close()


async def test_nats_with_tls_and_a_small_limit(tmp_path: Path) -> None:
    """The server's certificate is checked, and its limit is kept."""
    cert, key = write_certificate(tmp_path, "127.0.0.1")
    config = tmp_path / "nats.conf"
    config.write_text(f'max_payload: 1000\ntls {{ cert_file: "{cert}", key_file: "{key}" }}\n')
    server = NatsServer("-c", str(config))
    server.start()
    try:
        url = f"nats+tls://127.0.0.1:{server.port}"
        stranger = NatsBus(url, name="a")
        await stranger.start()
        assert "certificate" in stranger.failing
        await stranger.close()
        one, two = (NatsBus(url, name=name, ca_file=cert) for name in ("a", "b"))
        await one.start()
        await two.start()
        assert not one.failing, one.failing
        heard = Heard(two, "live.0")
        await in_force(one, two)
        assert one.limit_bytes == 1000
        one.publish("live.0", b"x" * 1001)
        one.publish("live.0", b"x" * 1000)
        await until(lambda: heard.messages == [b"x" * 1000])
        assert not one.failing
        await one.close()
        await two.close()
    finally:
        server.kill()


async def test_who_takes_too_slowly_knows(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the client drops because too much waits is a gap; it goes on afterwards."""
    monkeypatch.setattr("server.instances.bus.nats.HEARD_MESSAGES", 10)
    one, two = NatsBus(nats_server.url, name="a"), NatsBus(nats_server.url, name="b")
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    await in_force(one, two)
    for number in range(5000):
        one.publish("live.0", b"%d" % number)
    await until(lambda: heard.gaps)
    assert len(heard.messages) < 5000
    one.publish("live.0", b"after it")
    await until(lambda: heard.messages[-1] == b"after it")
    await one.close()
    await two.close()


async def test_one_listener_that_fails_keeps_nothing_from_the_others(make: Make) -> None:
    """Whatever a listener raises is logged; the next one hears, and the next message too."""
    one, two = make(), make()

    def fail(data: bytes) -> None:
        raise ValueError(data)

    two.subscribe("live.0", fail)
    await one.start()
    await two.start()
    heard = Heard(two, "live.0")
    await in_force(one, two)
    for data in (b"1", b"2"):
        one.publish("live.0", data)
    await until(lambda: heard.messages == [b"1", b"2"])
    two.on_gap.insert(0, lambda reason: fail(reason.encode()))
    two.gap("for a reason")
    assert heard.gaps == ["for a reason"]
    await one.close()
    await two.close()


# -- framing -----------------------------------------------------------------------------------


def test_frames_are_bounded() -> None:
    """Whatever is put together fits in one notification, in order."""
    messages = [
        (f"live.{n % 64}", bytes([n % 256]) * (n * 7 % framing.LIMIT_BYTES)) for n in range(3000)
    ]
    frames = list(framing.packed(messages))
    texts = [framing.as_text(frame, n, is_complete=True) for n, frame in enumerate(frames)]
    assert max(map(len, texts)) <= framing.PAYLOAD_BYTES
    found = [part for text in texts for part in framing.unpacked(framing.from_text(text)[0])]
    assert found == messages


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """Each test ends its tasks."""
    yield
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, left
