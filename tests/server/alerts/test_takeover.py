"""Alerts of several gateways on one database: told once, at the right instant, whoever dies."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import structs

from server.alerts.alert import SilenceBody
from server.alerts.engine import State, Watch
from server.alerts.rule import Kind, RuleBody
from server.alerts.store import AlertFilter
from server.alerts.target import TargetBody
from server.catalogue import by_name
from server.gateway import Gateway
from server.instances.lease import Leases
from server.instances.shard import shard_of
from server.store.appends import Append, Piece
from server.store.body import Column, encode_columns
from tests.server.alerts.conftest import HookServer
from tests.server.conftest import GatewayRunner
from tests.server.instances.two import config_of, until, until_true

RPM = by_name("RPM").id
BOOT = 7
TEXT = """
[outbound]
allow = ["127.0.0.0/8"]
[alerts]
group_s = 0.02
interval_s = 0.02
"""
RULE = RuleBody(name="too fast", signal="RPM", condition=">", threshold=6000, hysteresis=1000)


@pytest.fixture(autouse=True)
def short_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write more often than once a second: a test has no time."""
    monkeypatch.setattr("server.alerts.service.FLUSH_S", 0.05)


@pytest.fixture
async def two(run_gateway: GatewayRunner) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Gateways `a` and `b`, each with its half of the shards."""
    async with (
        run_gateway(config_of("a", TEXT)) as a,
        run_gateway(config_of("b", TEXT)) as b,
    ):
        await until(lambda: all(_shards(one) == 32 and not one.alerts.taking for one in (a, b)))
        yield a, b


def _shards(gateway: Gateway) -> int:
    return sum(place >= 0 for place in gateway.instances.leases.held)


_numbers = itertools.count(1)


def device_of(gateway: Gateway) -> str:
    """Give a device that a gateway looks after, and that no other test has."""
    names = (f"car-{number}" for number in _numbers)
    return next(name for name in names if shard_of(name) in gateway.instances.leases.held)


async def send(gateway: Gateway, device: str, seq: int, value: float, late_s: int = 0) -> int:
    """Have a gateway take a reading, measured a while ago; give its instant."""
    now_ns = time.time_ns() - late_s * 10**9
    body = encode_columns(now_ns, [Column(0, RPM, now_ns, [], struct.pack("<d", value))])
    piece = Piece(seq, seq, now_ns, now_ns, body, 1, 1, 0, 33, 33)
    await gateway.ingest.commit(Append(device, BOOT, [piece]))
    return now_ns


async def rows(gateway: Gateway, device: str) -> list[Any]:
    """Give the alerts of a device as the table has them."""
    return await gateway.alerts.history(AlertFilter(device=device), 100, 0)


def watch(gateway: Gateway, device: str) -> Watch | None:
    """Give how the rule stands at a gateway for a device."""
    return next((one for one in gateway.alerts.watches if one.device == device), None)


def fall_silent(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, *, is_zombie: bool) -> None:
    """Have a gateway renew nothing any more; a zombie does not even notice."""
    leases = gateway.instances.leases

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(leases, "_beat", hang)
    if is_zombie:
        monkeypatch.setattr(leases, "_lose_all", lambda reason: None)
        monkeypatch.setattr(leases, "_is_valid", lambda: True)


async def prepared(a: Gateway, b: Gateway, hooks: HookServer, body: RuleBody) -> None:
    """Add a receiver and a rule at one gateway; return when the other one has them."""
    await a.alerts.add_target(TargetBody(name="hook", webhook=hooks.url), "test")
    stored = await a.alerts.add_rule(body, "test")
    await until(lambda: stored in b.alerts.rules and len(b.alerts.outlets) == 1)


def told(hooks: HookServer) -> list[tuple[str, str]]:
    """Give device and state of all that the receiver was told."""
    return [
        (alert["device"], alert["state"])
        for request in hooks.requests
        for alert in json.loads(request.body)["alerts"]
    ]


@pytest.mark.parametrize("is_zombie", [False, True])
async def test_an_alert_that_is_half_over_fires_at_its_instant_at_the_next_owner(
    two: tuple[Gateway, Gateway],
    hooks: HookServer,
    monkeypatch: pytest.MonkeyPatch,
    is_zombie: bool,
) -> None:
    """The owner falls silent while a condition holds: the next one fires the alert when and as it
    would have fired, once. A zombie that goes on is refused, and tells nobody."""
    a, b = two
    device = device_of(a)
    await prepared(a, b, hooks, structs.replace(RULE, duration_s=3.0))
    since_ns = await send(b, device, 0, 7000.0)
    await until(lambda: (w := watch(a, device)) is not None and w.state is State.PENDING)
    fall_silent(a, monkeypatch, is_zombie=is_zombie)
    await send(b, device, 1, 5500.0)  # within the hysteresis: it goes on to hold
    await until(lambda: shard_of(device) in b.instances.leases.held and not b.alerts.taking)
    found = watch(b, device)
    assert found is not None
    assert (found.state, found.since_ns) == (State.PENDING, since_ns)
    await until_true(lambda: rows(b, device))
    await hooks.wait_for(1)
    (alert,) = await rows(b, device)
    assert (alert.since_ns, alert.fired_ns) == (since_ns, since_ns + 3 * 10**9)
    if is_zombie:
        await until(lambda: a.alerts.fenced)
    await send(b, device, 2, 4000.0)
    await hooks.wait_for(2)
    assert told(hooks) == [(device, "firing"), (device, "resolved")]
    assert len(await rows(b, device)) == 1


async def test_what_fires_goes_on_at_the_next_owner_and_is_not_told_again(
    two: tuple[Gateway, Gateway], hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open alert is known to the next owner, with what the receivers know of it; its end is
    told once, a device of the other half is not touched."""
    a, b = two
    mine, other = device_of(a), device_of(b)
    await prepared(a, b, hooks, RULE)
    await send(a, mine, 0, 7000.0)
    await send(a, other, 0, 7000.0)
    await hooks.wait_for(2)
    await until_true(lambda: _all_told(b, mine, other))
    fall_silent(a, monkeypatch, is_zombie=False)
    await until(lambda: shard_of(mine) in b.instances.leases.held and not b.alerts.taking)
    assert {watch(b, one).state for one in (mine, other)} == {State.FIRING}  # type: ignore[union-attr]
    assert watch(a, mine) is None
    await send(a, mine, 1, 3000.0)
    await hooks.wait_for(3)
    assert sorted(told(hooks)) == [(mine, "firing"), (mine, "resolved"), (other, "firing")]
    (alert,) = await rows(b, mine)
    assert (alert.state, alert.ended_how) == ("resolved", "cleared")


async def _all_told(gateway: Gateway, *devices: str) -> bool:
    found = [alert for device in devices for alert in await rows(gateway, device)]
    return len(found) == len(devices) and all(alert.told == "firing" for alert in found)


async def test_a_receiver_that_did_not_answer_is_told_by_the_next_owner_alone(
    two: tuple[Gateway, Gateway], hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner falls silent between two tries of a message: only the next one goes on trying."""
    a, b = two
    device = device_of(a)
    await prepared(a, b, hooks, RULE)
    hooks.answers = ["500 Internal Server Error"]
    await send(a, device, 0, 7000.0)
    await hooks.wait_for(1)
    (outlet,) = a.alerts.outlets
    await until(lambda: outlet.status.failed)
    fall_silent(a, monkeypatch, is_zombie=False)
    await until(lambda: b.alerts.outlets[0].status.sent)
    await until(lambda: not outlet._sending)  # the time of the second try has come
    assert (outlet.status.sent, outlet.status.failed, len(hooks.requests)) == (0, 1, 2)


async def test_what_happens_while_nobody_owns_a_shard_is_not_missed(
    two: tuple[Gateway, Gateway], hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is too high for a moment, between the owner's end and the taking over: the
    alert fires and ends with the instants of then, and is told. What was stored before the rule
    was there fires nothing; what was measured before and came later does, as ever."""
    a, b = two
    device, early, late = (device_of(a) for _ in range(3))
    await send(b, early, 0, 7000.0)
    await prepared(a, b, hooks, RULE)
    fall_silent(a, monkeypatch, is_zombie=False)
    monkeypatch.setattr(a.alerts, "_owned", lambda taken, lost: None)
    a.alerts._lose(set(a.instances.leases.held))  # dead at once, before its lease is over
    high_ns = await send(b, device, 0, 7000.0)
    low_ns = await send(b, device, 1, 3000.0)
    late_ns = await send(b, late, 0, 8000.0, late_s=60)
    await until_true(lambda: rows(b, device))
    (alert,) = await rows(b, device)
    assert (alert.fired_ns, alert.ended_ns, alert.value) == (high_ns, low_ns, 7000.0)
    await until_true(lambda: rows(b, late))
    (alert,) = await rows(b, late)
    assert (alert.fired_ns, alert.state) == (late_ns, "firing")
    await until(lambda: len(told(hooks)) >= 2)
    assert sorted(told(hooks)) == sorted([(device, "resolved"), (late, "firing")])
    assert await rows(b, early) == []


async def test_what_began_before_the_hot_log_holds_since_then(
    run_gateway: GatewayRunner, hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A condition that is to hold for long began with readings that are in segments by now: the
    next owner knows since when."""
    text = f"{TEXT}[store]\ncompact_after_s = 0.05\nlatest_s = 0.05\n"
    async with run_gateway(config_of("a", text)) as a, run_gateway(config_of("b", text)) as b:
        await until(lambda: all(_shards(one) == 32 and not one.alerts.taking for one in (a, b)))
        device = device_of(a)
        await prepared(a, b, hooks, structs.replace(RULE, duration_s=600.0))
        await send(b, device, 0, 3000.0)
        since_ns = await send(b, device, 1, 7000.0)
        await until_true(lambda: _is_compacted(a, b, device))
        fall_silent(a, monkeypatch, is_zombie=False)
        await until(lambda: shard_of(device) in b.instances.leases.held and not b.alerts.taking)
        found = watch(b, device)
        assert found is not None
        assert found.state is State.PENDING
        assert abs(found.since_ns - since_ns) <= 10**6  # a segment keeps instants in milliseconds
        left_s = found.due_s - time.monotonic()
        assert left_s == pytest.approx(600 - (time.time_ns() - since_ns) / 1e9, abs=0.5)


async def _is_compacted(a: Gateway, b: Gateway, device: str) -> bool:
    a.compactor.committed(1)
    b.compactor.committed(1)
    async with b.pool.acquire() as connection:
        left: int = await connection.fetchval("SELECT count(*) FROM hot WHERE device = $1", device)
    return left == 0


async def test_silence_counts_from_the_last_reading_at_the_next_owner(
    two: tuple[Gateway, Gateway], hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What must not be silent for long is due at the next owner when it was at the last one."""
    a, b = two
    device = device_of(a)
    await prepared(
        a, b, hooks, RuleBody(name="silent", signal="RPM", kind=Kind.STALE, stale_s=30.0)
    )
    seen_ns = await send(b, device, 0, 1000.0)
    seen_s = time.monotonic()
    await until_true(lambda: _is_watched(b, device))
    fall_silent(a, monkeypatch, is_zombie=False)
    await until(lambda: shard_of(device) in b.instances.leases.held and not b.alerts.taking)
    found = watch(b, device)
    assert found is not None
    assert found.last_ns == seen_ns
    assert found.due_s == pytest.approx(seen_s + 30, abs=0.5)


async def _is_watched(gateway: Gateway, device: str) -> bool:
    async with gateway.pool.acquire() as connection:
        found: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM alert_watched WHERE device = $1)", device
        )
    return found


async def test_what_is_decided_at_one_gateway_counts_at_all(
    two: tuple[Gateway, Gateway], hooks: HookServer
) -> None:
    """Silences, acknowledgements, changed and removed rules and receivers reach the owner."""
    a, b = two
    device = device_of(a)
    await prepared(a, b, hooks, RULE)
    silence = await b.alerts.silence(SilenceBody(duration_s=600.0), "test")
    await until(lambda: silence in a.alerts.silences)
    await send(b, device, 0, 7000.0)
    await until_true(lambda: rows(b, device))
    (alert,) = await rows(b, device)
    await b.alerts.acknowledge(alert.id, "somebody", "seen")
    await until(lambda: any(one.acked_by for one in a.alerts._last.values()))
    assert told(hooks) == []
    await b.alerts.end_silence(silence.id)
    await hooks.wait_for(1)
    await b.alerts.remove_rule(alert.rule_id)
    await hooks.wait_for(2)
    assert told(hooks) == [(device, "firing"), (device, "resolved")]
    assert (await b.alerts.alert(alert.id)).ended_how == "rule removed"
    await b.alerts.remove_target("hook")
    await until(lambda: not a.alerts.outlets)


async def test_every_gateway_gives_numbers_of_its_own(two: tuple[Gateway, Gateway]) -> None:
    """Two gateways that fire in the same microsecond do not overwrite each other's alerts."""
    numbers = {one.alerts._new_id(device_of(one), 10**15) for one in two}
    assert len(numbers) == 2
    assert isinstance(two[0].instances.leases, Leases)
