"""Sessions and tokens: cookies, refresh tokens, JWTs, tickets; their ends, and attacks on them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import asyncpg
import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.answers import Refusal
from server.api.role import Role
from server.users.accounts import Changes
from server.users.config import UsersConfig
from server.users.directory import BROWSER, TOKEN
from server.users.principal import NOBODY, Kind, Principal
from server.users.secret import COOKIE, REFRESH, TICKET, is_secret, make_secret
from server.users.service import Users
from server.users.sessions import SESSIONS_LIMIT, csrf_token
from server.users.tickets import LIFE_S, TICKETS_LIMIT_EACH, Tickets
from server.users.tokens import ALGORITHM, AUDIENCE, ISSUER, KEY_LIFE_S, TYPE
from tests.server.hand_clock import HandClock
from tests.server.users.conftest import PASSWORD

DAY_S = 86_400


async def test_a_cookie_is_a_session(users: Users, pool: asyncpg.Pool) -> None:
    """The secret of a cookie finds its session and user; the database holds only its hash."""
    ada = await users.accounts.create("ada", PASSWORD, Role.OPERATOR, scope=["car-1"])
    session, secret = await users.sessions.open(ada, BROWSER, "10.0.0.1", "Firefox\x1b[0m")
    assert await users.sessions.of_cookie(secret) == session
    assert session.agent == "Firefox?[0m"
    who = users.sessions.principal(session)
    assert (who.name, who.role, who.kind) == ("ada", Role.OPERATOR, Kind.USER)
    assert who.may_read("car-1")
    assert not who.may_read("car-2")
    text = await pool.fetchval("SELECT string_agg(user_sessions::text, '') FROM user_sessions")
    assert secret not in text
    assert secret.split("_")[2] not in text
    other = make_secret(COOKIE, lambda size: b"\1" * size)
    for wrong in ("", "x", secret[:-1], secret.replace(COOKIE, REFRESH), other, "é" * len(secret)):
        assert await users.sessions.of_cookie(wrong) is None


async def test_sessions_end_by_time(users: Users, clock: HandClock) -> None:
    """One that rests ends after the idle time, one that is used after its life."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    idle, _ = await users.sessions.open(ada, BROWSER, "", "")
    used, secret = await users.sessions.open(ada, BROWSER, "", "")
    for _ in range(29):
        clock.now_s += DAY_S
        found = await users.sessions.of_cookie(secret)
        assert found is not None
        users.sessions.principal(found)
    assert users.sessions.live(idle.id) is None
    assert [session.id for session in users.sessions.of_user(ada.id)] == [used.id]
    clock.now_s += DAY_S
    assert await users.sessions.of_cookie(secret) is None


async def test_the_last_use_survives_a_restart(
    users: Users, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """It is written at the end at the latest."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    session, _ = await users.sessions.open(ada, BROWSER, "", "")
    clock.now_s += 100
    users.sessions.principal(session)
    await users.close()
    assert await pool.fetchval("SELECT used_ns FROM user_sessions") == clock.now_ns()


async def test_a_user_has_a_bounded_number_of_sessions(users: Users, clock: HandClock) -> None:
    """One more than that ends the one that was unused longest."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    opened = []
    for _ in range(SESSIONS_LIMIT + 2):
        clock.now_s += 1
        opened.append((await users.sessions.open(ada, TOKEN, "", ""))[0].id)
    kept = [session.id for session in users.sessions.of_user(ada.id)]
    assert kept == opened[:1:-1]


async def test_changes_count_at_once(users: Users) -> None:
    """Another role or scope, a switched-off account, a new password, an ended session."""
    accounts, sessions = users.accounts, users.sessions
    await accounts.create("root", PASSWORD, Role.ADMIN)
    ada = await accounts.create("ada", PASSWORD, Role.OPERATOR)
    session, secret = await sessions.open(ada, BROWSER, "", "")
    other, _ = await sessions.open(ada, BROWSER, "", "")
    who = sessions.principal(session)
    assert sessions.is_live(who)
    await accounts.change("ada", Changes(role=Role.VIEWER, scope=("car-1",)))
    assert not sessions.is_live(who)
    now = sessions.principal(session)
    assert (now.role, now.scope) == (Role.VIEWER, frozenset({"car-1"}))
    await accounts.set_password(ada, "another password", keep=session.id)
    assert [one.id for one in sessions.of_user(ada.id)] == [session.id]
    assert sessions.live(other.id) is None
    await accounts.change("ada", Changes(active=False))
    assert await sessions.of_cookie(secret) is None
    await accounts.change("ada", Changes(active=True))
    assert await sessions.of_cookie(secret) is None
    session, secret = await sessions.open(ada, BROWSER, "", "")
    await sessions.end([session.id])
    assert await sessions.of_cookie(secret) is None


async def test_a_refresh_token_works_once(users: Users) -> None:
    """Each gives the next; one that comes twice was stolen, and ends the session for both."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    session, first = await users.sessions.open(ada, TOKEN, "", "")
    access = await users.tokens.issue(session)
    renewed = await users.sessions.renew(first)
    assert renewed is not None
    assert renewed[0].id == session.id
    second = renewed[1]
    assert await users.sessions.of_cookie(second) is None  # no cookie
    assert await users.sessions.renew(first) is None
    assert await users.sessions.renew(second) is None
    said = await users.tokens.claims(access)
    assert said is not None
    assert users.sessions.live(said.session) is None


def forged(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """A JWT put together by hand."""

    def part(what: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b"=")

    body = part(header) + b"." + part(claims)
    sign = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(header["alg"], hashlib.sha256)
    mac = b"" if header["alg"] == "none" else hmac.digest(key, body, sign)
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


@pytest.mark.promise("X01")
async def test_only_our_own_tokens_count(users: Users, clock: HandClock) -> None:
    """Another algorithm, none, another key, issuer, audience, type, time or key id: refused."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    session, _ = await users.sessions.open(ada, TOKEN, "", "")
    token = await users.tokens.issue(session)
    (key,) = users.directory.keys.values()
    now_s = int(clock.now_s)
    header = {"alg": ALGORITHM, "kid": key.id, "typ": TYPE}
    claims = jwt.decode(
        token,
        key.secret,
        [ALGORITHM],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == ISSUER
    assert claims["exp"] == now_s + 900
    assert "role" not in claims
    said = await users.tokens.claims(forged(header, claims, key.secret))
    assert said is not None
    assert (said.user, said.session) == (ada.id, session.id)
    for changed in (
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS384"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"kid": "another"},
        {"kid": None},
        {"kid": 1},
        {"kid": ["x"]},
        {"typ": "JWT"},
        {"typ": None},
        {"crit": ["exp"]},
    ):
        assert await users.tokens.claims(forged(header | changed, claims, key.secret)) is None
    for wrong in (
        {"iss": "elsewhere"},
        {"aud": "elsewhere"},
        {"aud": []},
        {"exp": now_s},
        {"exp": now_s - 1},
        {"exp": "never"},
        {"exp": True},
        {"exp": 1e30},
        {"iat": now_s + 3600},
        {"sub": "root"},
        {"sub": None},
        {"sid": None},
        {"sid": "1"},
        {"sid": True},
    ):
        assert await users.tokens.claims(forged(header, claims | wrong, key.secret)) is None
    for missing in ("iss", "aud", "exp", "iat", "sub", "sid"):
        less = {name: value for name, value in claims.items() if name != missing}
        assert await users.tokens.claims(forged(header, less, key.secret)) is None
    assert await users.tokens.claims(forged(header, claims, b"another key" * 3)) is None
    for text in ("", ".", "..", "a.b.c", token + "x", token[:-2], "\0", "é.é.é", "x" * 10_000):
        assert await users.tokens.claims(text) is None


async def test_a_token_ends_by_the_gateways_clock(users: Users, clock: HandClock) -> None:
    """After its life, to the second."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    session, _ = await users.sessions.open(ada, TOKEN, "", "")
    token = await users.tokens.issue(session)
    clock.now_s += 899
    assert await users.tokens.claims(token) is not None
    clock.now_s += 1
    assert await users.tokens.claims(token) is None


async def test_keys_of_tokens_rotate(users: Users, clock: HandClock, pool: asyncpg.Pool) -> None:
    """Tokens of the key before stay good until they expire, unless it has leaked."""
    ada = await users.accounts.create("ada", PASSWORD, Role.VIEWER)
    session, _ = await users.sessions.open(ada, TOKEN, "", "")
    first = await users.tokens.issue(session)
    await users.tokens.rotate(end_others=False)
    second = await users.tokens.issue(session)
    kids = [jwt.get_unverified_header(token)["kid"] for token in (first, second)]
    assert kids[0] != kids[1]
    assert await users.tokens.claims(first) is not None
    again = Users(pool, UsersConfig(), clock)  # a restart: the keys are the database's
    assert await again.tokens.claims(second) is not None
    await users.tokens.rotate(end_others=True)
    assert await users.tokens.claims(first) is None
    assert await users.tokens.claims(second) is None
    third = await users.tokens.issue(session)
    clock.now_s += KEY_LIFE_S + 1
    fourth = await users.tokens.issue(session)
    assert jwt.get_unverified_header(third)["kid"] != jwt.get_unverified_header(fourth)["kid"]
    assert await pool.fetchval("SELECT count(*) FROM token_keys") == 2


def test_a_ticket_counts_once() -> None:
    """Within half a minute, for whom it was given; no more than a bound are out."""
    clock = HandClock()
    tickets = Tickets(clock)
    ada = Principal("ada", Role.VIEWER, Kind.USER, user=1, session=1)
    ticket = tickets.give(ada)
    assert tickets.take(ticket + "x") is None
    assert tickets.take(ticket) == ada
    assert tickets.take(ticket) is None
    late = tickets.give(ada)
    clock.now_s += LIFE_S
    assert tickets.take(late) is None
    for _ in range(TICKETS_LIMIT_EACH):
        tickets.give(ada)
    with pytest.raises(Refusal) as caught:
        tickets.give(ada)
    assert caught.value.status == 429
    assert tickets.give(NOBODY)


def test_the_csrf_token_belongs_to_its_cookie() -> None:
    """Another for each cookie, and not a part of it."""
    one, two = (make_secret(COOKIE, lambda size, n=n: bytes([n]) * size) for n in (1, 2))
    assert csrf_token(one) == csrf_token(one) != csrf_token(two)
    assert csrf_token(one) not in one


@given(st.binary(min_size=32, max_size=32), st.integers(0, 60), st.characters())
@settings(max_examples=30, deadline=None)
def test_a_mistyped_secret_is_seen(random: bytes, at: int, other: str) -> None:
    """A secret is well formed; with any one character changed it is not."""
    secret = make_secret(TICKET, lambda size: random)
    assert is_secret(TICKET, secret)
    assert not is_secret(COOKIE, secret)
    at %= len(secret)
    changed = secret[:at] + other + secret[at + 1 :]
    assert is_secret(TICKET, changed) == (changed == secret)
