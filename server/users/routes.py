"""Signing in and out, tokens, tickets, the first admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from server.answers import NO_STORE, JsonResponse, Refusal
from server.api.endpoint import FORM, Call, Endpoint, Role, Socket
from server.devices.access import address
from server.users import admin_routes
from server.users.cookie import clear_cookie, cookie_of, set_cookie
from server.users.directory import BROWSER, TOKEN, Session, User
from server.users.pages import foreign_page
from server.users.principal import Kind, Principal
from server.users.sessions import csrf_token
from server.users.signin import WRONG
from server.users.tickets import LIFE_S

if TYPE_CHECKING:
    from server.gateway import Gateway

TAG = "users"
DAY_S = 86_400
Text = Annotated[str, Meta(max_length=1_000)]
Name = Annotated[str, Meta(max_length=64)]


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password of a user."""

    name: Name
    password: Text


class TokenForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Form of OAuth2 (RFC 6749 4.3 and 6); what the gateway has no use for is taken and left."""

    grant_type: Annotated[str, Meta(description="`password` or `refresh_token`.")] = "password"
    username: Text = ""
    password: Text = ""
    refresh_token: Text = ""
    scope: Text = ""
    client_id: Text = ""
    client_secret: Text = ""
    audience: Text = ""
    resource: Text = ""


class RevokeForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Form of a revocation (RFC 7009)."""

    token: Text
    token_type_hint: Text = ""
    client_id: Text = ""
    client_secret: Text = ""


class Token(msgspec.Struct, frozen=True):
    """An access token for `Authorization: Bearer`, and one to have the next with, once."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class TokenError(msgspec.Struct, frozen=True):
    """Why there is no token (RFC 6749 5.2)."""

    error: str
    error_description: str
    detail: str


class Me(msgspec.Struct, frozen=True):
    """Who asks; `csrf` goes into the header X-CSRF-Token of what a page changes."""

    name: str
    kind: Kind
    role: Role
    scope: list[str] | None
    device: str | None
    csrf: str | None


class SignedIn(msgspec.Struct, frozen=True):
    """The session is in a cookie; `csrf` goes into the header X-CSRF-Token."""

    user: User
    csrf: str
    expires_ns: int


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The password so far, and the next."""

    old: Text
    new: Text


class ShownSession(Session, frozen=True, kw_only=True):
    """A session; `current`: the one that asks."""

    current: bool


class ShownSessions(msgspec.Struct, frozen=True):
    """Sessions of a user, the newest first."""

    sessions: list[ShownSession]


class Ticket(msgspec.Struct, frozen=True):
    """For one WebSocket: `?ticket=`."""

    ticket: str
    expires_s: float


class SetupState(msgspec.Struct, frozen=True):
    """Whether the first admin is still to be made, with the code of the gateway's log."""

    needed: bool


class FirstAdmin(msgspec.Struct, forbid_unknown_fields=True):
    """The first admin, and the code of the gateway's log."""

    code: Annotated[str, Meta(max_length=100)]
    name: Name
    password: Text
    email: Annotated[str, Meta(max_length=254)] = ""


class Made(msgspec.Struct, frozen=True):
    """The user that was made."""

    user: User


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    return [*_public(), *_own(), *admin_routes.endpoints(gateway)]


def _public() -> list[Endpoint | Socket]:
    wrong = (401, "wrong name or password"), (429, "too many wrong passwords")
    return [
        *(_token(path) for path in ("/api/auth/token", "/api/v1/auth/token")),
        Endpoint(
            "POST",
            "/api/v1/auth/revoke",
            revoke,
            role=Role.PUBLIC,
            summary="End the session of a refresh token",
            description="Also where the token is unknown (RFC 7009 2.2).",
            tag=TAG,
            body=RevokeForm,
            body_media=(FORM,),
        ),
        Endpoint(
            "POST",
            "/api/v1/auth/login",
            login,
            role=Role.PUBLIC,
            summary="Sign in with a browser: the answer sets a cookie",
            tag=TAG,
            body=Credentials,
            answer=SignedIn,
            also=(*wrong, (403, "a page of another origin")),
        ),
        Endpoint(
            "POST",
            "/api/v1/auth/logout",
            logout,
            role=Role.PUBLIC,
            summary="End the session of the cookie or token that is sent",
            tag=TAG,
            status=204,
            also=((401, "a wrong token"), (403, "no CSRF token")),
        ),
        Endpoint(
            "GET",
            "/api/v1/auth/me",
            me,
            role=Role.PUBLIC,
            summary="Say who asks, and what that one may",
            tag=TAG,
            answer=Me,
            also=((401, "a wrong key or token"),),
        ),
        Endpoint(
            "GET",
            "/api/v1/setup",
            setup_state,
            role=Role.PUBLIC,
            summary="Say whether the first admin is still to be made",
            tag=TAG,
            answer=SetupState,
        ),
        Endpoint(
            "POST",
            "/api/v1/setup",
            first_admin,
            role=Role.PUBLIC,
            summary="Make the first admin with the code of the gateway's log",
            tag=TAG,
            body=FirstAdmin,
            answer=Made,
            status=201,
            also=(
                (403, "a wrong code, or a page of another origin"),
                (409, "there are users already"),
                (429, "too many wrong codes"),
            ),
        ),
    ]


def _token(path: str) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        give_token,
        role=Role.PUBLIC,
        summary="Give an access token for a name and password, or for a refresh token",
        tag=TAG,
        body=TokenForm,
        body_media=(FORM,),
        answer=Token,
        also=((400, "no token: error as in RFC 6749 5.2"), (429, "too many wrong passwords")),
        own_error=TokenError,
    )


def _own() -> list[Endpoint | Socket]:
    return [
        Endpoint(
            "POST",
            "/api/v1/auth/ticket",
            give_ticket,
            role=Role.VIEWER,
            or_device=True,
            summary="Give a ticket with which one WebSocket can be opened, within 30 s",
            tag=TAG,
            answer=Ticket,
            status=201,
        ),
        Endpoint(
            "POST",
            "/api/v1/auth/password",
            change_password,
            role=Role.VIEWER,
            summary="Change the own password, and end the other sessions",
            tag=TAG,
            body=NewPassword,
            status=204,
            also=((409, "who asks is no user"), (429, "too many wrong passwords")),
        ),
        Endpoint(
            "GET",
            "/api/v1/auth/sessions",
            own_sessions,
            role=Role.VIEWER,
            summary="Give the own sessions",
            tag=TAG,
            answer=ShownSessions,
        ),
        Endpoint(
            "DELETE",
            "/api/v1/auth/sessions/{session:int}",
            end_own_session,
            role=Role.VIEWER,
            summary="End a session of one's own",
            tag=TAG,
            status=204,
            also=((404, "no such session"),),
        ),
    ]


async def give_token(call: Call[None, TokenForm]) -> Response:
    """Give a token, or say why not as OAuth2 has it."""
    users, form, request = call.gateway.users, call.body, call.request
    found: tuple[Session, str] | None
    if form.grant_type == "password":
        try:
            user = await users.sign_in.user(request, form.username, form.password)
        except Refusal as refusal:
            if refusal.status != 401:
                raise
            return _no_token("invalid_grant", WRONG)
        agent = request.headers.get("user-agent", "")
        found = await users.sessions.open(user, TOKEN, address(request), agent)
    elif form.grant_type == "refresh_token":
        found = await users.sessions.renew(form.refresh_token)
        if found is None:
            return _no_token("invalid_grant", "The refresh token is unknown, used, or has ended")
    else:
        return _no_token("unsupported_grant_type", "Expected password or refresh_token")
    session, refresh = found
    access = await users.tokens.issue(session)
    life_s = call.gateway.config.users.token_s
    return JsonResponse(Token(access, "bearer", life_s, refresh), headers=NO_STORE)


def _no_token(error: str, why: str) -> Response:
    return JsonResponse(TokenError(error, why, why), 400, headers=NO_STORE)


async def revoke(call: Call[None, RevokeForm]) -> Response:
    """End the session of a token, where there is one."""
    users = call.gateway.users
    number = await users.sessions.number_of(call.body.token)
    if number is None:
        said = await users.tokens.claims(call.body.token)
        number = said.session if said is not None else None
    if number is not None:
        await users.sessions.end([number])
    return Response(status_code=200)


async def login(call: Call[None, Credentials]) -> Response:
    """Sign a browser in; always with a new session, whatever cookie it had."""
    _check_page(call.request, call.gateway)
    users, request = call.gateway.users, call.request
    user = await users.sign_in.user(request, call.body.name, call.body.password)
    return await _signed_in(call.gateway, request, user)


async def _signed_in(gateway: Gateway, request: Request, user: User, status: int = 200) -> Response:
    users = gateway.users
    old = await users.sessions.of_cookie(cookie_of(request) or "")
    agent = request.headers.get("user-agent", "")
    session, secret = await users.sessions.open(user, BROWSER, address(request), agent)
    if old is not None:
        await users.sessions.end([old.id])
    content = SignedIn(user, csrf_token(secret), session.expires_ns)
    answer = JsonResponse(content, status, headers=NO_STORE)
    set_cookie(answer, request, secret, gateway.config.users.session_days * DAY_S)
    return answer


async def logout(call: Call[None, None]) -> Response:
    """End the session; the cookie goes in any case."""
    who = await call.gateway.guard.identify(call.request)
    if who.session is not None:
        await call.gateway.users.sessions.end([who.session])
        call.gateway.users.audit.note(
            who.name, who.kind, address(call.request), "sign out", who.name, "done"
        )
    answer = Response(status_code=204)
    clear_cookie(answer, call.request)
    return answer


async def me(call: Call[None, None]) -> Response:
    """Say who asks."""
    who = await call.gateway.guard.identify(call.request, or_device=True)
    cookie = cookie_of(call.request) if who.session is not None else None
    scope = None if who.scope is None else sorted(who.scope)
    csrf = csrf_token(cookie) if cookie is not None else None
    content = Me(who.name, who.kind, who.role, scope, who.device, csrf)
    return JsonResponse(content, headers=NO_STORE)


async def setup_state(call: Call[None, None]) -> SetupState:
    """Say whether there are users."""
    return SetupState(await call.gateway.users.setup.is_needed())


async def first_admin(call: Call[None, FirstAdmin]) -> Made:
    """Make the first admin."""
    _check_page(call.request, call.gateway)
    users, body = call.gateway.users, call.body
    where = address(call.request)
    try:
        user = await users.setup.first_admin(body.code, body.name, body.password, body.email)
    except Refusal as refusal:
        if refusal.status in (403, 429):
            users.audit.note("nobody", "code", where, "make the first admin", body.name, "refused")
        raise
    users.audit.note(user.name, "code", where, "make the first admin", user.name, "done")
    return Made(user)


async def give_ticket(call: Call[None, None]) -> Response:
    """Give a ticket."""
    ticket = await call.gateway.users.give_ticket(call.who)
    return JsonResponse(Ticket(ticket, LIFE_S), 201, headers=NO_STORE)


async def change_password(call: Call[None, NewPassword]) -> Response:
    """Change the own password; the one so far is asked for, and counts as a sign-in."""
    users = call.gateway.users
    user = await users.sign_in.user(call.request, _user(call.who), call.body.old)
    await users.accounts.set_password(user, call.body.new, keep=call.who.session)
    return Response(status_code=204)


async def own_sessions(call: Call[None, None]) -> ShownSessions:
    """Give the sessions of who asks."""
    return ShownSessions(
        [
            ShownSession(**msgspec.structs.asdict(session), current=session.id == call.who.session)
            for session in call.gateway.users.sessions.of_user(call.who.user)
        ]
    )


async def end_own_session(call: Call[None, None]) -> Response:
    """End a session of who asks."""
    number = call.path["session"]
    users = call.gateway.users
    if number not in {session.id for session in users.sessions.of_user(call.who.user)}:
        raise Refusal(404, "session", "the number of a session of one's own", str(number))
    await users.sessions.end([number])
    return Response(status_code=204)


def _user(who: Principal) -> str:
    if who.kind is not Kind.USER:
        raise Refusal(409, "user", "a user, who has a password", f"{who.kind.value}")
    return who.name


def _check_page(request: Request, gateway: Gateway) -> None:
    """Keep other sites from signing a browser in under another name."""
    found = foreign_page(request, gateway.config.http.origins)
    if found:
        raise Refusal(403, "Origin", "a page of this gateway, or of [http] origins", found)
