"""What changes on one gateway is known on the others: keys, people, commands, sessions, reloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from server.alerts.alert import SilenceBody
from server.alerts.rule import RuleBody
from server.alerts.target import TargetBody
from server.answers import Refusal
from server.api.role import Role
from server.app import make_app
from server.catalogue import Signal
from server.config import GatewayConfig
from server.control.control import QUEUE_LIMIT
from server.errors import CommandRefused
from server.gateway import Gateway
from server.live.selection import Selection
from server.operation.reload import Reload
from server.serve import serve
from server.store.signals import keep_signals
from server.users.accounts import Changes as AccountChanges
from server.users.principal import OPERATOR_SECRET
from server.users.tickets import TICKETS_LIMIT_EACH
from server.wire.telemetry_pb2 import CommandResult, Downlink
from tests.server.ingest.logger import Logger
from tests.server.instances.two import Heard, config_of, two_gateways, until, until_true
from tests.server.running import QUICK, gateway_config
from tests.server.told import Told
from tests.server.users.asking import Asker
from tests.server.users.conftest import PASSWORD

Pair = tuple[Gateway, Gateway]
DONE = CommandResult.Status.DONE
LINKS = "/api/v1/links"
_RULE = RuleBody(name="fast", signal="RPM", condition="gt", threshold=6000)


@pytest.fixture
async def pair(run_gateway: Callable[..., Any]) -> AsyncIterator[Pair]:
    """Two gateways that trust nobody for being on this machine."""
    async with two_gateways(run_gateway, {"TELERIG_USERS_LOCAL_ROLE": "none"}) as both:
        yield both


def asker(gateway: Gateway) -> Asker:
    """Who asks that gateway."""
    return Asker(make_app(gateway))


async def test_keys(pair: Pair) -> None:
    """A device of one gateway is one of the other at once, and none as soon as its key is revoked;
    a stream that was opened with the key ends there."""
    a, b = pair
    _, minted = await a.registry.register("esp-1")
    # Whether the notification was here or not: a device may come sooner than it.
    found = await b.registry.identify(minted.key)
    assert found is not None
    assert found[1] == minted.id
    who = await b.guard.identify(_connection({"x-api-key": minted.key}), or_device=True)
    ended: list[str] = []
    with b.guard.holding(who, lambda: ended.append("stream")):
        await a.registry.revoke("esp-1", minted.id)
        await until(lambda: ended)
    assert await b.registry.identify(minted.key) is None
    assert b.registry.why_refused(minted.key).why == "revoked"
    second = await b.registry.rotate("esp-1")
    assert await a.registry.identify(second.key) is not None
    await b.registry.deactivate("esp-1")
    await until(lambda: a.registry.why_refused(second.key).why == "of a deactivated device")


async def test_people(pair: Pair) -> None:
    """Who signs in on one gateway is known to the other, with cookie, token, refresh token and
    ticket; a role counts there soon, and who is signed out everywhere is out everywhere."""
    a, b = pair
    await a.users.accounts.create("ada", PASSWORD, Role.ADMIN)
    bob = await a.users.accounts.create("bob", PASSWORD, Role.OPERATOR)
    _, cookie = await a.users.sessions.open(bob, "browser", "", "")
    assert await b.users.sessions.of_cookie(cookie) is not None
    session, refresh = await a.users.sessions.open(bob, "token", "", "")
    bearer = {"authorization": f"Bearer {await a.users.tokens.issue(session)}"}
    assert (await asker(b).ask("GET", LINKS, bearer)).status == 200
    renewed = await b.users.sessions.renew(refresh)
    assert renewed is not None
    assert await a.users.sessions.number_of(renewed[1]) == session.id
    who = await b.guard.identify(_connection(bearer))
    ticket = await a.users.give_ticket(who)
    assert await b.users.take_ticket(ticket) == who
    assert await a.users.take_ticket(ticket) is None
    ended: list[str] = []
    with b.guard.holding(who, lambda: ended.append("stream")):
        await a.users.accounts.change("bob", AccountChanges(role=Role.VIEWER))
        await until(lambda: ended)
    assert (await b.guard.identify(_connection(bearer))).role is Role.VIEWER
    await a.users.sessions.end([s.id for s in a.users.sessions.of_user(bob.id)])

    async def is_out() -> bool:
        return (await asker(b).ask("GET", LINKS, bearer)).status == 401

    await until_true(is_out)
    assert await b.users.sessions.of_cookie(cookie) is None


async def test_a_leaked_key_of_tokens(pair: Pair) -> None:
    """Where the key of tokens has leaked, streams of users end on every gateway, and tickets."""
    a, b = pair
    ada = await a.users.accounts.create("ada", PASSWORD, Role.ADMIN)
    session, _ = await a.users.sessions.open(ada, "token", "", "")
    bearer = {"authorization": f"Bearer {await a.users.tokens.issue(session)}"}
    who = await b.guard.identify(_connection(bearer))
    ticket = await b.users.give_ticket(who)
    ended: list[str] = []
    with b.guard.holding(who, lambda: ended.append("stream")):
        await a.users.tokens.rotate(end_others=False)
        await until(lambda: len(b.users.directory.keys) == 2)
        assert ended == []
        await a.users.tokens.rotate(end_others=True)
        await until(lambda: ended)
    assert await b.users.take_ticket(ticket) is None
    assert (await asker(b).ask("GET", LINKS, bearer)).status == 401


async def test_shared_tickets(pair: Pair) -> None:
    """They are bounded for each who asks, over all gateways, and end with their time."""
    a, b = pair
    late = await a.users.give_ticket(OPERATOR_SECRET)
    await a.pool.execute("UPDATE tickets SET expires_ns = 1")
    assert await b.users.take_ticket(late) is None
    for number in range(TICKETS_LIMIT_EACH):
        last = await pair[number % 2].users.give_ticket(OPERATOR_SECRET)
    with pytest.raises(Refusal, match="at most 100 tickets"):
        await b.users.give_ticket(OPERATOR_SECRET)
    assert await a.users.take_ticket(last + "x") is None
    assert await a.users.take_ticket(last) == OPERATOR_SECRET
    assert await b.users.give_ticket(OPERATOR_SECRET)


@pytest.mark.parametrize("is_reversed", [False, True], ids=["a to b", "b to a"])
async def test_commands(pair: Pair, is_reversed: bool) -> None:
    """What is ordered on one gateway goes to the device at the other, at once; its answer there is
    the state here. Every change is told once on each live stream."""
    here, there = reversed(pair) if is_reversed else pair
    told = [Heard(gateway, "command") for gateway in pair]
    device, _ = await here.registry.register("esp-1")
    await there.control.hello("esp-1", [Told("reboot")])
    calls: list[str] = []
    there.control.listen("esp-1", lambda: calls.append("now"))  # a serial line, a radio
    await until_true(lambda: here.control.templates("esp-1"))
    queued = await here.control.order("esp-1", "reboot", {}, 60)
    await until(lambda: calls)
    logger = Logger(7)
    answer = logger.hear(await there.uplinks.take(device, logger.uplink([])))
    assert [command.id for command in answer.commands] == [queued.id]
    # It was handed out there: the same device does not get it here a second time.
    await until(lambda: "sent" in _states(told[pair.index(here)]))
    assert await here.control.pending("esp-1") == []
    results = [CommandResult(id=queued.id, status="DONE", detail="well")]
    Downlink.FromString(await there.uplinks.take(device, logger.uplink([], results=results)))
    await until(lambda: not here.control.is_open("esp-1", queued.id))
    await until(lambda: all("done" in _states(one) for one in told))
    assert [_states(one) for one in told] == [["queued", "sent", "done"]] * 2
    assert [one.events[-1]["detail"] for one in told] == ["well"] * 2


async def test_commands_of_both_at_once(pair: Pair) -> None:
    """The queue of a device is bounded over both gateways; what both may hand out, one does; what
    times out, does so once; of results that both take, the last word stays."""
    a, b = pair
    told = [Heard(gateway, "command") for gateway in pair]
    hellos = (gateway.control.hello("esp-1", [Told("reboot")]) for gateway in pair)
    assert await asyncio.gather(*hellos) == [[], []]
    orders = await asyncio.gather(
        *(
            gateway.control.order("esp-1", "reboot", {}, 60)
            for gateway in pair
            for _ in range(QUEUE_LIMIT)
        ),
        return_exceptions=True,
    )
    refused = [one for one in orders if isinstance(one, CommandRefused)]
    queued = [one for one in orders if not isinstance(one, BaseException)]
    assert (len(queued), len(refused)) == (QUEUE_LIMIT, QUEUE_LIMIT)
    await until(lambda: all(len(_states(one)) == QUEUE_LIMIT for one in told))
    handed = await asyncio.gather(*(gateway.control.pending("esp-1") for gateway in pair))
    numbers = [command.id for half in handed for command in half]
    assert sorted(numbers) == sorted(one.id for one in queued)
    await asyncio.gather(
        a.control.results("esp-1", [CommandResult(id=n, status="ACCEPTED") for n in numbers]),
        b.control.results("esp-1", [CommandResult(id=n, status="DONE") for n in numbers]),
        a.control.results("esp-1", [CommandResult(id=n, status="DONE") for n in numbers]),
    )
    assert {one.state for one in await a.control.commands("esp-1")} == {"done"}
    await a.control.order("esp-1", "reboot", {}, 0.3)
    await until(lambda: all("timed_out" in _states(one) for one in told))
    for one in told:
        await until(lambda one=one: _states(one).count("done") == QUEUE_LIMIT)
        found = [(event["id"], event["state"]) for event in one.events]
        assert len(found) == len(set(found))


def _states(heard: Heard) -> list[str]:
    return [event["state"] for event in heard.events]


async def test_sessions(pair: Pair) -> None:
    """A manual session of one gateway is told on both, each change once; who listens to it at the
    other one is let go when it ends."""
    a, b = pair
    await a.registry.register("esp-1")
    told = [Heard(gateway, "session") for gateway in pair]
    ask = asker(a).ask
    key = {"x-api-key": a.config.api.secret or "", "content-type": "application/json"}
    made = await ask("POST", "/api/v1/sessions", key, b'{"device": "esp-1", "name": "to work"}')
    number = made.json()["id"]
    listener = Heard(b, "session", Selection(session=number))
    for action in ("start", "stop"):
        answer = await ask("POST", f"/api/v1/sessions/{number}/{action}", key)
        assert answer.status == 200, answer.body
    await until(lambda: all(len(one.events) == 3 for one in told))
    assert [_states(one) for one in told] == [["planned", "running", "ended"]] * 2
    assert {event["name"] for event in told[1].events} == {"to work"}
    await until(lambda: listener.has_ended)
    assert (await ask("DELETE", f"/api/v1/sessions/{number}", key)).status == 204
    await until(lambda: all(_states(one)[3:] == ["removed"] for one in told))


async def test_rules(pair: Pair) -> None:
    """A rule, a receiver and a silence of one gateway are the other's, and their end too."""
    a, b = pair
    rule = await a.alerts.add_rule(_RULE, "ada")
    await a.alerts.add_target(TargetBody(name="shop", webhook="https://shop.example/alerts"), "ada")
    silence = await b.alerts.silence(SilenceBody(duration_s=60), "ada")
    await until(lambda: [one.id for one in b.alerts.rules] == [rule.id])
    await until(lambda: "shop" in [one.target.name for one in b.alerts.outlets])
    await until(lambda: [one.id for one in a.alerts.silences] == [silence.id])
    await b.alerts.remove_rule(rule.id)
    await until(lambda: not a.alerts.rules)


async def test_signals(
    run_gateway: Callable[..., Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that another gateway's configuration brings has its name here, too."""
    known: list[Signal] = []
    # The catalogue is the process's, and other tests have theirs in it.
    monkeypatch.setattr("server.instances.takers.register", known.extend)
    async with run_gateway(config_of("a")):
        connection = await asyncpg.connect(database_url)
        signal = Signal(0x4000_0001, "OIL_T2", "Vehicle.OilT2", "degC", 0.1, -40, 215, "CAN")
        await keep_signals(connection, [signal], 1)
        await connection.close()
        await until(lambda: signal in known)


async def test_a_cut_in_the_moment_of_the_change(pair: Pair, database_url: str) -> None:
    """Whoever listens with a connection that is cut just then, reads everything again."""
    a, b = pair
    device, minted = await a.registry.register("esp-1")
    assert await b.registry.identify(minted.key) is not None
    told = Heard(b, "command")
    await a.control.hello("esp-1", [Told("reboot")])
    await until_true(lambda: b.control.templates("esp-1"))
    heard_before, cuts = b.instances.changes.heard, b.instances.changes.cuts
    connection = await asyncpg.connect(database_url)
    other = await asyncpg.connect(database_url, database="postgres")
    name = await connection.fetchval("SELECT current_database()")
    try:
        await other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        for gateway in pair:
            await other.execute(
                "SELECT pg_terminate_backend($1, 5000)", gateway.instances.changes.backend
            )
        await until(lambda: not b.instances.changes.is_listening)
        await connection.execute("UPDATE device_keys SET revoked_ns = 1")
        await connection.execute(
            "INSERT INTO commands (device, name, parameters, state, queued_ns, expires_ns)"
            f" VALUES ('esp-1', 'reboot', '{{}}', 'queued', 1, {2**62})"
        )
        assert await b.registry.identify(minted.key) is not None  # nobody can know yet
    finally:
        await other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await other.close()
        await connection.close()

    async def is_refused() -> bool:
        return await b.registry.identify(minted.key) is None

    await until_true(is_refused)
    await until(lambda: _states(told) == ["queued"])
    assert b.instances.changes.cuts > cuts
    assert b.instances.changes.heard == heard_before
    assert [command.name for command in await b.control.pending(device.id)] == ["reboot"]


async def test_a_reload_reaches_all(database_url: str) -> None:
    """The order of one gateway's operator lets each of them read its own file, once."""
    read: list[str] = []
    stop = asyncio.Event()
    reloads = {}
    tasks = []
    for name in ("a", "b"):
        config = gateway_config(database_url, QUICK + config_of(name))

        def load(name: str = name, config: GatewayConfig = config) -> GatewayConfig:
            read.append(name)
            return config

        reloads[name] = Reload(load)
        ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
        served = serve(config, stop=stop, on_ready=ready.set_result, reload=reloads[name])
        tasks.append(asyncio.create_task(served))
        await asyncio.wait({tasks[-1], ready}, return_when=asyncio.FIRST_COMPLETED)
        await ready
    try:
        reloads["a"].ask()
        await until(lambda: len(read) == 2)
        reloads["b"].ask()
        await until(lambda: len(read) == 4)
        assert sorted(read) == ["a", "a", "b", "b"]
        assert (await reloads["a"].done()).others_told
        await until(lambda: len(read) == 6)
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_a_gateway_alone_hears_commands_of_its_machine(
    run_gateway: Callable[..., Any], database_url: str
) -> None:
    """What `telerig devices revoke` writes into the database counts at once; nothing is said to
    the database meanwhile."""
    async with run_gateway() as gateway:
        _, minted = await gateway.registry.register("esp-1")
        assert await gateway.registry.identify(minted.key) is not None
        connection = await asyncpg.connect(database_url)
        await connection.execute("UPDATE device_keys SET revoked_ns = 1")

        async def is_refused() -> bool:
            return await gateway.registry.identify(minted.key) is None

        await until_true(is_refused)
        last = "SELECT query FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert "telerig_changes" in await connection.fetchval(last)
        await connection.close()


def _connection(headers: dict[str, str]) -> Any:
    from tests.server.users.test_guard import connection

    return connection(headers=headers)
