"""What a gateway must know to go on with the alerts of devices that another one looked after.

    table of alerts        what fires, what has ended, what the receivers know
    newest readings        since when a signal is silent
    hot log                the readings of the last while: what is pending, and since when
    segments               the same, where a rule wants more than the hot log has

The past is gone through device by device, with the instants of then: what has held for half of a
rule's duration goes on to hold, and what would have fired meanwhile fires, at the instant at which
it would have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable

import asyncpg
import msgspec

from server.alerts.rule import Kind, Rule
from server.history.reader import Wanted, columns
from server.history.wanted import INT64_MAX
from server.instances.in_order import Key, Missing
from server.instances.reader import read_turns
from server.instances.shard import shard_of
from server.instances.told import Told
from server.readings import Reading
from server.store.body import decode_body
from server.store.turns import Head, heads

MARGIN_S = 30.0
"""An owner may have been dead, or may not have written an alert, for so long."""
HOT_MOST_S = 3600.0
STORED_MOST_S = 86_400.0
"""What holds for longer is taken to hold since then: a rule that wants more fires later."""
BOOTS_AT_ONCE = 50
HEADS_S = 120.0
"""What was committed so long before is in no message any more that is still on its way."""

_WATCHED = "SELECT rule_id, device, vin FROM alert_watched"
_LATEST = """
    SELECT device, signal, time_ns, value FROM latest
    WHERE device = ANY($1::text[]) AND signal = ANY($2::int[])
"""
_HOT_SINCE = "SELECT coalesce(min(written_ns), $1::bigint) FROM hot_live"
_LONG = "SELECT device, signal, value FROM latest WHERE signal = ANY($1::int[])"
# The oldest of the gateways that lived a moment ago: since then somebody has listened.
_FLEET = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(began)), 0)::float8
    FROM instances WHERE clock_timestamp() - seen < make_interval(secs => $1)
"""


class Seen(msgspec.Struct, frozen=True):
    """The newest reading of a signal of a device."""

    time_ns: int
    value: float


class Silent(msgspec.Struct, frozen=True):
    """What rules of kind `stale` look at.

    Attributes:
        watched: rule, device and vehicle.
        seen: by device and signal.
        fleet_s: for so long gateways have listened.
    """

    watched: list[tuple[int, str, str]]
    seen: dict[tuple[str, int], Seen]
    fleet_s: float


async def read_silent(
    connection: asyncpg.Connection, shards: Collection[int], signals: Iterable[int]
) -> Silent:
    """Read what rules of kind `stale` have to know of the devices of some shards."""
    rows = await connection.fetch(_WATCHED)
    watched = [tuple(row) for row in rows if shard_of(row["device"]) in shards]
    devices = sorted({device for _, device, _ in watched})
    found = await connection.fetch(_LATEST, devices, sorted(signals))
    seen = {(row["device"], row["signal"]): Seen(row["time_ns"], row["value"]) for row in found}
    fleet_s: float = await connection.fetchval(_FLEET, MARGIN_S)
    return Silent(watched, seen, fleet_s)


def past_s(rules: Iterable[Rule]) -> float:
    """Give how much of the past decides how rules stand."""
    most_s = 0.0
    for rule in rules:
        window_s = 2 * rule.body.window_s if rule.body.kind is Kind.RATE else 0.0
        most_s = max(most_s, rule.duration_s + window_s)
    return min(most_s, HOT_MOST_S) + MARGIN_S


async def read_heads(
    connection: asyncpg.Connection, shards: Collection[int], since_ns: int
) -> list[Head]:
    """Give the last turns of the boots of some shards, of all that may still be told of."""
    return await heads(connection, sorted(shards), since_ns - round(HEADS_S * 1e9))


async def read_past(
    connection: asyncpg.Connection, boots: Iterable[Head], since_ns: int
) -> AsyncIterator[tuple[str, list[Told]]]:
    """Give devices with what they have committed since an instant, in order."""
    by_device: dict[str, list[Head]] = {}
    for head in boots:
        by_device.setdefault(head.device, []).append(head)
    group: list[Head] = []
    for device in sorted(by_device):
        group += by_device[device]
        if len(group) >= BOOTS_AT_ONCE:
            async for found in _turns(connection, group, since_ns):
                yield found
            group = []
    if group:
        async for found in _turns(connection, group, since_ns):
            yield found


async def read_long(
    connection: asyncpg.Connection, shards: Collection[int], rules: Iterable[Rule], now_ns: int
) -> dict[str, list[Reading]]:
    """Give the readings that decide since when a condition holds that began before the hot log.

    Only of devices whose newest value is one with which an alert goes on.
    """
    hot_ns: int = await connection.fetchval(_HOT_SINCE, now_ns)
    long = {
        rule.id: rule
        for rule in rules
        if rule.body.kind is Kind.VALUE and (rule.duration_s + MARGIN_S) * 1e9 > now_ns - hot_ns
    }
    by_signal: dict[int, list[Rule]] = {}
    for rule in long.values():
        by_signal.setdefault(rule.signal.id, []).append(rule)
    since_s: dict[str, float] = {}
    signals: dict[str, set[int]] = {}
    for device, signal, value in await connection.fetch(_LONG, sorted(by_signal)):
        if shard_of(device) not in shards or value is None:
            continue
        for rule in by_signal[signal]:
            if rule.body.device in (None, device) and rule.holds(value):
                wanted_s = min(rule.duration_s, STORED_MOST_S) + MARGIN_S
                since_s[device] = max(wanted_s, since_s.get(device, 0.0))
                signals.setdefault(device, set()).add(signal)
    found: dict[str, list[Reading]] = {}
    for device, wanted_s in since_s.items():
        start_ns = now_ns - round(wanted_s * 1e9)
        wanted = Wanted(device, start_ns, now_ns, frozenset(signals[device]))
        found[device] = [
            Reading(column.signal, time_ns, value, time_ns)
            async for column in columns(connection, wanted)
            for time_ns, value in zip(column.times_ns, column.values, strict=True)
        ]
    return found


def first_time_ns(turns: Iterable[Told]) -> int:
    """Give the instant of the first reading; what segments have is before that."""
    bodies = (body for told in turns for _, body in told.rows or ())
    readings = (reading for body in bodies for reading in decode_body(body))
    return next((reading.time_ns for reading in readings), INT64_MAX)


async def _turns(
    connection: asyncpg.Connection, group: list[Head], since_ns: int
) -> AsyncIterator[tuple[str, list[Told]]]:
    turns: dict[str, list[Told]] = {}
    asked = [Missing(head.device, head.boot, 0, head.turn, True) for head in group]
    while asked:
        answers = await read_turns(connection, [(one, since_ns) for one in asked])
        more: dict[Key, int] = {}
        for key, answer in answers.items():
            turns.setdefault(key[0], []).extend(answer.turns.values())
            more[key] = answer.upto
        asked = [
            Missing(one.device, one.boot, more[one.key], one.upto, True)
            for one in asked
            if more[one.key] < one.upto
        ]
    for device, told in turns.items():
        yield device, sorted(told, key=lambda one: (one.stored_ns, one.turn))
