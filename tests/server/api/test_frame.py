"""What the frame does around a handler: who may, what is asked, what is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any

import asyncpg
import httpx2
import msgspec
import pytest
from msgspec import Meta
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from server.answers import JsonResponse, Refusal
from server.api import problems
from server.api.endpoint import FORM, Call, Endpoint, Role
from server.api.frame import LeanPaths, routes
from server.errors import CommandRefused, DeviceConflict, UnknownDevice
from server.users.principal import Kind, Principal

PROBLEM = "application/problem+json"


class Car(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    name: str
    doors: Annotated[int, Meta(ge=1, le=6)] = 4


class Which(msgspec.Struct, forbid_unknown_fields=True):
    """A query."""

    color: list[str] = []


class StubGuard:
    """Admits who sends the name of a role; a device sees itself alone."""

    def __init__(self) -> None:
        self.asked: list[tuple[Role, bool]] = []

    async def admit(
        self, connection: HTTPConnection, role: Role, or_device: bool = False
    ) -> Principal:
        """Admit."""
        self.asked.append((role, or_device))
        name = connection.headers.get("x-role", "")
        if not name and role is not Role.PUBLIC and role is not Role.COMPAT:
            raise Refusal(401, "X-API-Key", "a key", "none", detail="Invalid API key")
        scope = frozenset(("esp-1",)) if name == "narrow" else None
        return Principal(name, Role.VIEWER, Kind.USER, scope=scope)


async def take(call: Call[Which, Car]) -> Car:
    """Give back what came."""
    return Car(f"{call.body.name} {','.join(call.query.color)}".strip(), call.body.doors)


async def see(call: Call[None, None]) -> dict[str, Any]:
    """Give the path."""
    return {"path": call.path, "who": call.who.name}


async def raw(call: Call[None, bytes]) -> JsonResponse:
    """Give the size."""
    return JsonResponse(len(call.body), 202, {"x-more": "yes"})


async def form(call: Call[None, Car]) -> Car:
    """Give back what came."""
    return call.body


async def optional(call: Call[None, Which]) -> Which:
    """Give back what came."""
    return call.body


ERRORS: dict[str, Exception] = {
    "unknown": UnknownDevice("device", "a device", "none"),
    "conflict": DeviceConflict("device", "another", "this"),
    "refused": CommandRefused(403, "name", "an allowed command", "another"),
    "away": asyncpg.CannotConnectNowError("starting up"),
    "data": asyncpg.DataError("value out of range"),
    "check": asyncpg.CheckViolationError("violates"),
    "bug": ZeroDivisionError("secret detail"),
}


async def fail(call: Call[None, None]) -> None:
    """Raise."""
    raise ERRORS[call.path["which"]]


async def lean(scope: Any, receive: Any, send: Any) -> None:
    """Refuse."""
    raise Refusal(429, "rate", "less", "more", headers={"retry-after": "3"})


def refuse(connection: HTTPConnection) -> None:
    """Let nobody pass."""
    raise Refusal(403, "peer", "this machine", "another")


def declared() -> list[Endpoint]:
    """Some of each kind."""
    words: dict[str, Any] = {"summary": "Test", "tag": "test"}
    see_one = {**words, "role": Role.VIEWER, "or_device": True}
    return [
        Endpoint(
            "POST",
            "/cars",
            take,
            role=Role.OPERATOR,
            body=Car,
            query=Which,
            answer=Car,
            status=201,
            limit_bytes=64,
            **words,
        ),
        Endpoint("GET", "/cars", see, role=Role.PUBLIC, **words),
        Endpoint("GET", "/devices/{device}/{number:int}", see, **see_one),
        Endpoint(
            "POST", "/raw", raw, role=Role.PUBLIC, body=bytes, body_media=("text/csv",), **words
        ),
        Endpoint("POST", "/form", form, role=Role.PUBLIC, body=Car, body_media=(FORM,), **words),
        Endpoint(
            "POST", "/maybe", optional, role=Role.PUBLIC, body=Which, body_optional=True, **words
        ),
        Endpoint("GET", "/fail/{which}", fail, role=Role.PUBLIC, **words),
        Endpoint("GET", "/old/{which}", fail, role=Role.COMPAT, **words),
        Endpoint("GET", "/ruled", see, role=Role.COMPAT, rule=refuse, **words),
        Endpoint("POST", "/lean", lean, role=Role.DEVICE, is_lean=True, **words),
    ]


@pytest.fixture
def guard() -> StubGuard:
    """The guard."""
    return StubGuard()


@pytest.fixture
async def client(guard: StubGuard) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application with these endpoints."""
    audit = SimpleNamespace(changed=lambda *told: None)
    gateway: Any = SimpleNamespace(guard=guard, users=SimpleNamespace(audit=audit))
    table = routes(gateway, declared())
    app = Starlette(
        routes=table,
        exception_handlers={
            Exception: problems.handle_bug,
            **dict.fromkeys(problems.KNOWN, problems.handle),
        },
    )
    transport = httpx2.ASGITransport(LeanPaths(app, table), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://test", headers={"x-role": "operator"}
    ) as client:
        yield client


async def test_a_good_request(client: httpx2.AsyncClient, guard: StubGuard) -> None:
    """Body and query come as they are declared, the answer goes as it is declared."""
    answer = await client.post("/cars?color=red&color=blue,grey", content=b'{"name": "Ada"}')
    assert (answer.status_code, answer.json()) == (201, {"name": "Ada red,blue,grey", "doors": 4})
    assert guard.asked == [(Role.OPERATOR, False)]
    assert (await client.get("/cars")).json()["who"] == "operator"
    assert set((await client.put("/cars")).headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("query", "body", "status", "where"),
    [
        ("", b'{"name": "a", "doors": 0}', 400, "doors"),
        ("", b'{"name": "a", "wheels": 4}', 400, "wheels"),
        ("", b"{}", 400, "name"),
        ("", b'{"name": "a\\u0000"}', 400, "body"),
        ("", b'{"name": "a\\\\\\u0000"}', 400, "body"),
        ("", b'{"name": "a\\\\u0000"}', 201, ""),
        ("", b"\xff", 400, "body"),
        ("", b"", 400, "body"),
        ("", b'{"name": "' + b"a" * 60 + b'"}', 413, "body"),
        ("?colour=red", b'{"name": "a"}', 400, "query"),
    ],
)
async def test_a_bad_request(
    client: httpx2.AsyncClient, query: str, body: bytes, status: int, where: str
) -> None:
    """What is wrong is told in the form of RFC 9457, with its place."""
    answer = await client.post(f"/cars{query}", content=body)
    assert answer.status_code == status, answer.text
    if status < 400:
        return
    told = answer.json()
    assert answer.headers["content-type"] == PROBLEM
    assert (told["type"], told["status"], told["where"]) == ("about:blank", status, where)
    assert told["title"] in ("Bad Request", "Content Too Large", "Request Entity Too Large")
    assert told["instance"] == "/cars"
    assert told["detail"] == f"{where}: expected {told['expected']}, found {told['found']}"


async def test_the_guard_comes_first(client: httpx2.AsyncClient) -> None:
    """Who may not learns nothing of what is wrong with the request."""
    answer = await client.post("/cars?colour=red", content=b"", headers={"x-role": ""})
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid API key")


async def test_paths(client: httpx2.AsyncClient, guard: StubGuard) -> None:
    """A path is checked; a device that one may not see is as one that is not there."""
    answer = await client.get("/devices/esp-1/7")
    assert answer.json()["path"] == {"device": "esp-1", "number": 7}
    assert guard.asked == [(Role.VIEWER, True)]
    for path in ("/devices/-x/7", f"/devices/esp-1/{2**63}", "/devices/a%00/7"):
        assert (await client.get(path)).status_code == 404
    narrow = {"x-role": "narrow"}
    assert (await client.get("/devices/esp-1/7", headers=narrow)).status_code == 200
    answer = await client.get("/devices/esp-2/7", headers=narrow)
    assert (answer.status_code, answer.json()["where"]) == (404, "device")


async def test_bodies_of_other_kinds(client: httpx2.AsyncClient) -> None:
    """Bytes as they come, forms, and no body at all, each where it is declared."""
    answer = await client.post("/raw", content=b"a,b", headers={"content-type": "text/csv"})
    assert (answer.status_code, answer.json(), answer.headers["x-more"]) == (202, 3, "yes")
    answer = await client.post("/raw", content=b"{}", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["where"]) == (415, "content-type")
    answer = await client.post("/form", data={"name": "Ada", "doors": "2"})
    assert answer.json() == {"name": "Ada", "doors": 2}
    answer = await client.post("/form", json={"name": "Ada"})
    assert answer.status_code == 415
    assert (await client.post("/maybe")).json() == {"color": []}
    assert (await client.post("/maybe", json={"color": ["red"]})).json() == {"color": ["red"]}


@pytest.mark.parametrize(
    ("which", "status"),
    [
        ("unknown", 404),
        ("conflict", 409),
        ("refused", 403),
        ("away", 503),
        ("data", 500),
        ("check", 500),
        ("bug", 500),
    ],
)
async def test_errors(client: httpx2.AsyncClient, which: str, status: int) -> None:
    """Each error has its status; a bug tells nothing of itself, and is no 503 to be tried again."""
    answer = await client.get(f"/fail/{which}")
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == PROBLEM
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "secret" not in answer.text
    assert "violates" not in answer.text


async def test_older_systems_have_their_form(client: httpx2.AsyncClient) -> None:
    """Their clients are told in the words that they know; queries that they add are let be."""
    answer = await client.get("/old/conflict?_=123")
    assert answer.status_code == 409
    assert answer.json() == {"error": {"expected": "another", "found": "this", "where": "device"}}
    answer = await client.get("/ruled")
    assert (answer.status_code, answer.json()["error"]["where"]) == (403, "peer")


async def test_lean_paths(client: httpx2.AsyncClient) -> None:
    """They go without the search, and are told of in the same form."""
    answer = await client.post("/lean")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.headers["content-type"] == PROBLEM
    assert (await client.get("/lean")).status_code == 405
