"""Declarations of the API: an endpoint cannot be made without its role, its types and its words.

A room offers `endpoints(gateway) -> list[Endpoint | Socket]`; `server.app` lists the rooms. From
these declarations come the routes (`server.api.frame`), the checks before a handler is called, and
the OpenAPI document (`server.api.openapi`).

    class Wanted(msgspec.Struct, forbid_unknown_fields=True):     # the query
        limit: Limit = 1000

    async def cars(call: Call[Wanted, None]) -> Cars:             # encoded as JSON, status 200
        return Cars(await find(call.gateway, call.query.limit))

    Endpoint("GET", "/api/v1/cars", cars, role=Role.VIEWER, summary="Give the cars", tag="cars",
             query=Wanted, answer=Cars)

A handler is called when the caller may, and path, query and body are right. It raises `Refusal`
(`server.answers`) for what it does not do, and gives a `Response` where it needs another status,
headers or a stream. A path parameter named `device` is checked against what the caller may see.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from server.api.role import Role

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.users.principal import Principal

__all__ = ["FORM", "JSON", "PROTOBUF", "Call", "Endpoint", "Role", "Rule", "Socket", "SocketCall"]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROTOBUF = "application/x-protobuf"
JSON_LIMIT_BYTES = 65_536
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

Q = TypeVar("Q")
B = TypeVar("B")


@dataclass(slots=True)
class Call(Generic[Q, B]):
    """One request, checked.

    Attributes:
        gateway: that serves it.
        request: for what is not here: headers, the peer.
        path: the path's parameters; whole numbers where the path says `{name:int}`.
        query: of the declared type; None where the endpoint has none.
        body: of the declared type; None where the endpoint has none.
        who: asks.
    """

    gateway: Gateway
    request: Request
    path: dict[str, Any]
    query: Q
    body: B
    who: Principal


@dataclass(slots=True)
class SocketCall(Generic[Q]):
    """One WebSocket, checked and not yet accepted; as `Call`."""

    gateway: Gateway
    socket: WebSocket
    path: dict[str, Any]
    query: Q
    who: Principal


Handler = Callable[[Call[Any, Any]], Awaitable[Any]]
Rule = Callable[[HTTPConnection], Awaitable[None] | None]
SocketHandler = Callable[[SocketCall[Any]], Awaitable[None]]


@dataclass(frozen=True)
class Endpoint:
    """A path and method of the API.

    Attributes:
        method: GET (which brings HEAD), POST, PUT, PATCH, DELETE.
        path: as Starlette writes it: `/api/v1/sessions/{id:int}`.
        handler: gives a Struct (or what msgspec encodes), or a Response.
        role: who may.
        summary: what it does, in one line without a full stop.
        tag: heading in the documentation.
        query: type of the query; None: no parameter is allowed. A field that is a list may come
            several times, or once with commas.
        body: type of the body; `bytes` gives it as it came; None: the endpoint has none.
        answer: type of the answer; `bytes` or None with a `media` of its own: no JSON.
        status: of a good answer.
        also: other statuses with their meaning; those of the frame (400, 401, 403, 404, 413, …)
            are added where they apply.
        also_answers: further statuses whose body is the `answer` too.
        limit_bytes: of the body.
        media: of the answer.
        or_device: a device may call it, for itself.
        path_types: a Struct with a field for each path parameter, where the usual ones
            (`server.api.parameters.PATH_TYPES`) do not fit.
        body_media: what the body may be; JSON and forms are decoded to `body`. `*/*`: anything.
        body_optional: without a body the type is made without arguments.
        more_media: further forms of the good answer: media type and meaning.
        description: longer text, Markdown.
        own_error: type of the JSON by which the handler tells an error where a standard or an older
            system wants another form than a problem.
        rule: of an endpoint of an older system: lets pass, or raises `Refusal`; asked after the
            guard and before anything is read.
        is_lean: `handler` is an ASGI application of the path, which admits, reads and answers by
            itself; for what is asked a thousand times a second. It must call the guard.
    """

    method: str
    path: str
    handler: Any
    _: KW_ONLY
    role: Role
    summary: str
    tag: str
    query: type[msgspec.Struct] | None = None
    body: Any = None
    answer: Any = None
    status: int = 200
    also: tuple[tuple[int, str], ...] = ()
    also_answers: tuple[int, ...] = ()
    limit_bytes: int = JSON_LIMIT_BYTES
    media: str = JSON
    or_device: bool = False
    path_types: type[msgspec.Struct] | None = None
    body_media: tuple[str, ...] = (JSON,)
    body_optional: bool = False
    more_media: tuple[str, ...] = ()
    description: str = ""
    own_error: Any = None
    rule: Rule | None = None
    is_lean: bool = False

    def __post_init__(self) -> None:
        """Check the declaration.

        Raises:
            ValueError: it is not one.
        """
        if self.method not in METHODS:
            raise ValueError(f"{self.path}: expected one of {sorted(METHODS)}, got {self.method!r}")
        _check(self.path, self.role, self.summary)


@dataclass(frozen=True)
class Socket:
    """A WebSocket path of the API; attributes as of `Endpoint`.

    The handler accepts the socket. Who may not is refused before, with an HTTP answer.
    """

    path: str
    handler: SocketHandler
    _: KW_ONLY
    role: Role
    summary: str
    tag: str
    query: type[msgspec.Struct] | None = None
    or_device: bool = False
    path_types: type[msgspec.Struct] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        """Check the declaration.

        Raises:
            ValueError: it is not one.
        """
        _check(self.path, self.role, self.summary)


def _check(path: str, role: Role, summary: str) -> None:
    if not path.startswith("/"):
        raise ValueError(f"expected a path that begins with '/', got {path!r}")
    if not isinstance(role, Role):
        raise ValueError(f"{path}: expected a Role, got {role!r}")
    if not summary or summary.endswith("."):
        raise ValueError(f"{path}: expected a summary without a full stop, got {summary!r}")
