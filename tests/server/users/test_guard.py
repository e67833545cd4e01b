"""The guard: whom it lets in and how, and what attackers try to be let in by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from starlette.requests import HTTPConnection

from server.api.role import Role
from server.app import make_app
from server.gateway import Gateway
from server.users.accounts import Changes
from server.users.local import why_not_local
from server.users.pages import foreign_page
from server.users.principal import OPERATOR_SECRET
from tests.server.users.asking import Answer, Asker
from tests.server.users.conftest import PASSWORD, SECRET

API = f'[api]\nsecret = "{SECRET}"\n'
NO_LOCAL_ROLE = {"TELERIG_USERS_LOCAL_ROLE": "none"}
HOST = "gateway.test"
PAGE = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
LINKS = "/api/v1/links"
LIVE = "/api/v1/live?no_such_parameter=1"
ADMITTED = 400
"""What the guard lets pass is then told that the parameter is wrong."""


@pytest.fixture
async def gateway(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway with an admin, which trusts nobody for being on this machine."""
    async with run_gateway(API, NO_LOCAL_ROLE) as running:
        await running.users.accounts.create("ada", PASSWORD, Role.ADMIN)
        yield running


def body(**content: Any) -> bytes:
    """JSON."""
    return json.dumps(content).encode()


def connection(**changes: Any) -> HTTPConnection:
    """A request of a program of this machine, but for what is changed."""
    headers = {"host": "localhost:8000"} | changes.pop("headers", {})
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection(
        {"type": "http", "client": ("127.0.0.1", 5), "path": "/", "headers": raw} | changes
    )


@pytest.mark.parametrize(
    ("changes", "is_local"),
    [
        ({}, True),
        ({"client": ("::1", 5)}, True),
        ({"client": ("::ffff:127.0.0.1", 5)}, True),
        ({"headers": {"host": "127.0.0.1:8000"}}, True),
        ({"headers": {"host": "[::1]:8000"}}, True),
        ({"client": None}, False),
        ({"client": ("10.0.0.1", 5)}, False),
        ({"client": ("not an address", 5)}, False),
        # DNS rebinding: the name of an attacker points here.
        ({"headers": {"host": "evil.example"}}, False),
        ({"headers": {"host": "localhost.evil.example"}}, False),
        ({"headers": {"host": "127.0.0.1.evil.example"}}, False),
        ({"headers": {"host": "evil.example@localhost:8000"}}, True),  # still this machine's
        ({"headers": {"host": "[::1"}}, False),
        ({"headers": {"host": ""}}, False),
        # A proxy in between: who asks is not the peer.
        ({"headers": {"forwarded": "for=127.0.0.1"}}, False),
        ({"headers": {"x-forwarded-for": "127.0.0.1"}}, False),
        ({"headers": {"x-forwarded-host": "localhost"}}, False),
        ({"headers": {"x-real-ip": "127.0.0.1"}}, False),
        ({"headers": {"via": "1.1 proxy"}}, False),
    ],
)
def test_what_is_local(changes: dict[str, Any], is_local: bool) -> None:
    """A loopback peer, no proxy, and a Host of this machine."""
    assert (why_not_local(connection(**changes)) == "") == is_local


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        ({}, False),
        ({"origin": "http://localhost:8000"}, False),
        ({"origin": "https://app.example"}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://["}, True),
        ({"origin": "*"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "nonsense"}, True),
    ],
)
def test_what_is_a_foreign_page(headers: dict[str, str], is_foreign: bool) -> None:
    """The gateway's own pages, listed ones and no page are not; "*" lists nobody here."""
    allowed = ("https://app.example", "*")
    assert bool(foreign_page(connection(headers=headers), allowed)) == is_foreign


async def test_this_machine_has_the_local_role(run_gateway: Callable[..., Any]) -> None:
    """And no more than that; not through a proxy, not from a foreign page, not with a wrong key."""
    async with run_gateway(API) as gateway:  # the tests' gateways have viewer
        app = make_app(gateway)
        here = Asker(app, host="127.0.0.1:8000", peer="127.0.0.1")
        assert (await here.ask("GET", LINKS)).status == 200
        assert (await here.ask("GET", "/api/v1/users")).status == 401
        assert (await here.ask("GET", "/api/v1/auth/me")).json()["kind"] == "local"
        for headers in (
            {"x-forwarded-for": "127.0.0.1"},
            {"forwarded": "for=127.0.0.1;host=localhost"},
            {"origin": "http://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"x-api-key": "wrong"},
            {"authorization": "Bearer wrong"},
            {"authorization": ""},
        ):
            assert (await here.ask("GET", LINKS, headers)).status == 401, headers
        for asker in (
            Asker(app, host="evil.example", peer="127.0.0.1"),
            Asker(app, host="127.0.0.1:8000", peer="10.0.0.1"),
        ):
            assert (await asker.ask("GET", LINKS)).status == 401


async def sign_in(asker: Asker, **headers: str) -> tuple[Answer, dict[str, str]]:
    """Sign in as a page; give the answer, and the headers of what the page sends from then on."""
    credentials = body(name="ada", password=PASSWORD)
    answer = await asker.ask("POST", "/api/v1/auth/login", PAGE | headers, credentials)
    assert answer.status == 200, answer.body
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return answer, {"cookie": cookie, "x-csrf-token": answer.json()["csrf"], **PAGE}


async def test_a_page_signs_in_with_a_cookie(gateway: Gateway) -> None:
    """HttpOnly and SameSite=Lax, over TLS Secure and bound to the host; gone after signing out."""
    asker = Asker(make_app(gateway), HOST)
    answer, page = await sign_in(asker)
    flags = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(flags)
    assert "Secure" not in flags
    assert answer.headers["cache-control"] == "no-store"
    me = (await asker.ask("GET", "/api/v1/auth/me", page)).json()
    assert (me["name"], me["role"], me["csrf"]) == ("ada", "admin", page["x-csrf-token"])
    own = (await asker.ask("GET", "/api/v1/auth/sessions", page)).json()["sessions"]
    assert [session["current"] for session in own] == [True]
    assert (await asker.ask("POST", "/api/v1/auth/logout", page)).status == 204
    assert (await asker.ask("GET", LINKS, page)).status == 401
    credentials = body(name="ada", password=PASSWORD)
    login = await asker.ask("POST", "/api/v1/auth/login", {}, credentials, scheme="https")
    cookie = login.headers["set-cookie"]
    assert cookie.startswith("__Host-telerig_session=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    # What was given over TLS is not taken without: it may have been seen, or planted.
    secret = {"cookie": cookie.partition(";")[0]}
    assert (await asker.ask("GET", LINKS, secret, scheme="https")).status == 200
    assert (await asker.ask("GET", LINKS, secret)).status == 401
    plain = {"cookie": secret["cookie"].removeprefix("__Host-")}
    assert (await asker.ask("GET", LINKS, plain, scheme="https")).status == 401


async def test_other_sites_cannot_use_the_cookie(gateway: Gateway) -> None:
    """CSRF: without the token, with another's, from a foreign page, or over a WebSocket: refused.

    With the API secret or a bearer token nothing of that is asked.
    """
    asker = Asker(make_app(gateway), HOST)
    _, page = await sign_in(asker)
    _, other = await sign_in(asker)
    new = body(name="mallory", password=PASSWORD)
    for changed in (
        {"x-csrf-token": ""},
        {"x-csrf-token": other["x-csrf-token"]},
        {"x-csrf-token": "é"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}.evil.example"},
    ):
        answer = await asker.ask("POST", "/api/v1/users", page | changed, new)
        assert answer.status == 403, changed
    without_origin = {name: value for name, value in page.items() if name != "origin"}
    crossed = without_origin | {"sec-fetch-site": "cross-site"}
    assert (await asker.ask("POST", "/api/v1/users", crossed, new)).status == 403
    login = body(name="ada", password=PASSWORD)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        assert (await asker.ask("POST", "/api/v1/auth/login", headers, login)).status == 403
    evil = {"cookie": page["cookie"], "origin": "http://evil.example"}
    assert (await asker.ask("WS", LIVE, evil)).status == 403
    assert (await asker.ask("WS", LIVE, {"cookie": page["cookie"], **PAGE})).status == ADMITTED
    assert (await asker.ask("POST", "/api/v1/users", page, new)).status == 201
    another = body(name="carol", password=PASSWORD)
    secret = {"x-api-key": SECRET, "sec-fetch-site": "cross-site"}
    assert (await asker.ask("POST", "/api/v1/users", secret, another)).status == 201


async def test_a_session_cannot_be_fixed(gateway: Gateway) -> None:
    """A cookie that an attacker planted is no session, and the one before ends with the sign-in."""
    asker = Asker(make_app(gateway), HOST)
    _, attackers = await sign_in(asker)
    planted = attackers["cookie"]
    _, victims = await sign_in(asker, cookie=planted)
    assert victims["cookie"] != planted
    assert (await asker.ask("GET", LINKS, attackers)).status == 401
    assert (await asker.ask("GET", LINKS, victims)).status == 200
    made_up = {"cookie": "telerig_session=" + "A" * 60}
    _, own = await sign_in(asker, **made_up)
    assert own["cookie"] != made_up["cookie"]


async def test_one_kind_of_secret_is_no_other(gateway: Gateway) -> None:
    """A cookie, access token, refresh token, ticket or key counts in its own place only."""
    asker = Asker(make_app(gateway), HOST)
    _, page = await sign_in(asker)
    form = f"username=ada&password={PASSWORD.replace(' ', '+')}".encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    token = (await asker.ask("POST", "/api/auth/token", kind, form)).json()
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    ticket = (await asker.ask("POST", "/api/v1/auth/ticket", bearer)).json()["ticket"]
    _, key = await gateway.registry.register("esp-1")
    cookie = page["cookie"].partition("=")[2]
    secrets = [cookie, token["access_token"], token["refresh_token"], ticket, key.key, SECRET]
    right = {("cookie", cookie), ("bearer", token["access_token"]), ("key", SECRET)}
    for secret in secrets:
        for place, headers in (
            ("cookie", {"cookie": f"telerig_session={secret}"}),
            ("bearer", {"authorization": f"Bearer {secret}"}),
            ("key", {"x-api-key": secret}),
        ):
            status = (await asker.ask("GET", LINKS, headers)).status
            assert (status == 200) == ((place, secret) in right), (place, secret[:8])
        if secret != ticket:
            assert (await asker.ask("WS", f"{LIVE}&ticket={secret}")).status == 401
    # A ticket opens one WebSocket, and no page; it is taken out of the address.
    assert (await asker.ask("GET", f"{LINKS}?ticket={ticket}")).status == 401
    assert (await asker.ask("WS", f"{LIVE}&ticket={ticket}")).status == ADMITTED
    assert (await asker.ask("WS", f"{LIVE}&ticket={ticket}")).status == 401
    late = (await asker.ask("POST", "/api/v1/auth/ticket", bearer)).json()["ticket"]
    assert (await asker.ask("POST", "/api/v1/auth/logout", bearer)).status == 204
    assert (await asker.ask("WS", f"{LIVE}&ticket={late}")).status == 401
    # A token that is signed rightly and names another's session.
    eve = await gateway.users.accounts.create("eve", PASSWORD, Role.VIEWER)
    session, _ = await gateway.users.sessions.open(eve, "token", "", "")
    token = await gateway.users.tokens.issue(session)
    bearer = {"authorization": f"Bearer {token}"}
    mixed = await gateway.users.tokens.issue(msgspec.structs.replace(session, user=1))
    assert (await asker.ask("GET", LINKS, {"authorization": f"Bearer {mixed}"})).status == 401
    assert (await asker.ask("GET", LINKS, bearer)).status == 200
    # The first that is there counts: a right one does not help a wrong one.
    assert (await asker.ask("GET", LINKS, {"x-api-key": "wrong", **bearer})).status == 401
    assert (await asker.ask("GET", LINKS, {**page, "authorization": "Bearer x"})).status == 401


async def test_what_is_ended_is_ended_at_once(gateway: Gateway) -> None:
    """A role, an account, a session, a device key: whoever is held is cut off, and asks in vain."""
    users, guard = gateway.users, gateway.guard
    asker = Asker(make_app(gateway), HOST)
    bob = await users.accounts.create("bob", PASSWORD, Role.OPERATOR)
    session, _ = await users.sessions.open(bob, "token", "", "")
    bearer = {"authorization": f"Bearer {await users.tokens.issue(session)}"}
    _, key = await gateway.registry.register("esp-1")
    ended: list[str] = []
    of_bob = users.sessions.principal(session)
    of_device = await guard._device(connection(headers={"x-api-key": key.key}))
    assert (of_device.device, of_device.key) == ("esp-1", key.id)
    with (
        guard.holding(of_bob, lambda: ended.append("bob")),
        guard.holding(of_device, lambda: ended.append("device")),
    ):
        assert (await asker.ask("GET", "/api/v1/obd/pids", bearer)).status != 403
        await users.accounts.create("carol", PASSWORD, Role.VIEWER)
        assert ended == []
        await users.accounts.change("bob", Changes(role=Role.VIEWER))
        assert "bob" in ended
        assert (await asker.ask("GET", "/api/v1/obd/pids", bearer)).status == 403
        await gateway.registry.revoke("esp-1", key.id)
        assert "device" in ended
    ended.clear()
    await users.accounts.change("bob", Changes(active=False))
    assert ended == []  # let go
    assert (await asker.ask("GET", LINKS, bearer)).status == 401


async def test_a_leaked_key_ends_streams_and_tickets(gateway: Gateway) -> None:
    """Who made a token with a leaked key keeps no stream and no ticket; devices are not touched."""
    asker = Asker(make_app(gateway), HOST)
    secret = {"x-api-key": SECRET, "content-type": "application/json"}
    ada = gateway.users.directory.named("ada")
    assert ada is not None
    session, _ = await gateway.users.sessions.open(ada, "token", "", "")
    who = gateway.users.sessions.principal(session)
    ended: list[str] = []
    with (
        gateway.guard.holding(who, lambda: ended.append("ada")),
        gateway.guard.holding(OPERATOR_SECRET, lambda: ended.append("secret")),
    ):
        ticket = gateway.users.tickets.give(who)
        assert (await asker.ask("POST", "/api/v1/auth/keys", secret, body())).status == 201
        assert ended == []
        leaked = body(end_others=True)
        assert (await asker.ask("POST", "/api/v1/auth/keys", secret, leaked)).status == 201
    assert ended == ["ada"]
    assert gateway.users.tickets.take(ticket) is None


async def test_a_user_has_a_rate(run_gateway: Callable[..., Any]) -> None:
    """Beyond it 429 with the time to wait; another user is not touched."""
    slow = {**NO_LOCAL_ROLE, "TELERIG_USERS_REQUESTS_PER_S": "1"}
    async with run_gateway(API, slow) as gateway:
        asker = Asker(make_app(gateway), HOST)
        bearers = []
        for name in ("ada", "bob"):
            user = await gateway.users.accounts.create(name, PASSWORD, Role.ADMIN)
            session, _ = await gateway.users.sessions.open(user, "token", "", "")
            token = await gateway.users.tokens.issue(session)
            bearers.append({"authorization": f"Bearer {token}"})
        answers = [await asker.ask("GET", LINKS, bearers[0]) for _ in range(15)]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(refused) >= 4
        assert int(refused[0].headers["retry-after"]) >= 1
        assert (await asker.ask("GET", LINKS, bearers[1])).status == 200


async def test_a_flood_of_wrong_tokens_asks_no_database(gateway: Gateway) -> None:
    """Cookies, tokens and tickets that are none are refused from memory."""
    asker = Asker(make_app(gateway), HOST)
    await gateway.users.directory.fresh()
    asked = 0
    pool = gateway.users.directory._pool

    class Counting:
        def acquire(self) -> Any:
            nonlocal asked
            asked += 1
            return pool.acquire()

    gateway.users.directory._pool = Counting()
    wrong = [
        {"cookie": "telerig_session=vtg_ses_" + "0" * 43 + "_000000"},
        {"authorization": "Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30.AAAA"},
    ]
    answers = await asyncio.gather(
        *(asker.ask("GET", LINKS, headers) for _ in range(50) for headers in wrong)
    )
    assert {answer.status for answer in answers} == {401}
    assert asked == 0
    gateway.users.directory._pool = pool
