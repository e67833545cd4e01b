"""The document tells what the gateway does: valid, complete, and the same as the routing table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import httpx2
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route, WebSocketRoute

from server.api.decode import document_path
from server.api.endpoint import Endpoint, Role
from server.api.frame import ByMethod, HttpEndpoint, Lean, SocketEndpoint, UpgradeRequired
from server.api.openapi import TAGS
from server.api.reference import whole_document, write
from server.app import declared, make_app

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
ALL = "[compat]\ns0 = true\ns2 = true\ns4 = true\n"


@cache
def written() -> dict[str, Any]:
    """The document of a gateway that serves everything."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole_document()))
    return found


@pytest.mark.promise("E06")
def test_the_document_is_valid() -> None:
    """A validator that nobody here wrote finds nothing wrong with it."""
    document = written()
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_operations_have_names_of_their_own() -> None:
    """Clients that are generated from the document have one function for each operation."""
    operations = [one for methods in written()["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) > 100
    assert {tag for one in operations for tag in one["tags"]} <= set(TAGS)


async def test_it_is_the_routing_table(run_gateway: Callable[..., Any]) -> None:
    """What is routed is documented, what is documented is routed, and each by its declaration."""
    async with (
        run_gateway(ALL) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        document = (await client.get("/openapi.json")).json()
        routes = make_app(gateway).routes
    told = {
        ("WS" if one.get("x-websocket") else method.upper(), path)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }
    routed = set()
    for route in routes:
        if isinstance(route, WebSocketRoute):
            assert isinstance(route.app, SocketEndpoint), route.path
            routed.add(("WS", document_path(route.path)))
            continue
        assert isinstance(route, Route), route
        apps = route.app.apps if isinstance(route.app, ByMethod) else {"": route.app}
        lean = [app for app in apps.values() if not isinstance(app, HttpEndpoint)]
        if any(isinstance(app, UpgradeRequired) for app in lean):
            assert route.methods == {"GET", "HEAD"}  # the WebSocket's own path
            continue
        assert all(isinstance(app, Lean) for app in lean), route.path
        assert not lean or route.path in LEAN, route.path
        assert route.methods is not None
        routed |= {(method, document_path(route.path)) for method in route.methods - {"HEAD"}}
    assert routed == told


LEAN = ("/api/v1/ingest", "/api/v1/ingest/batch", "/api/v1/uplink")
"""Paths that admit and read by themselves, because they are asked a thousand times a second."""


async def test_roles(run_gateway: Callable[..., Any]) -> None:
    """Each endpoint has a role; who is public or has a rule of its own is counted out here."""
    async with run_gateway(ALL) as gateway:
        every = declared(gateway)
    public = {one.path for one in every if one.role is Role.PUBLIC}
    assert public <= {
        "/health",
        "/ready",
        "/metrics",  # checks the token of [metrics] itself
        "/openapi.json",
        "/docs",
        "/docs/{file}",
        "/api/v1/health",
        "/api/auth/token",
        "/api/v1/auth/token",
        "/api/v1/auth/revoke",
        "/api/v1/auth/login",
        "/api/v1/auth/logout",
        "/api/v1/auth/me",  # tells who asks, nobody included
        "/api/v1/auth/first-admin",
        "/api/v1/setup",
    }, "a new public path: is that right?"
    lean = {one.path for one in every if isinstance(one, Endpoint) and one.is_lean}
    assert lean == set(LEAN)
    for one in every:
        if isinstance(one, Endpoint) and one.role is Role.COMPAT and one.path.startswith("/api/v1"):
            pytest.fail(f"{one.path} is no path of an older system")


async def test_unknown_fields_are_refused(run_gateway: Callable[..., Any]) -> None:
    """Whatever one sends, to whichever endpoint: a field that means nothing is not passed over."""
    async with run_gateway(ALL) as gateway:
        every = declared(gateway)
    seen: set[Any] = set()
    for one in every:
        for kind in (one.query, one.body if isinstance(one, Endpoint) else None):
            for struct in structs(kind, seen):
                config = struct.__struct_config__
                assert config.forbid_unknown_fields, f"{struct.__name__} of {one.path}"
    assert len(seen) > 30


def structs(kind: Any, seen: set[Any]) -> Iterator[type[msgspec.Struct]]:
    """Give the Structs in a type."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in seen:
            return
        seen.add(kind)
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs(field.type, seen)
    elif get_origin(kind) in (Union, UnionType, list, dict, tuple) or hasattr(kind, "__metadata__"):
        for part in get_args(kind):
            yield from structs(part, seen)


@pytest.mark.promise("E07")
def test_every_problem_is_documented() -> None:
    """Each operation says how it refuses, and that it does so with a problem."""
    for path, methods in written()["paths"].items():
        for method, one in methods.items():
            answers = one["responses"]
            assert "500" in answers, path
            assert one["x-role"] in ("public", "compat") or {"401", "403", "429"} <= set(answers)
            for status, answer in answers.items():
                if status >= "400" and status != "503":
                    assert "application/problem+json" in answer["content"], (method, path, status)


def test_the_page_is_fresh() -> None:
    """docs/api.md is what the declarations say."""
    assert PAGE.read_text(encoding="utf-8") == write(), (
        "make it again: python -m server.api.reference > docs/api.md"
    )


def test_a_socket_is_in_the_document() -> None:
    """WebSocket paths are there, as OpenAPI can tell them."""
    operation = written()["paths"]["/api/v1/live"]["get"]
    assert operation["x-websocket"] is True
    assert "101" in operation["responses"]
    assert {"ticket": []} in operation["security"]


async def test_a_socket_path_without_a_handshake(run_gateway: Callable[..., Any]) -> None:
    """Who asks a WebSocket path like a page is told that it is none."""
    async with run_gateway() as gateway, httpx2.AsyncClient(base_url=gateway.url) as client:
        answer = await client.get("/api/v1/live")
    assert (answer.status_code, answer.json()["where"]) == (426, "upgrade")
    assert answer.headers["upgrade"] == "websocket"
