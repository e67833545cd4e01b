"""The tables of alerts; rows are written whole, so that the same again changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog

from server.alerts.alert import Alert, Silence, StoredRule
from server.alerts.rule import RuleBody
from server.alerts.target import Target
from server.instances.fence import fenced

log = structlog.get_logger("telerig.alerts")

_COLUMNS = (
    "id, rule_id, name, condition, severity, device, vin, signal, kind, since_ns, fired_ns,"
    " ended_ns, ended_how, value, extreme, times, acked_ns, acked_by, note, told, told_ns"
)
_SELECT = (
    f"SELECT {_COLUMNS},"
    " CASE WHEN ended_ns IS NULL THEN 'firing' ELSE 'resolved' END AS state FROM alerts"
)
_FIELDS = _COLUMNS.split(", ")
_PLACES = ", ".join(f"${number}" for number in range(1, len(_FIELDS) + 1))
# What somebody has acknowledged stays so, whatever is written later.
_CHANGING = ("ended_ns", "ended_how", "value", "extreme", "times", "vin", "told", "told_ns")
_WRITE = (
    f"INSERT INTO alerts ({_COLUMNS}) VALUES ({_PLACES}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
)
_NO_PLACES: Mapping[int, int] = {}
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RuleBody)


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts; none of a field: all."""

    state: str | None = None
    device: str | None = None
    scope: Collection[str] | None = None
    rule_id: int | None = None
    severity: str | None = None
    signal: str | None = None
    acked: bool | None = None
    start_ns: int = 0
    end_ns: int = 2**63 - 1


class AlertStore:
    """Reads and writes; every method raises what the database raises.

    Args:
        pool: of connections.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    # -- rules ----------------------------------------------------------------------------------
    async def rules(self) -> list[StoredRule]:
        """Give all rules, those that this version cannot read with their problem."""
        rows = await self._pool.fetch(
            "SELECT id, body, made_ns, made_by, changed_ns FROM alert_rules ORDER BY id"
        )
        return [_rule(row) for row in rows]

    async def add_rule(self, body: RuleBody, now_ns: int, by: str) -> int:
        """Add a rule; give its number."""
        found: int = await self._pool.fetchval(
            "INSERT INTO alert_rules (body, made_ns, made_by, changed_ns) VALUES ($1, $2, $3, $2)"
            " RETURNING id",
            _encoder.encode(body).decode(),
            now_ns,
            by,
        )
        return found

    async def change_rule(self, rule_id: int, body: RuleBody, now_ns: int) -> None:
        """Write a rule anew."""
        await self._pool.execute(
            "UPDATE alert_rules SET body = $2, changed_ns = $3 WHERE id = $1",
            rule_id,
            _encoder.encode(body).decode(),
            now_ns,
        )

    async def remove_rule(self, rule_id: int) -> None:
        """Take a rule away; its alerts stay."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("DELETE FROM alert_rules WHERE id = $1", rule_id)
            await connection.execute("DELETE FROM alert_watched WHERE rule_id = $1", rule_id)

    async def watched(self) -> list[tuple[int, str, str]]:
        """Give (rule, device, vehicle) of what rules of kind `stale` have met."""
        rows = await self._pool.fetch("SELECT rule_id, device, vin FROM alert_watched")
        return [tuple(row) for row in rows]

    async def add_watched(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Add to them."""
        await self._pool.executemany(
            "INSERT INTO alert_watched (rule_id, device, vin) VALUES ($1, $2, $3)"
            " ON CONFLICT (rule_id, device) DO UPDATE SET vin = excluded.vin",
            rows,
        )

    # -- receivers ------------------------------------------------------------------------------
    async def targets(self) -> list[Target]:
        """Give the receivers."""
        rows = await self._pool.fetch(
            "SELECT name, kind, places, secret, made_ns, made_by FROM alert_targets ORDER BY name"
        )
        return [Target(**{**row, "places": tuple(row["places"])}) for row in rows]

    async def add_target(self, target: Target) -> bool:
        """Add a receiver; False where there is one of that name."""
        done: str = await self._pool.execute(
            "INSERT INTO alert_targets (name, kind, places, secret, made_ns, made_by)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            target.name,
            target.kind,
            list(target.places),
            target.secret,
            target.made_ns,
            target.made_by,
        )
        return done.endswith(" 1")

    async def remove_target(self, name: str) -> None:
        """Take a receiver away."""
        await self._pool.execute("DELETE FROM alert_targets WHERE name = $1", name)

    # -- silences -------------------------------------------------------------------------------
    async def silences(self, now_ns: int) -> list[Silence]:
        """Give the silences that are not over."""
        rows = await self._pool.fetch(
            "SELECT id, rule_id, device, from_ns, to_ns, note, made_ns, made_by"
            " FROM alert_silences WHERE to_ns > $1 ORDER BY id",
            now_ns,
        )
        return [Silence(**row) for row in rows]

    async def add_silence(self, silence: Silence) -> Silence:
        """Add a silence; give it with its number."""
        number = await self._pool.fetchval(
            "INSERT INTO alert_silences (rule_id, device, from_ns, to_ns, note, made_ns, made_by)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
            silence.rule_id,
            silence.device,
            silence.from_ns,
            silence.to_ns,
            silence.note,
            silence.made_ns,
            silence.made_by,
        )
        return msgspec.structs.replace(silence, id=number)

    async def end_silence(self, silence_id: int, now_ns: int) -> None:
        """End a silence now; one that has not begun is gone."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "DELETE FROM alert_silences WHERE id = $1 AND from_ns >= $2", silence_id, now_ns
            )
            await connection.execute(
                "UPDATE alert_silences SET to_ns = $2 WHERE id = $1 AND to_ns > $2",
                silence_id,
                now_ns,
            )

    # -- alerts ---------------------------------------------------------------------------------
    async def write(self, alerts: Sequence[Alert], places: Mapping[int, int] = _NO_PLACES) -> None:
        """Write alerts as they are, all or none.

        Args:
            alerts: all of them of devices in these places.
            places: with the token of each; none: this gateway is alone.

        Raises:
            Fenced: a place has another owner now.
        """
        rows = [tuple(getattr(alert, name) for name in _FIELDS) for alert in alerts]
        async with self._pool.acquire() as connection, connection.transaction():
            for place in sorted(places):
                await fenced(connection, place, places[place])
            await connection.executemany(_WRITE, rows)

    async def latest(self, since_ns: int = 0) -> list[Alert]:
        """Give the last alert of each rule and device that is open, or has ended since then."""
        rows = await self._pool.fetch(
            f"SELECT * FROM (SELECT DISTINCT ON (rule_id, device) * FROM ({_SELECT}"
            " WHERE ended_ns IS NULL OR ended_ns >= $1) AS shown"
            " ORDER BY rule_id, device, id DESC) AS latest ORDER BY id",
            since_ns,
        )
        return [Alert(**row) for row in rows]

    async def end_forgotten(self, kept: Sequence[int], now_ns: int) -> int:
        """End alerts that are open and none of these; give how many."""
        done: str = await self._pool.execute(
            "UPDATE alerts SET ended_ns = greatest($2, fired_ns), ended_how = 'rule removed'"
            " WHERE ended_ns IS NULL AND NOT id = ANY($1)",
            list(kept),
            now_ns,
        )
        return int(done.rpartition(" ")[2])

    async def find(self, wanted: AlertFilter, limit: int, offset: int) -> list[Alert]:
        """Give alerts, the newest first."""
        tests: list[str] = []
        values: list[Any] = []

        def want(test: str, value: Any) -> None:
            values.append(value)
            tests.append(test.format(f"${len(values)}"))

        want("fired_ns < {}", wanted.end_ns)
        # One that fired before and goes on into the time that is asked for counts.
        want("coalesce(ended_ns, 9223372036854775807) >= {}", wanted.start_ns)
        for name in ("device", "rule_id", "severity", "signal"):
            if getattr(wanted, name) is not None:
                want(f"{name} = {{}}", getattr(wanted, name))
        if wanted.scope is not None:
            want("device = ANY({})", sorted(wanted.scope))
        if wanted.state is not None:
            tests.append(f"ended_ns IS {'NULL' if wanted.state == 'firing' else 'NOT NULL'}")
        if wanted.acked is not None:
            tests.append(f"acked_ns IS {'NOT NULL' if wanted.acked else 'NULL'}")
        rows = await self._pool.fetch(
            f"{_SELECT} WHERE {' AND '.join(tests)} ORDER BY id DESC"
            f" LIMIT {limit:d} OFFSET {offset:d}",
            *values,
        )
        return [Alert(**row) for row in rows]

    async def get(self, alert_id: int) -> Alert | None:
        """Give one alert."""
        row = await self._pool.fetchrow(f"{_SELECT} WHERE id = $1", alert_id)
        return None if row is None else Alert(**row)

    async def acknowledged(self, numbers: Sequence[int]) -> list[tuple[int, int, str, str]]:
        """Give number, instant, who and note of those of which somebody took note."""
        rows = await self._pool.fetch(
            "SELECT id, acked_ns, acked_by, note FROM alerts"
            " WHERE id = ANY($1) AND acked_ns IS NOT NULL",
            list(numbers),
        )
        return [tuple(row) for row in rows]

    async def acknowledge(self, alert_id: int, now_ns: int, by: str, note: str) -> None:
        """Write that somebody took note; the first one counts, a later note replaces."""
        await self._pool.execute(
            "UPDATE alerts SET acked_ns = coalesce(acked_ns, $2),"
            " acked_by = CASE WHEN acked_ns IS NULL THEN $3 ELSE acked_by END,"
            " note = CASE WHEN $4 <> '' THEN $4 ELSE note END WHERE id = $1",
            alert_id,
            now_ns,
            by,
            note,
        )

    async def forget(self, before_ns: int) -> None:
        """Delete alerts that ended before, and silences that were over by then."""
        await self._pool.execute("DELETE FROM alerts WHERE ended_ns < $1", before_ns)
        await self._pool.execute("DELETE FROM alert_silences WHERE to_ns < $1", before_ns)


def _rule(row: asyncpg.Record) -> StoredRule:
    rest = (row["made_ns"], row["made_by"], row["changed_ns"])
    try:
        return StoredRule(row["id"], _decoder.decode(row["body"]), *rest)
    except msgspec.MsgspecError as error:
        body = RuleBody(name=f"rule {row['id']}", signal="?", enabled=False)
        return StoredRule(row["id"], body, *rest, f"cannot be read: {error}")
