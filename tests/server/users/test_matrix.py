"""Role x object x route: no one reads or does what is not theirs, over the whole routing table.

What is expected follows from the declarations; a new route is in here by being declared.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from server.api.endpoint import Endpoint, Role, Socket
from server.app import declared, make_app
from server.gateway import Gateway
from server.users.directory import TOKEN
from tests.server.users.asking import Answer, Asker
from tests.server.users.conftest import PASSWORD, SECRET

CONFIG = (
    f'[api]\nsecret = "{SECRET}"\n[compat]\ns2 = true\ns4 = true\n'
    "[users]\nlocal_role = 'none'\nrequests_per_s = 0\n"
)
A, B = "car-a", "car-b"
VIN_A, VIN_B = "WF0DXXGAKDDK1234A", "WF0DXXGAKDDK1234B"
NO_DEVICE, NO_VIN = "car-z", "WF0DXXGAKDDK1234Z"
"""As long as the others, and known to nobody."""
PEOPLE: dict[str, tuple[Role, list[str] | None]] = {
    "viewer": (Role.VIEWER, None),
    "viewer of a": (Role.VIEWER, [A]),
    "viewer of b": (Role.VIEWER, [B]),
    "viewer of none": (Role.VIEWER, []),
    "operator": (Role.OPERATOR, None),
    "operator of b": (Role.OPERATOR, [B]),
    "admin": (Role.ADMIN, None),
}
RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3}
ADMITTED = 400
"""What every endpoint says to a parameter that it does not know, once it has let one pass."""
PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
OF_THE_GATEWAY = ("/api/v1/users", "/api/v1/auth", "/api/v1/alerts/targets", "/docs")
"""Paths that name no device's object."""


class Bench(msgspec.Struct):
    """A gateway with two cars, people, and what belongs to car A."""

    gateway: Gateway
    app: Any
    asker: Asker
    table: list[Endpoint | Socket]
    credentials: dict[str, dict[str, str]]
    objects: dict[str, int]

    async def ask(self, who: str, method: str, path: str, body: bytes = b"") -> Answer:
        """Ask as somebody."""
        return await self.asker.ask(method, path, self.credentials[who], body)

    def path(self, declared: str, device: str = A) -> str:
        """A path with the objects of a car in it."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == "device":
                return device
            if name == "vin":
                return VIN_A if device == A else VIN_B
            if name in ("id", "command"):
                prefix = declared[: match.start()].replace("{device}", "*").rstrip("/")
                assert prefix in self.objects, f"name an object of car A for {declared}"
                return str(self.objects[prefix])
            return {"name": "viewer", "file": "x"}.get(name, "1")

        return PARAMETER.sub(value, declared)


@contextlib.asynccontextmanager
async def a_bench(run_gateway: Callable[..., Any]) -> AsyncIterator[Bench]:
    """Run the gateway, with something of each kind that belongs to car A."""
    async with run_gateway(
        CONFIG.partition("[users]")[0],
        {
            "TELERIG_USERS_LOCAL_ROLE": "none",
            "TELERIG_USERS_REQUESTS_PER_S": "0",
        },
    ) as gateway:
        credentials: dict[str, dict[str, str]] = {
            "nobody": {},
            "wrong secret": {"x-api-key": "wrong horse battery"},
            "wrong token": {"authorization": "Bearer a.b.c"},
            "other scheme": {"authorization": f"Basic {SECRET}"},
            "secret": {"x-api-key": SECRET},
        }
        for device, vin in ((A, VIN_A), (B, VIN_B)):
            _, key = await gateway.registry.register(device, device, vin)
            credentials[device] = {"x-api-key": key.key}
        users = gateway.users
        for name, (role, scope) in PEOPLE.items():
            user = await users.accounts.create(name.replace(" ", "-"), PASSWORD, role, scope=scope)
            session, _ = await users.sessions.open(user, TOKEN, "", "")
            token = await users.tokens.issue(session)
            credentials[name] = {"authorization": f"Bearer {token}"}
        app = make_app(gateway)
        bench = Bench(gateway, app, Asker(app), declared(gateway), credentials, {})
        await furnish(bench)
        yield bench


async def furnish(bench: Bench) -> None:
    """Make a session, a trip, a command, a rule and an alert of car A."""
    now_ns = bench.gateway.clock.now_ns()
    column = {"first_time_ns": now_ns - 10**9, "step_ns": 10**8}
    values = {"SPEED": [50, 51], "LAT": [48.1, 48.2], "LON": [11.1, 11.2]}
    columns = [{"signal": name, "values": of, **column} for name, of in values.items()]
    readings = msgspec.json.encode({"boot": 7, "seq": 1, "columns": columns})
    answer = await bench.ask(A, "POST", "/api/v1/ingest/batch", readings)
    assert answer.status == 200, answer.body
    assert answer.json()["accepted"] == 6, answer.body
    pool = bench.gateway.pool
    objects = bench.objects
    session = await pool.fetchval("SELECT id FROM sessions WHERE device = $1", A)
    await pool.execute("UPDATE sessions SET vin = $1 WHERE id = $2", VIN_A, session)
    objects["/api/v1/sessions"] = objects["/api/v1/export/sessions"] = session
    objects["/api/v1/trips"] = await pool.fetchval(
        "INSERT INTO trips (device, vin, start_ns, end_ns, distance_m, distance_source, moving_ns,"
        " max_speed_kmh) VALUES ($1, $2, 1, 2, 3.0, 'speed', 1, 50) RETURNING id",
        A,
        VIN_A,
    )
    objects["/api/v1/devices/*/commands"] = await pool.fetchval(
        "INSERT INTO commands (device, name, parameters, state, queued_ns, expires_ns)"
        " VALUES ($1, 'horn', '{}', 'done', 1, 2) RETURNING id",
        A,
    )
    objects["/api/v1/alerts"] = 1
    await pool.execute(
        "INSERT INTO alerts VALUES (1, 1, 'fast', 'SPEED > 1', 'warning', $1, $2, 'SPEED',"
        " 'threshold', 1, 1, NULL, '', 50, 50, 1, NULL, '', '', '', 0)",
        A,
        VIN_A,
    )
    rule = {"name": "fast a", "signal": "SPEED", "condition": "gt", "threshold": 250, "device": A}
    made = await bench.ask("admin", "POST", "/api/v1/alerts/rules", msgspec.json.encode(rule))
    assert made.status == 201, made.body
    objects["/api/v1/alerts/rules"] = made.json()["id"]
    replay = b'{"device": "car-a", "paused": true}'
    made = await bench.ask("admin", "POST", "/api/v1/replays", replay)
    assert made.status == 201, made.body
    objects["/api/v1/replays"] = made.json()["id"]
    silence = b'{"device": "car-a", "duration_s": 3600}'
    made = await bench.ask("admin", "POST", "/api/v1/alerts/silences", silence)
    assert made.status == 201, made.body
    objects["/api/v1/alerts/silences"] = made.json()["id"]


def method_of(one: Endpoint | Socket) -> str:
    """The method, "WS" for a WebSocket."""
    return "WS" if isinstance(one, Socket) else one.method


def expected(one: Endpoint | Socket, who: str) -> int:
    """What follows from the declaration: 400 for admitted, where the path's device is car A."""
    names_a = "{device}" in one.path
    if who in ("nobody", "wrong secret", "wrong token", "other scheme"):
        return 401
    if who in (A, B):
        if not one.or_device:
            return 401
        return 404 if names_a and who == B else ADMITTED
    role, scope = (Role.ADMIN, None) if who == "secret" else PEOPLE[who]
    if RANK[role] < RANK[one.role]:
        return 403
    return 404 if names_a and scope is not None and A not in scope else ADMITTED


@pytest.mark.promise("X02")
@pytest.mark.promise("X04")
@pytest.mark.promise("X06")
@pytest.mark.promise("X07")
async def test_each_route_lets_in_whom_it_declares(run_gateway: Callable[..., Any]) -> None:
    """Every route, asked by everybody, answers as its role says; and no object of others' is told.

    First with a parameter that nobody knows, so that nothing is done: who is let in gets 400. Then
    what names an object of car A, by those who may and may not see it. Then every list.
    """
    async with a_bench(run_gateway) as bench:
        wrong = await functions(bench)
        wrong += await devices_only(bench)
        wrong += await objects(bench)
        wrong += await lists(bench)
        wrong += await named_in_queries(bench)
        assert not wrong, "\n".join(wrong)


async def functions(bench: Bench) -> list[str]:
    """Ask every route as everybody."""
    wrong = []
    for place, one in enumerate(bench.table):
        if one.role not in RANK:
            continue
        path = bench.path(one.path) + "?no_such_parameter=1"
        for number, (who, headers) in enumerate(bench.credentials.items()):
            # Wrong secrets are counted by address: each route is asked from others.
            asker = Asker(bench.app, peer=f"10.0.{place}.{number}")
            answer = await asker.ask(method_of(one), path, headers)
            if answer.status != expected(one, who):
                found = f"{answer.status}, expected {expected(one, who)}: {answer.body[:200]!r}"
                wrong.append(f"{method_of(one)} {one.path} as {who}: {found}")
            if answer.status == 401 and who not in ("wrong token", "other scheme"):
                assert answer.json()["detail"] == "Invalid API key"
    return wrong


async def devices_only(bench: Bench) -> list[str]:
    """Ask what is for devices only as everybody else."""
    wrong = []
    for one in bench.table:
        if one.role is not Role.DEVICE:
            continue
        for who in bench.credentials:
            answer = await bench.ask(who, method_of(one), bench.path(one.path))
            if (answer.status == 401) != (who not in (A, B)):
                wrong.append(f"{method_of(one)} {one.path} as {who}: {answer.status}")
    return wrong


async def objects(bench: Bench) -> list[str]:
    """Ask for what is car A's: as if it were not there for those of car B, there for those of A."""
    wrong = []
    for one in bench.table:
        is_object = PARAMETER.search(one.path) and not one.path.startswith(OF_THE_GATEWAY)
        if one.role not in RANK or not is_object or one.role is Role.ADMIN:
            continue
        method, path = method_of(one), bench.path(one.path)
        body = b"" if getattr(one, "body", None) is None else b"{}"
        whose = ("viewer of b", "viewer of none")
        for who in whose if one.role is Role.VIEWER else ("operator of b",):
            answer = await bench.ask(who, method, path, body)
            # A body that is not right is told before the object is looked for.
            if answer.status == 404 or (answer.status == 400 and body):
                continue
            if not await is_as_unknown(bench, who, method, path, answer):
                wrong.append(f"{method} {path} as {who}: {answer.status} {answer.body[:200]!r}")
        # A Parquet file costs a process of its own; its neighbours show that the object is there.
        if method == "GET" and not path.endswith(".parquet"):
            answer = await bench.ask("viewer of a", method, path)
            if answer.status != 200:
                wrong.append(
                    f"{method} {path} as viewer of a: {answer.status} {answer.body[:300]!r}"
                )
    return wrong


async def is_as_unknown(bench: Bench, who: str, method: str, path: str, answer: Answer) -> bool:
    """Tell whether an answer is the same as for a car that does not exist."""
    other = await bench.ask(who, method, path.replace(VIN_A, NO_VIN).replace(A, NO_DEVICE))
    told = answer.body.decode(errors="replace")
    told = told.replace(VIN_A, NO_VIN).replace(A, NO_DEVICE)
    return answer.status == other.status and told == other.body.decode(errors="replace")


async def lists(bench: Bench) -> list[str]:
    """Ask for every list: nothing of car A in what those of car B get, asked for or not."""
    wrong = []
    for one in bench.table:
        if one.role not in (Role.VIEWER, Role.OPERATOR) or PARAMETER.search(one.path):
            continue
        if method_of(one) != "GET":
            continue
        who = "operator of b" if one.role is Role.OPERATOR else "viewer of b"
        answer = await bench.ask(who, "GET", one.path)
        told = answer.body.decode(errors="replace")
        if A in told or VIN_A in told or answer.status >= 500:
            wrong.append(f"GET {one.path} as {who}: {answer.status} {told[:200]}")
        for query in (f"?device={A}", f"?vin={VIN_A}"):
            path = one.path + query
            answer = await bench.ask(who, "GET", path)
            if not await is_as_unknown(bench, who, "GET", path, answer):
                wrong.append(f"GET {path} as {who}: {answer.status} {answer.body[:200]!r}")
    return wrong


async def named_in_queries(bench: Bench) -> list[str]:
    """Ask WebSockets for a device, session or vehicle of car A's, by name, as those of car B."""
    wrong = []
    session = bench.objects["/api/v1/sessions"]
    values = {
        "device": A,
        "vin": VIN_A,
        "vehicle": VIN_A,
        "session": session,
        "session_id": session,
    }
    asked = 0
    for one in bench.table:
        if not isinstance(one, Socket) or one.role not in RANK or one.query is None:
            continue
        for field in msgspec.structs.fields(one.query):
            if field.encode_name not in values:
                continue
            asked += 1
            path = f"{bench.path(one.path, B)}?{field.encode_name}={values[field.encode_name]}"
            try:
                answer = await bench.ask("viewer of b", "WS", path)
                status = answer.status
            except RuntimeError:  # accepted, and then there is no real connection
                status = 101
            if status != 404:
                wrong.append(f"WS {path} as viewer of b: {status}, expected 404")
    assert asked >= 3
    return wrong


async def test_older_interfaces_have_rules_of_their_own(run_gateway: Callable[..., Any]) -> None:
    """COMPAT routes without a key: this machine only, under its own name, with no proxy between."""
    async with run_gateway("[compat]\ns2 = true\ns4 = true\n") as gateway:
        app = make_app(gateway)
        table = [one for one in declared(gateway) if one.role is Role.COMPAT]
        assert table
        forged = {"x-forwarded-for": "127.0.0.1"}
        for asker, headers in (
            (Asker(app), {}),
            (Asker(app), forged),
            (Asker(app, host="localhost"), {}),
            (Asker(app, peer="127.0.0.1", host="evil.example"), {}),
            (Asker(app, peer="127.0.0.1", host="localhost"), forged),
        ):
            for one in table:
                answer = await asker.ask(method_of(one), one.path, headers)
                assert answer.status in (401, 403), (one.path, answer.status)


async def test_no_route_is_without_a_role(run_gateway: Callable[..., Any]) -> None:
    """All that the application serves is declared, and public is only what has to be."""
    async with run_gateway(CONFIG.partition("[users]")[0]) as gateway:
        table = declared(gateway)
        served = {route.path for route in make_app(gateway).routes}
        assert served == {one.path for one in table}
        public = {one.path for one in table if one.role is Role.PUBLIC}
    assert public <= {
        "/",
        "/api/auth/token",
        "/api/v1/auth/login",
        "/api/v1/auth/logout",
        "/api/v1/auth/me",
        "/api/v1/auth/revoke",
        "/api/v1/auth/token",
        "/api/v1/health",
        "/api/v1/setup",
        "/docs",
        "/docs/{file}",
        "/health",
        "/metrics",
        "/openapi.json",
        "/ready",
    }
