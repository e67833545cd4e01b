"""Users over HTTP, by clients from outside: OAuth2 with refresh, a cookie jar, a JWT library."""

from __future__ import annotations

import asyncio
import http.cookiejar
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import httpx2
import jwt
import pytest

from server.api.role import Role
from server.app import make_app
from server.gateway import Gateway
from server.users import audit
from server.users.tokens import ALGORITHM, AUDIENCE, ISSUER
from tests.server.users.asking import Asker
from tests.server.users.conftest import PASSWORD, SECRET

API = f'[api]\nsecret = "{SECRET}"\n'
NO_LOCAL_ROLE = {"TELERIG_USERS_LOCAL_ROLE": "none"}
KEY = {"X-API-Key": SECRET}
OTHER = "another long password"


@pytest.fixture
async def gateway(run_gateway: Callable[..., Any]) -> AsyncIterator[Gateway]:
    """A gateway without users, which trusts nobody for being on this machine."""
    async with run_gateway(API, NO_LOCAL_ROLE) as running:
        yield running


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without credentials."""
    async with httpx2.AsyncClient(base_url=gateway.url) as made:
        yield made


class PasswordFlow(httpx2.Auth):
    """OAuth2 as a client has it: a token with the password, another with the refresh token."""

    requires_response_body = True

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url
        self.form = {"grant_type": "password", "username": name, "password": password}
        self.token: dict[str, Any] = {}
        self.asked: list[str] = []

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send with a token; with the next one where that has expired."""
        for form in (self.form, self._refresh()):
            if not self.token:
                self.asked.append(form["grant_type"])
                answer = yield httpx2.Request("POST", f"{self.url}/api/auth/token", data=form)
                answer.raise_for_status()
                self.token = answer.json()
            request.headers["Authorization"] = f"Bearer {self.token['access_token']}"
            answer = yield request
            if answer.status_code != 401:
                return
            self.form = self._refresh()
            self.token = {}

    def _refresh(self) -> dict[str, str]:
        token = self.token.get("refresh_token", "")
        return {"grant_type": "refresh_token", "refresh_token": token} if token else self.form


@pytest.mark.promise("E01")
@pytest.mark.promise("X01")
async def test_the_password_flow_of_oauth2(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    """A form gives a bearer token, which a JWT library reads; a refresh token gives the next."""
    await gateway.users.accounts.create("ada", PASSWORD, Role.ADMIN)
    flow = PasswordFlow(gateway.url, "ada", PASSWORD)
    assert (await client.get("/api/v1/links", auth=flow)).status_code == 200
    assert flow.token["token_type"] == "bearer"
    (key,) = gateway.users.directory.keys.values()
    said = jwt.decode(
        flow.token["access_token"], key.secret, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER
    )
    assert said["exp"] - said["iat"] == flow.token["expires_in"] == 900
    flow.form = flow._refresh()
    await gateway.users.tokens.rotate(end_others=True)  # the token counts no more
    assert (await client.get("/api/v1/links", auth=flow)).status_code == 200
    assert flow.asked == ["password", "refresh_token"]
    refresh = {"token": flow.token["refresh_token"], "token_type_hint": "refresh_token"}
    for _ in range(2):
        assert (await client.post("/api/v1/auth/revoke", data=refresh)).status_code == 200
    bearer = {"Authorization": f"Bearer {flow.token['access_token']}"}
    assert (await client.get("/api/v1/links", headers=bearer)).status_code == 401


async def test_no_token_is_told_as_oauth2_has_it(
    gateway: Gateway, client: httpx2.AsyncClient
) -> None:
    """Status 400 with `error`; nothing that tells an unknown user from a wrong password."""
    await gateway.users.accounts.create("ada", PASSWORD, Role.ADMIN)
    told = set()
    for form in (
        {"username": "ada", "password": "wrong"},
        {"username": "nobody", "password": PASSWORD},
        {"username": "", "password": ""},
    ):
        answer = await client.post("/api/auth/token", data=form)
        assert answer.status_code == 400
        assert answer.headers["cache-control"] == "no-store"
        told.add(answer.text)
    assert len(told) == 1
    assert json.loads(told.pop())["error"] == "invalid_grant"
    for form, error in (
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    ):
        answer = await client.post("/api/auth/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, error)
    answer = await client.post("/api/auth/token", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 415


@pytest.mark.promise("E01")
async def test_the_first_admin_is_made_with_the_code(
    gateway: Gateway, client: httpx2.AsyncClient
) -> None:
    """Once; there is no default password, and a gateway with users has no code."""
    code = gateway.users.setup.code
    assert code is not None
    assert (await client.get("/api/v1/setup")).json() == {"needed": True}
    for name, given in (("admin", "admin"), ("admin", "password"), ("root", "telerig")):
        form = {"username": name, "password": given}
        assert (await client.post("/api/auth/token", data=form)).status_code == 400
    ada = {"name": "ada", "password": PASSWORD, "email": "ada@example.com"}
    wrong = await client.post("/api/v1/setup", json={**ada, "code": "AAAA-AAAA-AAAA-AAAA"})
    assert wrong.status_code == 403
    easy = await client.post("/api/v1/setup", json={**ada, "code": code, "password": "admin"})
    assert easy.status_code == 400
    made = await client.post("/api/v1/setup", json={**ada, "code": code.lower().replace("-", " ")})
    assert made.status_code == 201
    assert made.json()["user"]["role"] == "admin"
    assert (await client.get("/api/v1/setup")).json() == {"needed": False}
    again = await client.post("/api/v1/setup", json={**ada, "code": code, "name": "eve"})
    assert again.status_code == 409
    await gateway.users.setup.begin("")
    assert gateway.users.setup.code is None


async def test_guessing_the_code_is_slowed_down(gateway: Gateway) -> None:
    """After some wrong ones it is 429; and what is there is not changed."""
    asker = Asker(make_app(gateway))
    wrong = json.dumps({"code": "x", "name": "eve", "password": PASSWORD}).encode()
    answers = [(await asker.ask("POST", "/api/v1/setup", {}, wrong)).status for _ in range(25)]
    assert answers.count(403) >= 20
    assert 429 in answers


async def test_a_browser_with_a_cookie_jar(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    """The jars of two libraries take the cookie and send it; a new password ends the others."""
    await gateway.users.accounts.create("ada", PASSWORD, Role.OPERATOR)
    login = await client.post("/api/v1/auth/login", json={"name": "ada", "password": PASSWORD})
    assert login.status_code == 200
    csrf = {"X-CSRF-Token": login.json()["csrf"]}
    assert (await client.get("/api/v1/auth/me")).json()["name"] == "ada"
    jar = http.cookiejar.CookieJar()

    def with_urllib() -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        credentials = json.dumps({"name": "ada", "password": PASSWORD}).encode()
        if not list(jar):
            opener.open(f"{gateway.url}/api/v1/auth/login", credentials)
        try:
            return 200, opener.open(f"{gateway.url}/api/v1/auth/sessions").read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    status, text = await asyncio.to_thread(with_urllib)
    assert status == 200
    assert len(json.loads(text)["sessions"]) == 2
    (cookie,) = jar
    assert cookie.has_nonstandard_attr("HttpOnly")
    change = {"old": "wrong", "new": OTHER}
    refused = await client.post("/api/v1/auth/password", json=change, headers=csrf)
    assert refused.status_code == 401
    change["old"] = PASSWORD
    done = await client.post("/api/v1/auth/password", json=change, headers=csrf)
    assert done.status_code == 204
    assert (await client.get("/api/v1/auth/me")).json()["name"] == "ada"
    assert (await asyncio.to_thread(with_urllib))[0] == 401
    own = (await client.get("/api/v1/auth/sessions")).json()["sessions"]
    path = f"/api/v1/auth/sessions/{own[0]['id']}"
    assert (await client.delete("/api/v1/auth/sessions/999", headers=csrf)).status_code == 404
    assert (await client.delete(path, headers=csrf)).status_code == 204
    assert (await client.get("/api/v1/auth/me")).json()["kind"] == "nobody"
    secrets_password = await client.post("/api/v1/auth/password", json=change, headers=KEY)
    assert secrets_password.status_code == 409


@pytest.mark.promise("X05")
async def test_an_admin_makes_and_changes_users(
    gateway: Gateway, client: httpx2.AsyncClient
) -> None:
    """With the API secret or as an admin; unknown fields are refused, no one makes itself more."""
    client.headers.update(KEY)
    bob = {"name": "bob", "password": PASSWORD, "role": "viewer", "scope": ["car-1"]}
    assert (await client.post("/api/v1/users", json=bob)).status_code == 201
    assert (await client.post("/api/v1/users", json=bob)).status_code == 409
    for more in ({"id": 1}, {"active": True}, {"role": "compat"}, {"role": "Admin"}):
        answer = await client.post("/api/v1/users", json={**bob, "name": "eve", **more})
        assert answer.status_code == 400, more
    for changes, status in (
        ({"role": "operator"}, 200),
        ({"scope": None}, 200),
        ({"scope": ["car-2"]}, 200),
        ({"role": "admin"}, 200),
        ({"role": "viewer"}, 409),
        ({"active": False}, 409),
        ({"name": "root"}, 400),
        ({"password": "short"}, 400),
        ({"password": OTHER}, 200),
        ({}, 200),
    ):
        answer = await client.patch("/api/v1/users/bob", json=changes)
        assert answer.status_code == status, (changes, answer.text)
    found = (await client.get("/api/v1/users/BOB")).json()
    assert (found["user"]["role"], found["user"]["scope"]) == ("admin", None)
    assert "password" not in json.dumps(found)
    for path in ("/api/v1/users/nobody", "/api/v1/users/%00", "/api/v1/users/a%2Fb"):
        assert (await client.get(path)).status_code == 404
    form = {"username": "bob", "password": OTHER}
    token = (await client.post("/api/auth/token", data=form)).json()["access_token"]
    ended = await client.delete("/api/v1/users/bob/sessions")
    assert ended.json() == {"ended": 1}
    rotated = await client.post("/api/v1/auth/keys", json={"end_others": True})
    assert rotated.status_code == 201
    del client.headers["X-API-Key"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/api/v1/links", headers=bearer)).status_code == 401


async def test_the_audit_log_tells_who_did_what(
    gateway: Gateway, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-ins, changes and refusals with name and address, newest first, in pages; no secret."""
    # The same again before the next writing is one entry, on a busy machine as well.
    monkeypatch.setattr(audit, "WRITE_S", 60.0)
    accounts = gateway.users.accounts
    await accounts.create("ada", PASSWORD, Role.ADMIN)
    await accounts.create("bob", PASSWORD, Role.VIEWER)
    tokens = {}
    for name in ("ada", "bob"):
        form = {"username": name, "password": PASSWORD}
        token = (await client.post("/api/auth/token", data=form)).json()["access_token"]
        tokens[name] = {"Authorization": f"Bearer {token}"}
    wrong = {"username": "ad\x1ba", "password": "wrong"}
    for _ in range(3):
        await client.post("/api/auth/token", data=wrong)
    await client.get("/api/v1/users", headers=tokens["bob"])
    await client.post("/api/v1/devices", json={"id": "esp-1"}, headers=tokens["ada"])
    await client.post("/api/v1/devices", json={"id": "esp-1"}, headers=tokens["ada"])
    await client.delete("/api/v1/devices/esp-1", headers=tokens["ada"])
    answer = await client.get("/api/v1/audit", headers=tokens["ada"])
    entries = answer.json()["entries"]
    told = [(e["who"], e["action"], e["object"], e["outcome"], e["times"]) for e in entries[::-1]]
    register = next(e["action"] for e in entries if e["action"].startswith("Register"))
    assert [one for one in told if one[0] == "ada"] == [
        ("ada", "sign in", "ada", "done", 1),
        ("ada", register, "", "done", 1),
        ("ada", register, "", "refused: 409", 1),
        ("ada", told[-1][1], "esp-1", "done", 1),
    ]
    assert ("ad?a", "sign in", "ad?a", "refused: name or password", 3) in told
    assert ("bob", "/api/v1/users", "", "refused: a viewer", 1) in told
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    assert PASSWORD not in answer.text
    page = (await client.get("/api/v1/audit?limit=2", headers=tokens["ada"])).json()
    rest = f"/api/v1/audit?before={page['next']}"
    assert (
        page["entries"] + (await client.get(rest, headers=tokens["ada"])).json()["entries"]
        == entries
    )
    of_bob = (await client.get("/api/v1/audit?who=bob", headers=tokens["ada"])).json()["entries"]
    assert {entry["who"] for entry in of_bob} == {"bob"}


async def test_the_audit_log_waits_for_the_database(gateway: Gateway) -> None:
    """What cannot be written is kept, within a bound, and written later."""
    audit = gateway.users.audit
    pool = audit._pool

    class Away:
        def acquire(self) -> Any:
            raise ConnectionRefusedError("no database")

    audit._pool = Away()
    for number in range(1_200):
        audit.note("ada", "user", "10.0.0.1", "try", str(number), "done")
    await audit.flush()
    audit._pool = pool
    await audit.flush()
    assert await pool.fetchval("SELECT count(*) FROM audit") == 1_000
    assert await pool.fetchval("SELECT max(object::int) FROM audit") == 1_199
