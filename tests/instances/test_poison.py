"""Messages and rows that nobody can read: counted, said, left out; the rest goes on."""

from __future__ import annotations

import random

import asyncpg
import nats
from nats.aio.msg import Msg

from tests.instances.conftest import DEVICES, Fleet
from tests.instances.engines import Nats
from tests.instances.gateways import GatewayProcess
from tests.instances.listener import Listener
from tests.instances.load import BOOT, Load
from tests.instances.stored import check_store

# As a commit of a gateway, but for what stands in its row.
POISON_ROW = """
    WITH boot AS (
        UPDATE device_boots SET turn = turn + 1 WHERE device = $1 AND boot = $2 RETURNING turn
    )
    INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,
                     written_ns, body, cycle, slot, turn)
    SELECT device, boot, 4000000000, 4000000004, session_id, time_min_ns, time_max_ns, written_ns,
           $3, cycle, slot, (SELECT turn FROM boot)
    FROM hot WHERE device = $1 AND boot = $2 AND EXISTS (SELECT FROM boot)
    ORDER BY hot.turn DESC LIMIT 1
"""


async def test_a_row_that_cannot_be_read(fleet: Fleet) -> None:
    """A damaged turn between good ones keeps nothing else from anybody."""
    one, two = await fleet.start("gw-a", "gw-b")
    connection = await asyncpg.connect(fleet.database_url)
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, [(one.host, one.port), (two.host, two.port)], hops=True) as load,
    ):
        await load.grows_by(len(DEVICES) * 20)
        for device in DEVICES[:8]:
            await connection.execute(POISON_ROW, device, BOOT, b"\xde\xad\xbe\xef")
        await load.grows_by(len(DEVICES) * 30)
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    assert await connection.execute("DELETE FROM hot WHERE seq_first = 4000000000") == "DELETE 8"
    await connection.close()
    await check_store(fleet.database_url, load)
    for gateway in (one, two):
        assert (await gateway.metrics())["telerig_feed_bad_total"] >= 8
        assert "left out" in gateway.log
        assert "Traceback" not in gateway.log


async def test_nonsense_on_nats(fleet: Fleet) -> None:
    """Messages cut anywhere, and noise, on the very subjects that gateways listen to."""
    server = Nats(fleet.children)
    server.start()
    one, two = await fleet.start("gw-a", "gw-b", bus=server.url)
    heard: list[tuple[str, bytes]] = []

    async def hear(message: Msg) -> None:
        heard.append((message.subject, message.data))

    client = await nats.connect(server.url)
    await client.subscribe("telerig.>", cb=hear)
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, [(one.host, one.port), (two.host, two.port)]) as load,
    ):
        await load.grows_by(len(DEVICES) * 20)
        chance = random.Random(9)
        assert heard
        for subject, data in list(heard)[:50]:
            for cut in range(0, len(data), 7):
                await client.publish(subject, data[:cut])
            await client.publish(subject, chance.randbytes(200))
            await client.publish(subject, b"")
        await client.flush()
        await load.grows_by(len(DEVICES) * 20)
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    await client.close()
    await check_store(fleet.database_url, load)
    _go_on(one, two)


async def test_nonsense_on_notify(fleet: Fleet) -> None:
    """The same on the channels of PostgreSQL, for the bus and for what changes rarely."""
    one, two = await fleet.start("gw-a", "gw-b")
    connection = await asyncpg.connect(fleet.database_url)
    heard: list[tuple[str, str]] = []
    for channel in ("telerig_live", "telerig_changes"):
        await connection.add_listener(
            channel, lambda _c, _pid, channel, payload: heard.append((channel, payload))
        )
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, [(one.host, one.port), (two.host, two.port)]) as load,
    ):
        await load.grows_by(len(DEVICES) * 20)
        texts = ["", "{", "live.3", "devices", "users 7", "no_such_thing 1", "\x01\x7f", "x " * 999]
        for channel in ("telerig_live", "telerig_changes"):
            texts += [payload[: len(payload) // 2] for _, payload in heard[:20]]
            for text in texts:
                await connection.execute("SELECT pg_notify($1, $2)", channel, text)
        assert heard
        await load.grows_by(len(DEVICES) * 20)
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    await connection.close()
    await check_store(fleet.database_url, load)
    _go_on(one, two)


def _go_on(*gateways: GatewayProcess) -> None:
    for gateway in gateways:
        assert gateway.is_alive
        assert "Traceback" not in gateway.log, gateway.log
