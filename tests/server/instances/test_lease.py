"""Leases on a real PostgreSQL: each place has one owner, whoever dies, pauses or comes back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.clock import Clock, SystemClock
from server.errors import Fenced, NameTaken
from server.instances import fence, lease_rows
from server.instances.fence import ALONE_TOKEN, fenced
from server.instances.held import AloneLeases
from server.instances.lease import Leases, fair_share
from server.instances.lease_rows import About
from server.instances.shard import PLACES, SHARDS, STORE
from tests.server.instances.death import die
from tests.server.instances.door import Door, socket_of, until

_boots = itertools.count(1)


class OffClock(SystemClock):
    """A machine whose clock is wrong, and that was started at another time."""

    def __init__(self, off_s: float) -> None:
        self._off_s = off_s

    def now_ns(self) -> int:
        return super().now_ns() + round(self._off_s * 1e9)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._off_s


class Held:
    """What the listener of some leases believes to own; fails where it is told nonsense."""

    def __init__(self, leases: Leases) -> None:
        self.places: set[int] = set()
        self.changes: list[tuple[frozenset[int], frozenset[int]]] = []
        leases.on_change.append(self._take)

    def _take(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        self.changes.append((taken, lost))
        assert not taken & self.places, "taken twice"
        assert lost <= self.places, "lost without having been taken"
        self.places = (self.places - lost) | taken


class Fleet:
    """Leases of several gateways in one process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.all: list[Leases] = []
        self.held: dict[Leases, Held] = {}

    def make(
        self, name: str, lease_s: float = 1.0, *, url: str = "", clock: Clock | None = None
    ) -> Leases:
        """Make the leases of a gateway."""
        about = About(name, next(_boots), f"car-{name}", f"http://{name}", "notify")
        made = Leases(url or self.url, about, lease_s=lease_s, clock=clock or SystemClock())
        self.all.append(made)
        self.held[made] = Held(made)
        return made

    def is_fair(self, *gateways: Leases) -> bool:
        """Whether these own everything, each a fair share."""
        owned = [place for gateway in gateways for place in gateway.held]
        shards = [sum(place != STORE for place in gateway.held) for gateway in gateways]
        return sorted(owned) == sorted(PLACES) and max(shards) <= fair_share(len(gateways))

    def owners(self) -> dict[int, list[str]]:
        """Who says that it owns which place."""
        found: dict[int, list[str]] = {}
        for gateway in self.all:
            for place in gateway.held:
                found.setdefault(place, []).append(gateway._about.name)
        return found


@pytest.fixture
async def fleet(database_url: str) -> AsyncIterator[Fleet]:
    """Gateways of one test; all end with it."""
    fleet = Fleet(database_url)
    yield fleet
    for gateway in fleet.all:
        await gateway.close()


def tcp(url: str, door: Door) -> str:
    """The database behind a door."""
    parts = urlsplit(url)
    return f"postgresql://{parts.username}@127.0.0.1:{door.port}{parts.path}"


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    """A door before the database."""
    async with Door(socket_of(database_url)) as door:
        yield door


# -- sharing -----------------------------------------------------------------------------------


async def test_shares_are_fair_and_move_at_once(fleet: Fleet) -> None:
    """Whoever joins or leaves: nobody waits for a lease, even one of a minute."""
    one, two, three = (fleet.make(name, 60.0) for name in ("a", "b", "c"))
    await one.start()
    assert sorted(one.held) == sorted(PLACES)
    await two.start()
    await until(lambda: fleet.is_fair(one, two))
    await three.start()
    await until(lambda: fleet.is_fair(one, two, three))
    assert max(len(each.held) for each in fleet.all) <= 22 + 1
    assert [member.name for member in one.members.living] == ["a", "b", "c"]
    settled = [len(held.changes) for held in fleet.held.values()]
    for gateway in fleet.all:
        gateway.renew_soon()
    await asyncio.sleep(0.2)
    assert settled == [len(held.changes) for held in fleet.held.values()]  # no to and fro
    await two.close()
    assert not two.held
    await until(lambda: fleet.is_fair(one, three))
    await one.close()
    await until(lambda: fleet.is_fair(three))
    assert [len(held.places) for held in fleet.held.values()] == [0, 0, 65]


async def test_a_dead_gateway_is_succeeded_when_its_lease_is_over(fleet: Fleet) -> None:
    """Not before, and with greater tokens."""
    one, two = fleet.make("a"), fleet.make("b")
    await one.start()
    await two.start()
    await until(lambda: fleet.is_fair(one, two))
    before = dict(two.held)
    die(two)
    while two.held:
        assert not set(one.held) & set(two.held)
        await asyncio.sleep(0.01)
    await until(lambda: fleet.is_fair(one))
    assert all(one.held[place] > token for place, token in before.items())
    assert [member.name for member in one.members.living] == ["a"]


async def test_many_start_at_once(fleet: Fleet) -> None:
    """Twelve at the same moment: each place has one owner, and no share is too large."""
    gateways = [fleet.make(f"gw-{number:02}") for number in range(12)]
    await asyncio.gather(*(gateway.start() for gateway in gateways))
    await until(lambda: fleet.is_fair(*gateways), 30)


def test_fair_share() -> None:
    """The shares of all are enough for all shards, and differ by what cannot be divided."""
    for living in range(1, 100):
        assert fair_share(living) * living >= SHARDS > (fair_share(living) - 1) * living


# -- fencing -----------------------------------------------------------------------------------


async def test_a_zombie_is_fenced_off(fleet: Fleet) -> None:
    """Who stood still for too long knows it by its own clock, and the database refuses it."""
    zombie, other = fleet.make("a", 0.3), fleet.make("b", 0.3)
    await zombie.start()
    token = zombie.token(7)
    assert token is not None
    die(zombie)
    await other.start()
    await until(lambda: 7 in other.held)
    assert zombie.token(7) is None
    assert dict(zombie.held) == {}
    connection = await asyncpg.connect(fleet.url)
    async with connection.transaction():
        with pytest.raises(Fenced, match="shard 7"):
            await fenced(connection, 7, token)
        with pytest.raises(Fenced, match="the store"):
            await fenced(connection, STORE, token)
        new = other.token(7)
        assert new is not None
        await fenced(connection, 7, new)
        await fenced(connection, 7, ALONE_TOKEN)
    await connection.close()


async def test_a_place_is_not_taken_while_its_owner_writes(fleet: Fleet) -> None:
    """The transaction that was begun in time ends; the 64 others are taken without waiting."""
    owner, other = fleet.make("a", 0.3), fleet.make("b", 0.3)
    await owner.start()
    token = owner.token(7)
    assert token is not None
    connection = await asyncpg.connect(fleet.url)
    async with connection.transaction():
        await fenced(connection, 7, token)
        die(owner)
        await other.start()
        await until(lambda: len(other.held) == 64)
        await asyncio.sleep(0.3)
        assert 7 not in other.held
    await until(lambda: len(other.held) == 65)
    await connection.close()


async def test_a_transaction_that_stands_still_is_ended(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused process does not keep its place for ever, and cannot commit when it goes on."""
    monkeypatch.setattr(fence, "IDLE_MS", 300)
    owner, other = fleet.make("a", 0.3), fleet.make("b", 0.3)
    await owner.start()
    connection = await asyncpg.connect(fleet.url)
    await connection.execute("CREATE TABLE written (what text)")
    transaction = connection.transaction()
    await transaction.start()
    await fenced(connection, 7, owner.token(7) or -1)
    await connection.execute("INSERT INTO written VALUES ('late')")
    die(owner)
    await other.start()
    await until(lambda: 7 in other.held)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await transaction.commit()
    connection.terminate()
    connection = await asyncpg.connect(fleet.url)
    assert await connection.fetchval("SELECT count(*) FROM written") == 0
    await connection.close()


async def test_tokens_are_never_given_twice(fleet: Fleet) -> None:
    """Even where a standby that became primary has forgotten the newest takings."""
    one = fleet.make("a")
    await one.start()
    seen = set(one.held.values())
    connection = await asyncpg.connect(fleet.url)
    await connection.execute("UPDATE leases SET token = 0, owner = NULL")
    await until(lambda: fleet.is_fair(one) and not seen & set(one.held.values()))
    await connection.close()


async def test_a_renewal_that_comes_while_another_one_takes(fleet: Fleet) -> None:
    """It waits for the taking to end, and then knows that it came too late."""
    late = fleet.make("a", 10.0)
    await late.start()
    die(late)
    taker = await asyncpg.connect(fleet.url)
    await taker.execute("UPDATE instances SET seen = seen - interval '10 seconds'")
    await taker.fetchval(lease_rows._JOIN, "b", 0, "car-b", "http://b", "notify", 10.0)
    transaction = taker.transaction()
    await transaction.start()
    assert len(await taker.fetch(lease_rows._TAKE, "b", 0, list(range(SHARDS)), 64)) == 64
    connection = await late._connect()
    renewal = asyncio.create_task(late._beat(connection))
    for _ in range(500):
        if await taker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            break
        await asyncio.sleep(0.01)
    assert not renewal.done()
    await transaction.commit()
    await renewal
    assert dict(late.held) == {}
    await late._beat(connection)
    assert list(late.held) == [STORE]
    await connection.close()
    await taker.close()


# -- clocks ------------------------------------------------------------------------------------


async def test_clocks_an_hour_apart(fleet: Fleet) -> None:
    """Only the database's counts: shares and takeover are as ever, and the difference is known."""
    behind = fleet.make("a", clock=OffClock(-3600))
    ahead = fleet.make("b", clock=OffClock(3600))
    await behind.start()
    await ahead.start()
    await until(lambda: fleet.is_fair(behind, ahead))
    assert behind.ahead_s is not None
    assert ahead.ahead_s is not None
    assert 3500 < behind.ahead_s < 3700
    assert -3700 < ahead.ahead_s < -3500
    die(behind)
    await until(lambda: fleet.is_fair(ahead))


@pytest.mark.parametrize("off", ["1 hour", "-1 hour"])
async def test_the_clock_of_the_database_jumps(fleet: Fleet, off: str) -> None:
    """As at a fail-over to another machine: who lives takes everything anew, nobody dead stays."""
    one, dead = fleet.make("a"), fleet.make("b")
    await one.start()
    await dead.start()
    await until(lambda: fleet.is_fair(one, dead))
    die(dead)
    connection = await asyncpg.connect(fleet.url)
    await connection.execute("UPDATE instances SET seen = seen + $1::text::interval", off)
    await connection.close()
    await until(lambda: fleet.is_fair(one))


# -- a database that is away -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "silent", "terminated"])
async def test_the_database_goes_and_comes(fleet: Fleet, door: Door, how: str) -> None:
    """What is owned ends by the own clock and is told; when it is back everything goes on."""
    gateway = fleet.make("a", 0.5, url=tcp(fleet.url, door))
    await gateway.start()
    held = fleet.held[gateway]
    assert len(held.places) == 65
    if how == "terminated":
        connection = await asyncpg.connect(fleet.url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'telerig leases' AND datname = current_database()"
        )
        await connection.close()
        await until(lambda: gateway.counts.failed)
    else:
        door.shut() if how == "cut" else door.freeze()
        await until(lambda: not held.places)
        assert not gateway.held
        assert gateway.counts.lost == 65
        await until(lambda: gateway.failing)
        door.open()
    await until(lambda: fleet.is_fair(gateway) and not gateway.failing)
    assert len(held.places) == 65


async def test_the_end_is_quick_without_a_database(fleet: Fleet, door: Door) -> None:
    """A stop does not wait for a database that is away."""
    gateway = fleet.make("a", url=tcp(fleet.url, door))
    await gateway.start()
    door.freeze()
    async with asyncio.timeout(15):
        await gateway.close()
    assert not fleet.held[gateway].places


async def test_never_two_owners(fleet: Fleet) -> None:
    """Four gateways on a network that stands still and breaks at random: a place has one owner."""
    chance = random.Random(9)
    async with contextlib.AsyncExitStack() as stack:
        doors = [await stack.enter_async_context(Door(socket_of(fleet.url))) for _ in range(4)]
        for number, door in enumerate(doors):
            await fleet.make(f"gw-{number}", 0.2, url=tcp(fleet.url, door)).start()
        loop = asyncio.get_running_loop()
        end_s, next_s, moves = loop.time() + 5, 0.0, 0
        while loop.time() < end_s:
            if loop.time() >= next_s:
                next_s = loop.time() + chance.uniform(0.02, 0.15)
                moves += 1
                chance.choice([Door.shut, Door.freeze, Door.open, Door.open, Door.open])(
                    chance.choice(doors)
                )
            doubled = {place: who for place, who in fleet.owners().items() if len(who) > 1}
            assert not doubled
            await asyncio.sleep(0.001)
        for door in doors:
            door.open()
        await until(lambda: fleet.is_fair(*fleet.all))
        assert moves >= 10
        assert sum(gateway.counts.lost for gateway in fleet.all) > 0
        for gateway in fleet.all:
            await gateway.close()


# -- names -------------------------------------------------------------------------------------


async def test_a_name_has_one_gateway(fleet: Fleet) -> None:
    """A second one is refused in words while the first lives; it disturbs nothing."""
    first, second = fleet.make("a"), fleet.make("a")
    await first.start()
    with pytest.raises(NameTaken, match=r"'a' \(device car-a, http://a\).*\[instances\] name"):
        await second.start()
    assert fleet.is_fair(first)
    assert len(fleet.held[first].changes) == 1


async def test_the_name_of_a_killed_gateway_is_free_soon(fleet: Fleet) -> None:
    """Whoever starts again waits for it, instead of giving up; what it owned comes with it."""
    killed, again = fleet.make("a", 0.3), fleet.make("a", 0.3)
    await killed.start()
    before = dict(killed.held)
    die(killed)
    await again.start()
    assert sorted(again.held) == sorted(PLACES)
    assert all(again.held[place] > token for place, token in before.items())


async def test_a_name_that_was_taken_while_its_owner_was_silent(fleet: Fleet, door: Door) -> None:
    """The old one owns nothing and takes nothing back while the new one lives."""
    old = fleet.make("a", 0.3, url=tcp(fleet.url, door))
    await old.start()
    door.freeze()
    new = fleet.make("a", 0.3)
    await new.start()
    door.open()
    await until(lambda: old._is_name_lost)
    assert fleet.is_fair(new)
    assert not old.held
    await new.close()
    await until(lambda: fleet.is_fair(old))


# -- alone -------------------------------------------------------------------------------------


def test_alone_everything_is_owned() -> None:
    """Without a database, with a token that fences nobody off."""
    leases = AloneLeases()
    assert sorted(leases.held) == sorted(PLACES)
    assert {leases.token(place) for place in PLACES} == {ALONE_TOKEN}
    assert leases.token(64) is None
