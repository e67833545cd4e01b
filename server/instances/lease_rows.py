"""The rows of gateways and leases in the database: one statement for each step of ownership.

    instances   a row for each gateway, renewed by the database's clock
    leases      a row for each place, with its owner's name and boot, and a token

Who lives is decided by the database's clock alone. A place is free where nobody owns it, or nobody
who lives; the statement that takes it locks the row of the last owner (FOR SHARE), so that a late
renewal waits, and then finds itself too late.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import asyncpg
import msgspec

from server.instances.members import Member

CHANNEL = "telerig_leases"
"""Who joins, leaves or gives something up notifies the others, so that nobody waits for a
renewal."""
NAME_LEASES = 3
"""A name is somebody's while its row was renewed within so many leases."""
FORGOTTEN_S = 86_400.0
"""Rows of gateways that died are kept so long, for people who look."""

_LIVES = "abs(extract(epoch FROM clock_timestamp() - i.seen)) < i.lease_s"
# In the future by less than a lease counts too: clocks are set back a little now and then. One that
# is set back by hours (a fail-over to another machine) keeps nobody alive who is dead.

_JOIN = f"""
    WITH joined AS (
        INSERT INTO instances AS i (name, boot, device, url, bus, lease_s, began, seen)
        VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), clock_timestamp())
        ON CONFLICT (name) DO UPDATE SET
            boot = excluded.boot, device = excluded.device, url = excluded.url, bus = excluded.bus,
            failing = '', lease_s = excluded.lease_s, seen = clock_timestamp(),
            began = CASE WHEN i.boot = excluded.boot THEN i.began ELSE excluded.began END
        WHERE i.boot = excluded.boot
           OR abs(extract(epoch FROM clock_timestamp() - i.seen)) >= {NAME_LEASES} * i.lease_s
        RETURNING name
    ), freed AS (
        UPDATE leases SET owner = NULL
        WHERE owner = $1 AND EXISTS (SELECT FROM joined)
    )
    SELECT EXISTS (SELECT FROM joined)
"""
_OTHER = "SELECT boot, device, url, lease_s, seen FROM instances WHERE name = $1"
_FORGET = "DELETE FROM instances WHERE clock_timestamp() - seen > make_interval(secs => $1)"
_BEAT = f"""
    WITH me AS (
        UPDATE instances AS i SET seen = clock_timestamp(), url = $3, failing = $4, ahead_s = $5
        WHERE name = $1 AND boot = $2 AND {_LIVES}
        RETURNING name
    ), living AS (
        SELECT i.*, o.shards, o.stores FROM instances i CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE place >= 0) AS shards,
                   count(*) FILTER (WHERE place < 0) AS stores
            FROM leases l WHERE l.owner = i.name AND l.boot = i.boot
        ) AS o
        WHERE {_LIVES}
    )
    SELECT EXISTS (SELECT FROM me) AS lives,
           extract(epoch FROM clock_timestamp())::float8 AS now_s,
           (SELECT coalesce(json_agg(json_build_object(
                'name', name, 'boot', boot, 'device', device, 'url', url, 'bus', bus,
                'failing', failing, 'ahead_s', ahead_s, 'began_s', extract(epoch FROM began),
                'seen_s', extract(epoch FROM seen), 'shards', shards,
                'is_store_owner', stores > 0)), '[]')::text FROM living) AS members,
           ARRAY(SELECT place FROM leases WHERE owner = $1 AND boot = $2 ORDER BY place) AS places,
           ARRAY(SELECT token FROM leases WHERE owner = $1 AND boot = $2 ORDER BY place) AS tokens,
           ARRAY(SELECT place FROM leases l WHERE NOT EXISTS (
                    SELECT FROM living i WHERE i.name = l.owner AND i.boot = l.boot)
                 ORDER BY place) AS free
"""
_TAKE = f"""
    WITH free AS (
        SELECT place FROM leases WHERE place = ANY($3::smallint[]) AND owner IS NULL
        ORDER BY place LIMIT $4 FOR UPDATE SKIP LOCKED
    ), orphans AS (
        SELECT l.place FROM leases l JOIN instances i ON i.name = l.owner
        WHERE l.place = ANY($3::smallint[]) AND (i.boot <> l.boot OR NOT ({_LIVES}))
        ORDER BY l.place LIMIT $4 FOR UPDATE OF l SKIP LOCKED FOR SHARE OF i SKIP LOCKED
    )
    UPDATE leases SET
        owner = $1, boot = $2, taken = clock_timestamp(),
        token = greatest(token + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    WHERE place IN (SELECT place FROM free UNION SELECT place FROM orphans LIMIT $4)
      AND EXISTS (SELECT FROM instances i WHERE name = $1 AND boot = $2 AND {_LIVES})
    RETURNING place, token
"""
_RELEASE = """
    UPDATE leases SET owner = NULL WHERE owner = $1 AND boot = $2 AND place = ANY($3::smallint[])
"""
# A server keeps the identifier for life and hands it to its standbys; a restored copy has another.
_FLEET = """
    SELECT left(md5(system_identifier::text || '/' || oid::text), 12)
    FROM pg_control_system(), pg_database WHERE datname = current_database()
"""
_LEAVE = "DELETE FROM instances WHERE name = $1 AND boot = $2"  # the leases become nobody's
_WAKE = f"SELECT pg_notify('{CHANNEL}', $1)"
_LEFT = "left"


class About(msgspec.Struct):
    """What a gateway says of itself.

    Attributes:
        name: unique among those that live.
        boot: number of this run.
        device: of its local links; empty: it is no gateway, and compacts for those that are.
        url: where others reach it.
        bus: the kind of its bus.
    """

    name: str
    boot: int
    device: str
    url: str
    bus: str


class Beat(msgspec.Struct, frozen=True):
    """What the database says to a renewal.

    Attributes:
        lives: it came in time.
        now_s: the database's time, UTC seconds.
        members: who lives.
        held: our places, with their tokens.
        free: places of nobody who lives.
    """

    lives: bool
    now_s: float
    members: list[Member]
    held: dict[int, int]
    free: frozenset[int]


async def fleet_of(connection: asyncpg.Connection) -> str:
    """Give the name of the database among all: gateways with the same are of one fleet."""
    return str(await connection.fetchval(_FLEET))


async def join(connection: asyncpg.Connection, about: About, lease_s: float) -> bool:
    """Take a name, unless another one has it; tell the others."""
    has_joined = await connection.fetchval(
        _JOIN, about.name, about.boot, about.device, about.url, about.bus, lease_s
    )
    if has_joined:
        await wake(connection)
        await connection.execute(_FORGET, FORGOTTEN_S)
    return bool(has_joined)


async def find(connection: asyncpg.Connection, name: str) -> asyncpg.Record | None:
    """Give boot, device, url, lease_s and seen of who has a name."""
    return await connection.fetchrow(_OTHER, name)


async def beat(
    connection: asyncpg.Connection, about: About, failing: str, ahead_s: float | None
) -> Beat:
    """Renew, and give what the database says."""
    row = await connection.fetchrow(
        _BEAT, about.name, about.boot, about.url, failing, ahead_s or 0.0
    )
    return Beat(
        row["lives"],
        row["now_s"],
        msgspec.json.decode(row["members"], type=list[Member]),
        dict(zip(row["places"], row["tokens"], strict=True)),
        frozenset(row["free"]),
    )


async def take(
    connection: asyncpg.Connection, about: About, places: Iterable[int], most: int
) -> dict[int, int]:
    """Take so many of these places at most, as far as they are free; give them with tokens."""
    rows = await connection.fetch(_TAKE, about.name, about.boot, sorted(places), most)
    return {row["place"]: row["token"] for row in rows}


async def release(connection: asyncpg.Connection, about: About, places: Iterable[int]) -> None:
    """Give places up, and tell the others."""
    await connection.execute(_RELEASE, about.name, about.boot, sorted(places))
    await wake(connection)


async def leave(connection: asyncpg.Connection, about: About) -> None:
    """Give everything up, and tell the others that nothing is left undone."""
    async with connection.transaction():
        await connection.execute(_LEAVE, about.name, about.boot)
        await connection.execute(_WAKE, f"{_LEFT} {about.name} {about.boot}")


async def wake(connection: asyncpg.Connection) -> None:
    """Have the others renew now: what they should know has changed."""
    await connection.execute(_WAKE, "")


def who_left(payload: str) -> tuple[str, int] | None:
    """Give name and boot of who has left, where a notification says so."""
    match = re.fullmatch(rf"{_LEFT} (\S+) (\d{{1,19}})", payload)
    return (match[1], int(match[2])) if match else None
