"""Routes of the declared endpoints: who may, what is asked, the answer or the problem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.answers import JsonResponse, Refusal
from server.api.decode import PathDecoder, QueryDecoder, path_parameters
from server.api.endpoint import FORM, JSON, Call, Endpoint, Role, Socket, SocketCall
from server.api.parameters import INT64_MAX, PATH_TYPES, NoQuery
from server.api.problems import KNOWN, answer_to
from server.requests import check_no_nul, decode_json, read_body
from server.users.principal import NOBODY

if TYPE_CHECKING:
    from server.gateway import Gateway
    from server.users.principal import Principal

KEY_HEADER = "X-API-Key"
KEY_SUBPROTOCOL = "telerig.key."
CLOSE_POLICY = 1008
ANY = "*/*"
_BUILT_IN: dict[str, Any] = {
    "int": Annotated[int, Meta(ge=0, le=INT64_MAX)],
    "float": float,
    "path": str,
    "": str,
}


def routes(gateway: Gateway, declared: Iterable[Endpoint | Socket]) -> list[BaseRoute]:
    """Make the routes, one for each path, in the order of their first declaration.

    Raises:
        ValueError: a path and method is declared twice.
    """
    methods: dict[str, dict[str, ASGIApp]] = {}
    sockets: dict[str, Socket] = {}
    for one in declared:
        if isinstance(one, Socket):
            if one.path in sockets:
                raise ValueError(f"declared twice: WebSocket {one.path}")
            sockets[one.path] = one
            continue
        of_path = methods.setdefault(one.path, {})
        if one.method in of_path:
            raise ValueError(f"declared twice: {one.method} {one.path}")
        of_path[one.method] = Lean(one.handler) if one.is_lean else HttpEndpoint(gateway, one)
    made: list[BaseRoute] = []
    for path, socket in sockets.items():
        made.append(WebSocketRoute(path, SocketEndpoint(gateway, socket), name=f"WS {path}"))
        methods.setdefault(path, {}).setdefault("GET", UpgradeRequired())
    for path, by_method in methods.items():
        app = next(iter(by_method.values())) if len(by_method) == 1 else ByMethod(by_method)
        made.append(Route(path, app, methods=list(by_method), name=path))
    return made


class LeanPaths:
    """Serves what is asked a thousand times a second without a search through all routes.

    Args:
        app: what serves everything else.
        routes: of the application.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            route.path: (method, route)
            for route in routes
            if isinstance(route, Route) and isinstance(route.app, Lean)
            for method in (route.methods or ())
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        found = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if found is None or found[0] != scope["method"]:
            await self._app(scope, receive, send)
            return
        route = scope["route"] = found[1]  # for who counts requests by their path
        try:
            await route.app(scope, receive, send)
        except KNOWN as error:
            await answer_to(error, scope["path"])(scope, receive, send)


class Lean:
    """One path and method whose application does everything by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        await self._app(scope, receive, send)


class ByMethod:
    """One path with several methods."""

    def __init__(self, apps: dict[str, ASGIApp]) -> None:
        self.apps = apps
        if "GET" in apps:
            apps["HEAD"] = apps["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.apps[scope["method"]](scope, receive, send)


def path_types(endpoint: Endpoint | Socket) -> dict[str, Any]:
    """Give the types of an endpoint's path parameters."""
    own = (
        {}
        if endpoint.path_types is None
        else {f.encode_name: f.type for f in msgspec.structs.fields(endpoint.path_types)}
    )
    return {
        name: own.get(name) or PATH_TYPES.get(name) or _BUILT_IN[convertor]
        for name, convertor in path_parameters(endpoint.path).items()
    }


class _Checked:
    """What HTTP and WebSocket endpoints share: the guard, the path, the query."""

    def __init__(self, gateway: Gateway, endpoint: Endpoint | Socket) -> None:
        self.gateway = gateway
        self._role = endpoint.role
        self._or_device = endpoint.or_device
        self._path = PathDecoder(path_types(endpoint))
        self._query = QueryDecoder(endpoint.query or NoQuery)
        self._has_query = endpoint.query is not None
        self._rule = endpoint.rule if isinstance(endpoint, Endpoint) else None

    async def check(self, connection: HTTPConnection) -> tuple[Principal, dict[str, Any], Any]:
        """Give who asks, the path's parameters and the query.

        Raises:
            Refusal: who asks may not, or asks for what is not there.
        """
        who = await self.gateway.guard.admit(connection, self._role, or_device=self._or_device)
        if self._rule is not None:
            allowed = self._rule(connection)
            if allowed is not None:
                await allowed
        path = self._path.decode(connection.path_params)
        device = path.get("device")
        if device is not None and self._role is not Role.COMPAT and not who.may_read(device):
            # As for a device that does not exist: whether it does is not theirs to know.
            raise Refusal(404, "device", "the id of a registered device", repr(device))
        if not self._has_query and self._role is Role.COMPAT:
            return who, path, None  # old clients may send what nobody reads
        query = self._query.decode(connection.query_params)
        return who, path, query if self._has_query else None


class HttpEndpoint(_Checked):
    """One path and method as an ASGI application."""

    def __init__(self, gateway: Gateway, endpoint: Endpoint) -> None:
        super().__init__(gateway, endpoint)
        self._endpoint = endpoint
        self._body = BodyReader(endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        endpoint = self._endpoint
        request = Request(scope, receive, send)
        who = NOBODY
        try:
            who, path, query = await self.check(request)
            body = None if endpoint.body is None else await self._body.read(request)
            made = await endpoint.handler(Call(self.gateway, request, path, query, body, who))
            response = made if isinstance(made, Response) else self._encoded(made)
        except KNOWN as error:
            response = answer_to(error, scope["path"], is_old=self._role is Role.COMPAT)
        if who is not NOBODY:
            audit = self.gateway.users.audit
            audit.changed(who, request, endpoint.summary, response.status_code)
        await response(scope, receive, send)

    def _encoded(self, made: object) -> Response:
        endpoint = self._endpoint
        if endpoint.media == JSON:
            return JsonResponse(made, endpoint.status)
        return Response(made, endpoint.status, media_type=endpoint.media)


class BodyReader:
    """Reads the body of one endpoint's requests."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._limit_bytes = endpoint.limit_bytes
        self._media = endpoint.body_media
        self._kind = endpoint.body
        self._is_optional = endpoint.body_optional
        self._is_raw = endpoint.body is bytes
        if endpoint.body is None or self._is_raw:
            return
        self._json = msgspec.json.Decoder(endpoint.body)
        self._form = QueryDecoder(endpoint.body) if FORM in endpoint.body_media else None

    async def read(self, request: Request) -> Any:
        """Give the body as declared.

        Raises:
            Refusal: 400, 408, 413, 415.
        """
        if self._is_raw:
            self._check_media(request)
        body = await read_body(request, self._limit_bytes)
        if self._is_raw:
            return body
        if not body and self._is_optional:
            return self._kind()
        if self._form is not None:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == FORM:
                return self._form.decode_form(body)
            if JSON not in self._media:
                raise Refusal(415, "content-type", FORM, repr(kind[:80]))
        # Whatever content type it claims: curl says "form" where nobody told it otherwise.
        check_no_nul(body)
        return decode_json(body, self._json)

    def _check_media(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and kind not in self._media and ANY not in self._media:
            raise Refusal(415, "content-type", " or ".join(self._media), repr(kind[:80]))


class SocketEndpoint(_Checked):
    """One WebSocket path as an ASGI application."""

    def __init__(self, gateway: Gateway, endpoint: Socket) -> None:
        super().__init__(gateway, endpoint)
        self._handler = endpoint.handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a socket; refused before it is accepted where that is so."""
        socket = WebSocket(scope, receive, send)
        take_key(socket)
        try:
            who, path, query = await self.check(socket)
        except KNOWN as error:
            await deny(socket, error)
            return
        await self._handler(SocketCall(self.gateway, socket, path, query, who))


async def deny(socket: WebSocket, error: Exception) -> None:
    """Answer a socket that is not accepted with the problem; who it is not accepted for."""
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(answer_to(error, socket.scope["path"]))
    else:
        await socket.close(CLOSE_POLICY)


def take_key(socket: WebSocket) -> None:
    """Move a key from the subprotocols, where browsers can put it, to its header.

    It is never sent back.
    """
    offered = socket.scope.get("subprotocols", [])
    keys = [name for name in offered if name.startswith(KEY_SUBPROTOCOL)]
    if keys:
        headers = MutableHeaders(scope=socket.scope)
        headers.setdefault(KEY_HEADER, keys[0].removeprefix(KEY_SUBPROTOCOL))
        socket.scope["subprotocols"] = [name for name in offered if name not in keys]


class UpgradeRequired:
    """Tells who asks a WebSocket path without WebSocket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 426."""
        refusal = Refusal(
            426,
            "upgrade",
            "a WebSocket handshake",
            "an ordinary request",
            headers={"upgrade": "websocket", "connection": "upgrade"},
        )
        await answer_to(refusal, scope["path"])(scope, receive, send)
