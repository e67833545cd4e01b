"""Accounts on a real database: made, changed, signed in with."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import bcrypt
import pytest
from starlette.requests import HTTPConnection

from server.answers import Refusal
from server.api.role import Role
from server.users.accounts import Changes
from server.users.config import UsersConfig
from server.users.directory import REFRESH_S, TOKEN
from server.users.service import Users
from server.users.signin import ACCOUNT_BURST, ADDRESS_BURST, BOTH_BURST, network_of
from tests.server.hand_clock import HandClock
from tests.server.users.conftest import PASSWORD


def from_address(address: str) -> HTTPConnection:
    """A request of that address."""
    return HTTPConnection({"type": "http", "headers": [], "client": (address, 1), "path": "/"})


async def refused(what: Any) -> Refusal:
    """The refusal with which something ends."""
    with pytest.raises(Refusal) as caught:
        await what
    return caught.value


async def test_a_user_is_made_found_and_changed(users: Users, pool: asyncpg.Pool) -> None:
    """Names are the same in capital and small letters; the password is kept as a hash only."""
    accounts = users.accounts
    ada = await accounts.create("Ada", PASSWORD, Role.ADMIN, email="ada@example.com")
    bob = await accounts.create("bob", PASSWORD, Role.VIEWER, scope=["car-2", "car-1", "car-2"])
    assert bob.scope == ("car-1", "car-2")
    assert await accounts.find("aDA") == ada
    assert (await refused(accounts.create("ADA", PASSWORD, Role.VIEWER))).status == 409
    changed = await accounts.change("bob", Changes(role=Role.OPERATOR, scope=None))
    assert (changed.role, changed.scope) == (Role.OPERATOR, None)
    assert [user.name for user in await accounts.all()] == ["Ada", "bob"]
    text = await pool.fetchval("SELECT string_agg(users::text, ' ') FROM users")
    assert PASSWORD not in text


@pytest.mark.parametrize(
    ("name", "role", "email", "scope", "where"),
    [
        ("", Role.VIEWER, "", None, "name"),
        ("a b", Role.VIEWER, "", None, "name"),
        ("a\0", Role.VIEWER, "", None, "name"),
        ("a" * 65, Role.VIEWER, "", None, "name"),
        ("ada", Role.VIEWER, "no address", None, "email"),
        ("ada", Role.VIEWER, "ada@\nexample", None, "email"),
        ("ada", Role.DEVICE, "", None, "role"),
        ("ada", Role.PUBLIC, "", None, "role"),
        ("ada", Role.ADMIN, "", ["car-1"], "scope"),
        ("ada", Role.VIEWER, "", ["no device!"], "scope"),
        ("ada", Role.VIEWER, "", [f"car-{number}" for number in range(1001)], "scope"),
    ],
)
async def test_wrong_users_are_refused(
    name: str, role: Role, email: str, scope: list[str] | None, where: str
) -> None:
    """Each wrong part is named, before anything is asked of a database."""
    users = Users(None, UsersConfig(), HandClock())
    refusal = await refused(users.accounts.create(name, PASSWORD, role, email=email, scope=scope))
    assert (refusal.status, refusal.where) == (400, where)


async def test_an_admin_is_always_left(users: Users) -> None:
    """The last active admin can neither be switched off nor lose the role, not by two at once."""
    accounts = users.accounts
    await accounts.create("ada", PASSWORD, Role.ADMIN)
    for changes in (Changes(active=False), Changes(role=Role.OPERATOR)):
        assert (await refused(accounts.change("ada", changes))).status == 409
    await accounts.create("eve", PASSWORD, Role.ADMIN)
    answers = await asyncio.gather(
        *(accounts.change(name, Changes(active=False)) for name in ("ada", "eve")),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Refusal) for answer in answers) == 1
    assert sum(user.active for user in await accounts.all()) == 1


async def test_two_gateways_leave_an_admin(
    users: Users, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """Nor by two gateways at once, nor is a second first admin made."""
    other = Users(pool, UsersConfig(), clock)
    for one in (users, other):
        await one.setup.begin("http://gateway.test")
    assert users.setup.code != other.setup.code
    assert users.setup.code is not None
    assert other.setup.code is not None
    await users.setup.first_admin(users.setup.code, "ada", PASSWORD, "")
    second = other.setup.first_admin(other.setup.code, "eve", PASSWORD, "")
    assert (await refused(second)).status == 409
    await users.accounts.create("eve", PASSWORD, Role.ADMIN)
    for _ in range(5):
        await pool.execute("UPDATE users SET active = true")
        clock.now_s += REFRESH_S
        for one in (users, other):
            await one.directory.fresh()
        await asyncio.gather(
            users.accounts.change("ada", Changes(active=False)),
            other.accounts.change("eve", Changes(active=False)),
            return_exceptions=True,
        )
        assert await pool.fetchval("SELECT count(*) FROM users WHERE active") == 1
    await other.close()


async def test_a_password_signs_in(users: Users, clock: HandClock) -> None:
    """The right one, of an active user; an unknown user and a wrong password look the same."""
    accounts = users.accounts
    await accounts.create("ada", PASSWORD, Role.ADMIN)
    await accounts.create("bob", PASSWORD, Role.VIEWER)
    found = await users.sign_in.user(from_address("10.0.0.1"), "ADA", PASSWORD)
    assert (found.name, found.last_login_ns) == ("ada", clock.now_ns())
    await accounts.change("bob", Changes(active=False))
    told = {
        str(await refused(users.sign_in.user(from_address("10.0.0.1"), name, given)))
        for name, given in (("ada", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("", ""))
    }
    assert len(told) == 1


async def test_an_old_hash_becomes_a_new_one(users: Users, pool: asyncpg.Pool) -> None:
    """A user who was brought with a bcrypt hash signs in, and is kept as argon2id from then on."""
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await users.accounts.create("ada", old, Role.ADMIN)
    assert await pool.fetchval("SELECT password FROM users") == old
    for _ in range(2):
        await users.sign_in.user(from_address("10.0.0.1"), "ada", PASSWORD)
        assert (await pool.fetchval("SELECT password FROM users")).startswith("$argon2id$")


@pytest.mark.parametrize("cost", ["31", "17", "03", "x1"])
async def test_an_old_hash_that_costs_too_much(users: Users, cost: str) -> None:
    """A bcrypt hash that would take a core for days at each sign-in is refused."""
    refusal = await refused(users.accounts.create("ada", f"$2b${cost}${'a' * 53}", Role.ADMIN))
    assert (refusal.status, refusal.where) == (400, "password")
    assert "a" * 53 not in str(refusal)


@pytest.mark.promise("X08")
async def test_guessing_is_slowed_down(users: Users, clock: HandClock) -> None:
    """Of an address for one account, of an address, of an account from anywhere."""
    sign_in = users.sign_in
    await users.accounts.create("ada", PASSWORD, Role.ADMIN)
    for _ in range(BOTH_BURST):
        assert (await refused(sign_in.user(from_address("10.0.0.1"), "ada", "w"))).status == 401
    late = await refused(sign_in.user(from_address("10.0.0.1"), "ada", PASSWORD))
    assert late.status == 429
    assert late.headers is not None
    assert 0 < int(late.headers["retry-after"]) <= 30
    for number in range(ADDRESS_BURST - BOTH_BURST):
        await refused(sign_in.user(from_address("10.0.0.1"), f"u{number}", "w"))
    assert (await refused(sign_in.user(from_address("10.0.0.1"), "new", "w"))).status == 429
    clock.now_s += 3600
    assert (await sign_in.user(from_address("10.0.0.1"), "ada", PASSWORD)).name == "ada"


async def test_guessing_elsewhere_locks_nobody_out(
    users: Users, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that many addresses try is refused to new ones, not where it is signed in from."""
    ada = await users.accounts.create("ada", PASSWORD, Role.ADMIN)
    await users.sessions.open(ada, TOKEN, "10.0.0.1", "")
    sign_in = users.sign_in

    async def wrong(name: str, given: str) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(users.accounts, "with_password", wrong)
        for number in range(ACCOUNT_BURST):
            where = from_address(f"10.1.0.{number}")
            assert (await refused(sign_in.user(where, "ada", "w"))).status == 401
    assert (await refused(sign_in.user(from_address("10.2.0.1"), "ada", PASSWORD))).status == 429
    for _ in range(20):  # right ones are not counted
        assert (await sign_in.user(from_address("10.0.0.1"), "ada", PASSWORD)).name == "ada"


def test_a_network_of_ipv6_is_one_sender() -> None:
    """Whoever has an IPv6 network cannot try once from each address."""
    assert network_of("2001:db8::1") == network_of("2001:db8:0:0:ffff::2") == "2001:db8::/64"
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("testclient") == "testclient"


async def test_another_gateway_learns_of_it(
    users: Users, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """What one gateway changes counts at another within the time of its refresh."""
    other = Users(pool, UsersConfig(), clock)
    ada = await users.accounts.create("ada", PASSWORD, Role.ADMIN)
    eve = await users.accounts.create("eve", PASSWORD, Role.ADMIN)
    session, _ = await users.sessions.open(eve, TOKEN, "", "")
    await other.directory.fresh()
    assert other.sessions.live(session.id) is not None
    await users.accounts.change("ada", Changes(email="ada@example.com"))
    await pool.execute("UPDATE users SET active = false WHERE name = 'eve'")  # by hand
    clock.now_s += REFRESH_S
    assert (await other.accounts.find("ada")).email == "ada@example.com"
    assert other.sessions.live(session.id) is None
    assert ada.email == ""
    await other.close()


async def test_what_is_known_stays_in_force(
    users: Users, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """While the database is away the users are those that were read last."""
    await users.accounts.create("ada", PASSWORD, Role.ADMIN)
    clock.now_s += REFRESH_S

    class Away:
        def acquire(self) -> Any:
            raise ConnectionRefusedError("no database")

    users.directory._pool = Away()
    assert (await users.accounts.find("ada")).name == "ada"
    users.directory._pool = pool
