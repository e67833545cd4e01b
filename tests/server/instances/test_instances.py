"""Several gateways on one database, from their configuration to their end."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx2
import pytest

from server.errors import NameTaken
from server.gateway import Gateway
from server.instances.bus.nats import NatsBus
from server.instances.cli import COMMAND, shown
from server.instances.members import Member, Members
from server.instances.shard import STORE
from tests.server.instances.conftest import NatsServer
from tests.server.instances.door import until

SECRET = "correct horse battery"
RunGateway = Callable[..., Any]


def table(name: str, more: str = "", bus: str = "notify") -> str:
    """The configuration of one of several gateways."""
    return (
        f"[gateway]\ndevice = 'car-{name}'\n[api]\nsecret = '{SECRET}'\n"
        f"[instances]\nname = '{name}'\nbus = '{bus}'\n{more}\n"
    )


async def ask(gateway: Gateway, path: str) -> Any:
    """Ask as the operator."""
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.get(gateway.url + path, headers={"X-API-Key": SECRET})
    assert answer.status_code == 200, answer.text
    return answer


def shards(*gateways: Gateway) -> list[int]:
    """How many each owns."""
    return [len(gateway.instances.status().shards) for gateway in gateways]


def run(*words: str) -> int:
    """Run the command in this process."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args(words))


async def test_two_gateways_and_what_they_tell(
    run_gateway: RunGateway,
    nats_server: NatsServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The API, the command and the metrics tell the same, until one is stopped and after that."""
    monkeypatch.setenv("TELERIG_API_SECRET", SECRET)
    bus = nats_server.url.replace("//", "//rig:hidden@")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            run_gateway(table("a", "url = 'http://10.0.0.7:8000'\nlease_s = 60", bus))
        )
        async with run_gateway(table("b", "lease_s = 60", bus)) as two:
            await until(lambda: shards(one, two) == [32, 32])
            await until(lambda: len(one.instances.members.living) == 2)
            status = (await ask(two, "/api/v1/instances")).json()
            assert [(each["name"], each["url"]) for each in status["living"]] == [
                ("a", "http://10.0.0.7:8000"),
                ("b", two.url),
            ]
            assert (status["name"], status["is_alone"], len(status["shards"])) == ("b", False, 32)
            assert abs(status["clock_ahead_s"]) < 10
            assert status["bus"]["kind"] == "nats"
            assert status["bus"]["place"] == nats_server.url
            one.instances.leases.renew_soon()
            await until(lambda: [m.shards for m in one.instances.members.living] == [32, 32])
            assert await asyncio.to_thread(run, "--url", one.url) == 0
            lines = capsys.readouterr().out.splitlines()
            assert lines[0].split()[:5] == ["name", "device", "url", "shards", "store"]
            assert lines[1].split()[:6] == [
                "a", "*", "car-a", "http://10.0.0.7:8000", "32", "yes",
            ]  # fmt: skip
            assert lines[2].split()[:4] == ["b", "car-b", two.url, "32"]
            assert f"nats at {nats_server.url}" in lines[3]
            assert await asyncio.to_thread(run, "--url", one.url, "--json") == 0
            assert json.loads(capsys.readouterr().out)["name"] == "a"
            metrics = (await ask(one, "/metrics")).text
            assert "telerig_instances_living 2.0" in metrics
            assert "telerig_shards_held 32.0" in metrics
            assert "telerig_store_held 1.0" in metrics
            assert "telerig_bus_failing 0.0" in metrics
            told = (json.dumps(status), *lines, metrics, repr(one.config))
            assert not any("hidden" in text for text in told)
        await until(lambda: shards(one) == [64])
        nats_server.kill()
        await until(lambda: one.instances.bus.failing)
        await until(lambda: one.instances.members.living[0].failing)
        assert await asyncio.to_thread(run, "--url", one.url) == 1
        assert "a: bus: " in capsys.readouterr().out


async def test_alone(run_gateway: RunGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Without [instances] everything is owned, nothing is written of it, and that is said."""
    async with run_gateway(f"[api]\nsecret = '{SECRET}'\n") as gateway:
        status = (await ask(gateway, "/api/v1/instances")).json()
        assert status["is_alone"]
        assert len(status["shards"]) == 64
        assert status["is_store_owner"]
        metrics = (await ask(gateway, "/metrics")).text
        assert "telerig_shards_held 64.0" in metrics
        assert "telerig_instances_living 1.0" in metrics
        assert await gateway.pool.fetchval("SELECT count(*) FROM instances") == 0
        assert await gateway.pool.fetchval("SELECT count(*) FROM leases WHERE token > 0") == 0
        assert shown(status) == "car-1 is alone (no [instances] in its configuration)"


async def test_a_second_gateway_of_one_name_does_not_start(run_gateway: RunGateway) -> None:
    """It says which one lives; the first one goes on."""
    async with run_gateway(table("a")) as first:
        with pytest.raises(NameTaken, match=re.escape(first.url)):
            async with run_gateway(table("a").replace("car-a", "car-b")):
                pass
        assert shards(first) == [64]


async def test_the_gateway_starts_without_nats(run_gateway: RunGateway) -> None:
    """It is ready, owns what it should, and says what is wrong."""
    server = NatsServer()
    async with run_gateway(table("a", bus=server.url)) as gateway:
        assert gateway.instances.bus.failing
        assert shards(gateway) == [64]
        assert (await ask(gateway, "/ready")).status_code == 200


async def test_fleets_on_one_nats_are_apart(
    run_gateway: RunGateway,
    empty_database_url: str,
    nats_server: NatsServer,
) -> None:
    """Subjects have a prefix that names the database."""
    async with (
        run_gateway(table("a", bus=nats_server.url)) as one,
        run_gateway(table("b", bus=nats_server.url)) as two,
        run_gateway(table("c", bus=nats_server.url), url=empty_database_url) as other,
    ):
        buses = [each.instances.bus for each in (one, two, other)]
        assert all(isinstance(bus, NatsBus) for bus in buses)
        prefixes = [bus.prefix for bus in buses if isinstance(bus, NatsBus)]
        assert prefixes[0] == prefixes[1] != prefixes[2]
        assert re.fullmatch(r"telerig\.[0-9a-f]{12}", prefixes[0])
        assert [len(each.instances.members.living) for each in (two, other)] == [2, 1]


async def test_the_store_has_a_new_owner_when_its_owner_stops(run_gateway: RunGateway) -> None:
    """Compaction goes on elsewhere, at once."""
    async with AsyncExitStack() as stack:
        async with run_gateway(table("a", "lease_s = 60")) as one:
            two = await stack.enter_async_context(run_gateway(table("b", "lease_s = 60")))
            assert STORE in one.instances.leases.held
            assert two.compactor._owned_token is None
        await until(lambda: two.compactor._owned_token)


# -- members -----------------------------------------------------------------------------------


def member(name: str, boot: int = 1, bus: str = "notify", failing: str = "") -> Member:
    """A gateway that lives."""
    return Member(name, boot, f"car-{name}", f"http://{name}", bus, failing, 0.0, 0.0)


def test_members_come_and_go() -> None:
    """Whoever joins or is gone is told, once; one that starts again is both."""
    members, told = Members(), []
    members.bus = "notify"
    members.on_change.append(
        lambda joined, gone: told.append(([m.name for m in joined], [m.name for m in gone]))
    )
    members.update([member("b"), member("a")])
    members.update([member("a"), member("b")])
    members.update([member("a", boot=2), member("b")])
    members.update([member("b")])
    assert told == [(["a", "b"], []), (["a"], ["a"]), ([], ["a"])]
    assert [each.name for each in members.living] == ["b"]


def test_a_gateway_with_another_bus_is_as_one_whose_bus_is_away() -> None:
    """It is said in words, and its commits are looked for in the database."""
    members = Members()
    members.bus = "nats"
    members.update([member("a", bus="nats"), member("b"), member("c", bus="nats", failing="away")])
    assert [each.failing for each in members.living] == [
        "",
        "it tells by notify, we listen to nats: give all one [instances] bus",
        "away",
    ]


# -- what stands in the way --------------------------------------------------------------------


async def test_the_fleet_is_named_without_rights(database_url: str) -> None:
    """An ordinary user of the database may ask for what keeps fleets apart."""
    from server.instances.lease_rows import _FLEET

    admin = await asyncpg.connect(database_url)
    await admin.execute("CREATE ROLE driver LOGIN; GRANT CONNECT ON DATABASE postgres TO driver")
    try:
        mine = await admin.fetchval(_FLEET)
        await admin.execute("SET ROLE driver")
        assert await admin.fetchval(_FLEET) == mine
    finally:
        await admin.execute("RESET ROLE; DROP OWNED BY driver; DROP ROLE driver")
        await admin.close()


def test_what_waits_for_a_person() -> None:
    """Each trouble is a line."""
    status = {
        "name": "a",
        "is_alone": False,
        "failing": "no answer",
        "clock_ahead_s": -3600.25,
        "living": [
            {
                "name": "b", "device": "car-b", "url": "http://b", "shards": 64,
                "is_store_owner": False, "bus": "nats", "failing": "no answer",
                "began_s": 100.0, "seen_s": 500.0,
            }
        ],
        "compactors": [
            {
                "name": "c", "device": "", "url": "", "shards": 0, "is_store_owner": False,
                "bus": "", "failing": "", "began_s": 480.0, "seen_s": 500.0,
            }
        ],
        "bus": {
            "kind": "notify", "place": "postgresql:///x", "sent": 1, "received": 2, "dropped": 3,
            "gaps": 4,
        },
        "feed": {
            "delivered": 1, "repaired": 1, "waiting": 0, "skipped": 0, "failing": "away",
        },
    }  # fmt: skip
    lines = shown(status).splitlines()
    assert lines[1].split() == ["b", "car-b", "http://b", "64", "7", "min", "away"]
    assert lines[2].split() == ["c", "(compacts)", "0", "20", "s"]
    assert lines[-5:] == [
        "a: leases cannot be renewed: no answer",
        "b: bus: no answer",
        "a: the database's clock is 3600.2 s behind this gateway's: synchronise both machines",
        "nobody compacts: start telerig compact, or have a gateway do it "
        '([store] compactor = "gateway")',
        "a: live stream: away",
    ]
