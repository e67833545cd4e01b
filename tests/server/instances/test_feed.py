"""What any gateway commits reaches clients of all gateways: in order, once, whatever gets lost."""

from __future__ import annotations

import asyncio
import json
import random
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from server.alerts.rule import RuleBody
from server.catalogue import by_name
from server.errors import StoreAway
from server.gateway import Gateway
from server.instances.catch_up import CatchUp
from server.instances.told import Told, packed, unpacked
from server.store.appends import Append, Appended, Piece
from server.store.body import Column, encode_columns
from tests.server.conftest import GatewayRunner
from tests.server.instances.conftest import NatsServer
from tests.server.instances.two import Heard, config_of, until

RPM = by_name("RPM").id
CAR, BOOT = "car-1", 7


def piece(seq: int, value: float, time_ns: int | None = None) -> Piece:
    """One reading."""
    now_ns = time.time_ns() if time_ns is None else time_ns
    body = encode_columns(now_ns, [Column(0, RPM, now_ns, [], struct.pack("<d", value))])
    return Piece(seq, seq, now_ns, now_ns, body, 1, 1, 0, 33, 33)


async def send(gateway: Gateway, seq: int, device: str = CAR, boot: int = BOOT) -> Appended:
    """Have a gateway take the reading of a device whose number is its value."""
    return await gateway.ingest.commit(Append(device, boot, [piece(seq, float(seq))]))


async def commit_only(gateway: Gateway, seq: int) -> None:
    """Commit a reading and die before anybody is told, as far as this commit is concerned."""
    await gateway.ingest.log.append(Append(CAR, BOOT, [piece(seq, float(seq))]))


def seqs(heard: Heard, device: str = CAR) -> list[int]:
    """Give the numbers of the readings of a device that have come, in their order."""
    return [
        row[0] for event in heard.events if event["device"] == device for row in event["readings"]
    ]


@pytest.fixture(params=["notify", "nats"])
def bus_env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Both ways in which gateways hear of each other."""
    if request.param == "notify":
        return {}
    server: NatsServer = request.getfixturevalue("nats_server")
    return {"TELERIG_INSTANCES_BUS": server.url}


@pytest.fixture
async def two(
    run_gateway: GatewayRunner, bus_env: dict[str, str]
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Gateways `a` and `b` that know each other."""
    async with (
        run_gateway(config_of("a"), bus_env) as a,
        run_gateway(config_of("b"), bus_env) as b,
    ):
        await until(lambda: len(a.instances.members.living) == 2)
        yield a, b


async def test_a_device_that_changes_gateways_is_seen_in_its_order_everywhere(
    two: tuple[Gateway, Gateway],
) -> None:
    """Each of 200 commits goes to either gateway: clients of both see all readings, in order."""
    heard = [Heard(gateway, "readings") for gateway in two]
    choice = random.Random(9)
    for seq in range(200):
        await send(two[choice.randrange(2)], seq)
        if seq % 10 == 0:
            await asyncio.sleep(0.005)
    await until(lambda: all(len(seqs(one)) >= 200 for one in heard))
    assert [seqs(one) for one in heard] == [list(range(200))] * 2


async def test_what_the_bus_loses_and_doubles_is_seen_in_order_once(
    two: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the messages is lost, a third comes twice: a client of the other gateway sees
    everything, once."""
    a, b = two
    publish = a.instances.bus.publish
    choice = random.Random(9)

    def unreliable(subject: str, data: bytes) -> None:
        for _ in range(choice.randrange(3)):
            publish(subject, data)

    monkeypatch.setattr(a.instances.bus, "publish", unreliable)
    heard = Heard(b, "readings")
    for seq in range(100):
        await send(a, seq)
        await asyncio.sleep(0.003)
    monkeypatch.undo()
    await send(a, 100)
    await until(lambda: len(seqs(heard)) >= 101)
    assert seqs(heard) == list(range(101))
    assert b.instances.feed.counts.repaired > 0


async def test_what_a_gateway_committed_before_it_died_is_seen_without_a_further_commit(
    run_gateway: GatewayRunner,
) -> None:
    """Nobody was told of the last commits of a gateway that is gone: the others look for them."""
    async with run_gateway(config_of("b")) as b:
        heard = Heard(b, "readings")
        async with run_gateway(config_of("a")) as a:
            await until(lambda: len(b.instances.members.living) == 2)
            await send(a, 0)
            await until(lambda: seqs(heard) == [0])
            await asyncio.sleep(0.4)  # what b compares after the start of a is over
            await commit_only(a, 1)
            await commit_only(a, 2)
        await until(lambda: seqs(heard) == [0, 1, 2])


async def test_without_nats_readings_come_through_the_database(
    run_gateway: GatewayRunner, nats_server: NatsServer
) -> None:
    """The bus is gone, comes back, and is gone again: clients see all readings in order, once."""
    env = {"TELERIG_INSTANCES_BUS": nats_server.url}
    async with run_gateway(config_of("a"), env) as a, run_gateway(config_of("b"), env) as b:
        await until(lambda: len(b.instances.members.living) == 2)
        heard = Heard(b, "readings")
        await send(a, 0)
        await until(lambda: seqs(heard) == [0])
        nats_server.kill()
        await until(lambda: a.instances.bus.failing and b.instances.bus.failing)
        for seq in range(1, 6):
            await send((a, b)[seq % 2], seq)
        await until(lambda: seqs(heard) == [0, 1, 2, 3, 4, 5])
        nats_server.start()
        await until(lambda: not a.instances.bus.failing and not b.instances.bus.failing)
        await send(a, 6)
        await until(lambda: seqs(heard) == [0, 1, 2, 3, 4, 5, 6])


async def test_a_gateway_to_which_nobody_listens_hears_of_nothing(
    run_gateway: GatewayRunner,
) -> None:
    """Without rules and listeners the others' commits cost nothing; with the first rule they do."""
    async with run_gateway(config_of("a")) as a, run_gateway(config_of("b")) as b:
        await until(lambda: len(b.instances.members.living) == 2)
        feed = b.instances.feed
        await send(a, 0)
        assert (feed.boots, len(feed.shards)) == (0, 0)
        await asyncio.sleep(0.5)  # by more than the clocks of the two seem to differ under load
        await b.alerts.add_rule(RuleBody(name="r", signal="RPM", condition=">", threshold=1), "me")
        assert len(feed.shards) == 32
        heard = Heard(b, "readings")
        await send(a, 1)
        await until(lambda: seqs(heard) == [1])


async def test_a_commit_whose_sender_has_gone_is_seen(two: tuple[Gateway, Gateway]) -> None:
    """A device that hangs up while its readings are committed: they are stored, and shown."""
    a = two[0]
    heard = [Heard(gateway, "readings") for gateway in two]
    await send(a, 0)
    await until(lambda: [seqs(one) for one in heard] == [[0]] * 2)
    await asyncio.sleep(0.4)  # what is compared when somebody begins to listen is over
    sending = asyncio.create_task(send(a, 1))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises((asyncio.CancelledError, StoreAway)):
        await sending
    await until(lambda: [seqs(one) for one in heard] == [[0, 1]] * 2)


async def test_a_client_that_goes_to_another_gateway_misses_and_doubles_nothing(
    two: tuple[Gateway, Gateway],
) -> None:
    """A program that follows `docs/live.md` loses its gateway, resumes at the other one, fetches
    what it is told to fetch, and has every reading once."""
    a, b = two
    got: dict[tuple[int, int, int], float] = {}
    came_twice = 0

    def take(boot: int, signal: int, time_ns: int, value: float) -> None:
        nonlocal came_twice
        key = boot, signal, time_ns  # what makes a reading of a device the same one
        came_twice += key in got
        got.setdefault(key, value)

    def take_message(message: dict[str, Any]) -> None:
        for _, signal, time_ns, value, *_ in message.get("readings", ()):
            take(message["boot"], signal, time_ns, value)

    last = 0
    address = "/api/v1/live?heartbeat=0"
    async with connect(f"ws{a.url[4:]}{address}") as socket:
        hello = json.loads(await socket.recv())
        for seq in range(5):
            await send(a, seq)
        while len(got) < 5:
            message = json.loads(await socket.recv())
            last = message.get("n", last)
            take_message(message)
    assert came_twice == 0
    for seq in range(5, 10):  # while it is away, at either gateway
        await send(two[seq % 2], seq)
    resume = f"{hello['stream']}-{last}"
    async with connect(f"ws{b.url[4:]}{address}&resume={resume}") as socket:
        for seq in range(10, 15):
            await send(two[seq % 2], seq)
        has_fetched = False
        live: list[float] = []
        async with asyncio.timeout(15):
            while len(got) < 15 or not has_fetched:
                message = json.loads(await socket.recv())
                if message["type"] == "gap":
                    # Of another stream: what counts is the newest reading that the client has.
                    assert message["start_ns"] is None
                    newest_ns = max(time_ns for _, _, time_ns in got)
                    path = message["fetch"].replace("{device}", CAR)
                    async with httpx2.AsyncClient(base_url=b.url) as http:
                        answer = await http.get(f"{path}&start_ns={newest_ns + 1}")
                    for row in answer.json()["readings"]:
                        take(row["boot"], row["signal"], row["time_ns"], row["value"])
                    has_fetched = True
                elif message["type"] == "readings":
                    live += [row[3] for row in message["readings"]]
                    take_message(message)
    assert list(got.values()) == [float(seq) for seq in range(15)]
    assert live == sorted(set(live))


async def test_readings_of_a_link_are_seen_at_other_gateways_after_their_commit(
    run_gateway: GatewayRunner,
) -> None:
    """A client elsewhere sees the link's readings in order and once, and the state of the link
    with the name of its gateway; the own gateway's clients see them once too."""
    link = '[links.obd]\nkind = "fake"\nperiod_s = 0.02\nlives = 40\n'
    async with run_gateway(config_of("b")) as b:
        there, states = Heard(b, "readings"), Heard(b, "link")
        async with run_gateway(config_of("a") + link) as a:
            here = Heard(a, "readings")
            await until(lambda: len(seqs(there, "a")) >= 40)
            await until(lambda: any(e["name"] == "obd" for e in states.events))
            assert {event["device"] for event in states.events} == {"a"}
            assert seqs(there, "a")[:40] == list(range(1, 41))
            found = seqs(here, "a")
            assert found == list(range(found[0], found[0] + len(found)))
        await until(lambda: states.events[-1]["state"] == "unknown")


async def test_what_was_compacted_meanwhile_is_told_as_a_gap(
    run_gateway: GatewayRunner, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that heard nothing for so long that the hot log is empty again tells its clients
    what they miss, and where it is."""
    text = "[store]\ncompact_after_s = 0.05\n"
    env = {"TELERIG_INSTANCES_BUS": nats_server.url}
    async with (
        run_gateway(config_of("a", text), env) as a,
        run_gateway(config_of("b", text), env) as b,
    ):
        await until(lambda: len(b.instances.members.living) == 2)
        heard, gaps = Heard(b, "readings"), Heard(b, "gap")
        await send(a, 0)
        await until(lambda: seqs(heard) == [0])
        monkeypatch.setattr(CatchUp, "compare", _nothing)
        monkeypatch.setattr(a.instances.bus, "publish", lambda subject, data: None)
        for seq in range(1, 4):
            await send(a, seq)
        async with a.pool.acquire() as connection:
            async with asyncio.timeout(15):
                while await connection.fetchval("SELECT count(*) FROM hot WHERE device = $1", CAR):
                    a.compactor.committed(1)
                    b.compactor.committed(1)
                    await asyncio.sleep(0.05)
        monkeypatch.undo()
        await send(a, 4)
        await until(lambda: seqs(heard) == [0, 4])
        (gap,) = gaps.events
        assert (gap["device"], gap["boot"]) == (CAR, BOOT)
        async with httpx2.AsyncClient(base_url=b.url) as http:
            answer = await http.get(gap["fetch"])
        assert [found["value"] for found in answer.json()["readings"]][:4] == [0, 1, 2, 3]


async def _nothing(*_: object) -> bool:
    return True


def test_a_message_is_not_longer_than_the_bus_takes() -> None:
    """Turns go into as many messages as need be; one that does not fit goes without its rows."""
    turns = [Told(CAR, BOOT, turn, 1, "", [(turn, bytes(100 * turn))]) for turn in range(1, 30)]
    messages = packed(turns, 1000, with_rows=True)
    assert max(map(len, messages)) <= 1000
    found = [turn for message in messages for turn in unpacked(message)]
    assert [turn.turn for turn in found] == list(range(1, 30))
    assert [turn.rows is None for turn in found] == [turn >= 10 for turn in range(1, 30)]


async def test_a_message_that_is_none_is_counted_and_the_next_is_taken(
    two: tuple[Gateway, Gateway],
) -> None:
    """Bytes that are no message, and a body that cannot be read, keep nothing else out."""
    a, b = two
    heard = Heard(b, "readings")
    await send(a, 0)
    await until(lambda: seqs(heard) == [0])
    take: Callable[[bytes], None] = b.instances.feed._take_message
    take(b"\xc1 no message")
    for message in packed([Told(CAR, BOOT, 2, 1, "", [(1, b"\x02 no body")])], 9999, True):
        take(message)
    assert b.instances.feed.counts.bad == 2
    await send(a, 1)  # turn 2 in truth: b has had one of that number
    await send(a, 2)
    await until(lambda: seqs(heard)[-1:] == [2])
