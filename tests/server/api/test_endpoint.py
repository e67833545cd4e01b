"""Declarations: none without a role, and none that the frame could not serve."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from server.api.endpoint import Call, Endpoint, Role, Socket, SocketCall
from server.api.frame import routes


async def nothing(call: Call[None, None]) -> None:
    """Do nothing."""


async def listen(call: SocketCall[None]) -> None:
    """Do nothing."""


def made(**changed: Any) -> Endpoint:
    """An endpoint that differs in something from a right one."""
    given: dict[str, Any] = {
        "method": "GET",
        "path": "/x",
        "handler": nothing,
        "role": Role.VIEWER,
        "summary": "Do nothing",
        "tag": "test",
        **changed,
    }
    return Endpoint(given.pop("method"), given.pop("path"), given.pop("handler"), **given)


def test_no_endpoint_without_a_role() -> None:
    """A role is not a thing that can be forgotten, or be any word."""
    with pytest.raises(TypeError, match="role"):
        Endpoint("GET", "/x", nothing, summary="Do nothing", tag="test")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="role"):
        Socket("/x", listen, summary="Do nothing", tag="test")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="expected a Role"):
        made(role="viewer")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "get"}, "expected one of"),
        ({"method": "TRACE"}, "expected one of"),
        ({"path": "x"}, "begins with"),
        ({"summary": ""}, "summary"),
        ({"summary": "Do nothing."}, "summary"),
    ],
)
def test_what_is_no_declaration_is_refused(changed: dict[str, Any], message: str) -> None:
    """Methods, paths and summaries have one form."""
    with pytest.raises(ValueError, match=message):
        made(**changed)


def test_nothing_is_declared_twice() -> None:
    """Two endpoints of one path and method are a mistake, and not a matter of order."""
    gateway: Any = SimpleNamespace()
    with pytest.raises(ValueError, match="declared twice: GET /x"):
        routes(gateway, [made(), made()])
    socket = Socket("/x", listen, role=Role.VIEWER, summary="Listen", tag="test")
    with pytest.raises(ValueError, match="declared twice: WebSocket /x"):
        routes(gateway, [socket, socket])
    assert len(routes(gateway, [made(), made(method="POST"), socket])) == 2
