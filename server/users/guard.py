"""Decides about every request: who asks, and may that one?

Ways to show who one is; the first that is there counts, and a wrong one is never passed over for
another:

1. a WebSocket's one-time ticket, `?ticket=` (from `POST /api/v1/auth/ticket`)
2. `X-API-Key`: the API secret (an admin), or a device's key; a browser's WebSocket may send it as
   subprotocol `telerig.key.<key>`
3. `Authorization: Bearer`, an access token
4. the cookie of a browser's session; what changes something needs its CSRF token too
5. nothing, from a program of this machine: [users] local_role
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import math
from collections.abc import Callable, Collection, Iterator
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection

from server.answers import Refusal
from server.api.role import Role
from server.clock import Clock
from server.devices.access import HEADER, Access, address, unauthorized
from server.devices.rate import Rate
from server.devices.registry import Registry
from server.errors import StoreError
from server.store.connection import DATABASE_ERRORS
from server.users.config import UsersConfig
from server.users.cookie import cookie_of
from server.users.local import why_not_local
from server.users.pages import foreign_page
from server.users.principal import NOBODY, OPERATOR_SECRET, Kind, Principal
from server.users.service import Users
from server.users.sessions import csrf_token

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
TICKET_PARAMETER = "ticket"
INVALID_TOKEN = "Invalid token"
BURST_S = 10
"""A user who was silent may ask so many seconds' requests at once: a page loads."""
LOOK_S = 60.0
"""So often it is looked whether those who are held were ended elsewhere, or by time."""


class Guard:
    """Admits those who may.

    Args:
        access: knows the API secret and the devices' keys.
        registry: knows which keys are alive.
        users: knows tokens, cookies and tickets.
        config: how people sign in.
        clock: for rates.
        origins: pages of other sites that count as own.
    """

    def __init__(
        self,
        access: Access,
        registry: Registry,
        users: Users,
        config: UsersConfig,
        clock: Clock,
        origins: Collection[str] = (),
    ) -> None:
        self._access = access
        self._registry = registry
        self._users = users
        self._config = config
        self._origins = frozenset(origins)
        rate = config.requests_per_s
        self._requests = Rate(rate, rate * BURST_S, clock)
        self._held: dict[object, tuple[Principal, Callable[[], object]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        users.directory.changed.append(self._end_those_gone)
        users.directory.keys_ended.append(self.end_users)
        registry.changed.append(self._end_those_gone)

    async def admit(
        self, connection: HTTPConnection, role: Role, or_device: bool = False
    ) -> Principal:
        """Give who asks, where that one may.

        Args:
            connection: the request.
            role: that the endpoint asks for; PUBLIC and COMPAT let everybody pass, as NOBODY.
            or_device: a device may too, for itself.

        Raises:
            Refusal: 401 nobody, or a wrong key; 403 not the role, or a foreign page; 429 too often.
            STORE_ERRORS: what is needed to know cannot be read.
        """
        if role in (Role.PUBLIC, Role.COMPAT):
            return NOBODY
        if role is Role.DEVICE:
            return await self._device(connection)
        who = await self.identify(connection, or_device=or_device)
        if who.may(role) or (or_device and who.kind is Kind.DEVICE):
            return who
        if who.kind in (Kind.NOBODY, Kind.LOCAL):
            expected = f"a token of {_a(role)}, or {self._access.secret_expected}"
            raise unauthorized(expected, connection)
        path = connection.scope["path"]
        found = _a(who.role)
        where = address(connection)
        self._users.audit.note(who.name, who.kind, where, path, "", f"refused: {found}")
        raise Refusal(403, "role", f"{_a(role)}, or more", found)

    async def identify(self, connection: HTTPConnection, *, or_device: bool = False) -> Principal:
        """Give who asks; NOBODY where nothing was sent that says so.

        Raises:
            Refusal: 401 for a wrong key, token or ticket; 403 for a cookie without its CSRF token;
                429 where a user asks too often.
            STORE_ERRORS: what is needed to know cannot be read.
        """
        headers = connection.headers
        ticket = _take_ticket(connection)
        if ticket is not None:
            who = await self._of_ticket(ticket)
        elif HEADER in headers:
            who = await self._of_key(connection, or_device)
        elif "authorization" in headers:
            who = await self._of_token(headers["authorization"])
        else:
            who = await self._of_cookie(connection) or self._local(connection)
        if who.user is not None:
            wait_s = self._requests.take(str(who.user))
            if wait_s:
                retry = {"retry-after": str(math.ceil(wait_s))}
                expected = "fewer requests a second of one user"
                raise Refusal(429, "rate", expected, "more", headers=retry)
        return who

    def is_live(self, who: Principal) -> bool:
        """Tell whether somebody who was admitted earlier would be so again, as the same."""
        if who.kind is Kind.USER:
            return self._users.sessions.is_live(who)
        if who.kind is Kind.DEVICE:
            return self._registry.is_live(who.name, who.key)
        return True

    @contextlib.contextmanager
    def holding(self, who: Principal, end: Callable[[], object]) -> Iterator[None]:
        """Call `end` when somebody whose request lasts may no more: the session or key has ended,
        or the user has another role or scope."""
        token = object()
        self._held[token] = (who, end)
        self._look_later()
        try:
            yield
        finally:
            self._held.pop(token, None)

    async def close(self) -> None:
        """Look after nobody any more."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    # The ways.

    async def _of_ticket(self, ticket: str) -> Principal:
        who = await self._users.take_ticket(ticket)
        if who is not None and who.kind is Kind.USER and who.session is not None:
            await self._users.sessions.of_token(who.session)  # it may be news here
        if who is None or not self.is_live(who):
            expected = "a ticket of POST /api/v1/auth/ticket, once, within 30 s"
            raise Refusal(401, TICKET_PARAMETER, expected, "another", detail=INVALID_TOKEN)
        return who

    async def _of_key(self, connection: HTTPConnection, or_device: bool) -> Principal:
        if self._access.is_operator(connection):
            return OPERATOR_SECRET
        if or_device:
            return await self._device(connection)
        self._access.operator(connection)
        raise AssertionError("the API secret is right and wrong")

    async def _device(self, connection: HTTPConnection) -> Principal:
        device, key = await self._access.device_and_key(connection)
        return Principal(device.id, Role.DEVICE, Kind.DEVICE, device=device.id, key=key)

    async def _of_token(self, header: str) -> Principal:
        scheme, _, token = header.partition(" ")
        said = (
            await self._users.tokens.claims(token.strip()) if scheme.lower() == "bearer" else None
        )
        session = await self._users.sessions.of_token(said.session) if said is not None else None
        if said is None or session is None or session.user != said.user:
            raise Refusal(
                401,
                "Authorization",
                "Bearer and a live access token of /api/v1/auth/token",
                "another",
                detail=INVALID_TOKEN,
                headers={"www-authenticate": 'Bearer realm="telerig", error="invalid_token"'},
            )
        return self._users.sessions.principal(session)

    async def _of_cookie(self, connection: HTTPConnection) -> Principal | None:
        cookie = cookie_of(connection)
        session = await self._users.sessions.of_cookie(cookie) if cookie is not None else None
        if cookie is None or session is None:
            return None
        is_socket = connection.scope["type"] == "websocket"
        if is_socket or connection.scope["method"] not in SAFE_METHODS:
            found = foreign_page(connection, self._origins)
            if found:
                raise Refusal(403, "Origin", "a page of this gateway, or of [http] origins", found)
        if not is_socket and connection.scope["method"] not in SAFE_METHODS:
            given = connection.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), csrf_token(cookie).encode()):
                found = "another" if given else "no such header"
                expected = "the csrf token of the session (GET /api/v1/auth/me)"
                raise Refusal(403, CSRF_HEADER, expected, found)
        return self._users.sessions.principal(session)

    def _local(self, connection: HTTPConnection) -> Principal:
        role = self._config.local_role
        if role is None or why_not_local(connection) or foreign_page(connection, self._origins):
            return NOBODY
        return Principal("local", role, Kind.LOCAL)

    # Those whose requests last.

    def end_users(self) -> None:
        """End the requests of users that last, and their tickets: who they are is shown anew."""
        self._users.tickets.clear()
        for who, end in list(self._held.values()):
            if who.kind is Kind.USER:
                end()

    def _end_those_gone(self) -> None:
        for who, end in list(self._held.values()):
            if not self.is_live(who):
                end()

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._start_look)

    def _start_look(self) -> None:
        self._timer = None
        held = {who.kind for who, _ in self._held.values()} & {Kind.USER, Kind.DEVICE}
        if held:
            self._looking = asyncio.create_task(self._look(held), name="held sessions")

    async def _look(self, held: set[Kind]) -> None:
        with contextlib.suppress(StoreError, *DATABASE_ERRORS):
            if Kind.USER in held:
                await self._users.directory.fresh()
            if Kind.DEVICE in held:
                await self._registry.fresh()
        self._end_those_gone()
        if self._held:
            self._look_later()


def _take_ticket(connection: HTTPConnection) -> str | None:
    """Take the ticket out of a WebSocket's address: nobody after the guard sees it."""
    if connection.scope["type"] != "websocket":
        return None
    query = connection.scope.get("query_string", b"")
    if b"ticket=" not in query:
        return None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    tickets = [value for name, value in pairs if name == TICKET_PARAMETER]
    rest = [(name, value) for name, value in pairs if name != TICKET_PARAMETER]
    connection.scope["query_string"] = urlencode(rest).encode("latin-1")
    return tickets[0] if tickets else None


def _a(role: Role) -> str:
    article = "an" if role.value[0] in "ao" else "a"
    return "nobody" if role is Role.PUBLIC else f"{article} {role.value}"
