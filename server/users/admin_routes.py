"""Users and the audit log, for admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import DeviceId, InstantNs, Limit, Times
from server.users.accounts import SCOPE_LIMIT, Changes
from server.users.audit import Entry
from server.users.audit import Wanted as WantedEntries
from server.users.directory import Session, User
from server.users.password import check_new

if TYPE_CHECKING:
    from server.gateway import Gateway

TAG = "users"
ENTRIES_DEFAULT = 100
INT64_MAX = 2**63 - 1
RoleName = Literal["viewer", "operator", "admin"]
Text = Annotated[str, Meta(max_length=1_000)]
Email = Annotated[str, Meta(max_length=254)]
UserName = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$", description="Name of a user."),
]
Scope = Annotated[
    list[DeviceId],
    Meta(max_length=SCOPE_LIMIT, description="Devices that may be seen; null: all."),
]


class UserPath(msgspec.Struct):
    """The path of one user."""

    name: UserName


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A user to make; `password` may be a bcrypt hash of an older system."""

    name: UserName
    password: Text
    role: RoleName = "viewer"
    email: Email = ""
    scope: Scope | None = None


class UserChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed; what is not there stays."""

    role: RoleName | UnsetType = UNSET
    scope: Scope | UnsetType | None = UNSET
    email: Email | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    password: Text | UnsetType = UNSET


class OneUser(msgspec.Struct, frozen=True):
    """A user."""

    user: User


class UserWithSessions(msgspec.Struct, frozen=True):
    """A user, and the sessions that are open."""

    user: User
    sessions: list[Session]


class UserList(msgspec.Struct, frozen=True):
    """The users by name."""

    users: list[User]


class Ended(msgspec.Struct, frozen=True):
    """How many sessions were ended."""

    ended: int


class KeyRotation(msgspec.Struct, forbid_unknown_fields=True):
    """`end_others`: a key has leaked; no token that is out there counts any more."""

    end_others: bool = False


class RotatedKey(msgspec.Struct, frozen=True):
    """Number of the key that signs tokens now."""

    key: str
    made_ns: int


class AuditQuery(Times, kw_only=True):
    """A part of the audit log, the newest first; `before`: the `next` of the page before."""

    limit: Limit = ENTRIES_DEFAULT
    before: InstantNs = INT64_MAX
    who: Annotated[str, Meta(max_length=200)] | None = None


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, the newest first; `next` is the `before` of the following page."""

    entries: list[Entry]
    next: int | None


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    no_such = ((404, "no such user"),)
    conflict = (409, "the name is taken, or no admin would be left")
    one = "/api/v1/users/{name}"
    return [
        Endpoint(
            "GET",
            "/api/v1/users",
            users,
            role=Role.ADMIN,
            summary="Give the users",
            tag=TAG,
            answer=UserList,
        ),
        Endpoint(
            "POST",
            "/api/v1/users",
            create,
            role=Role.ADMIN,
            summary="Make a user",
            tag=TAG,
            body=NewUser,
            answer=OneUser,
            status=201,
            also=(conflict,),
        ),
        Endpoint(
            "GET",
            one,
            user,
            role=Role.ADMIN,
            summary="Give a user and the sessions that are open",
            tag=TAG,
            path_types=UserPath,
            answer=UserWithSessions,
            also=no_such,
        ),
        Endpoint(
            "PATCH",
            one,
            change,
            role=Role.ADMIN,
            summary="Change a user, from the next request on",
            tag=TAG,
            path_types=UserPath,
            body=UserChanges,
            answer=OneUser,
            also=(*no_such, conflict),
        ),
        Endpoint(
            "DELETE",
            f"{one}/sessions",
            end_sessions,
            role=Role.ADMIN,
            summary="End all sessions and tokens of a user",
            tag=TAG,
            path_types=UserPath,
            answer=Ended,
            also=no_such,
        ),
        Endpoint(
            "POST",
            "/api/v1/auth/keys",
            rotate_key,
            role=Role.ADMIN,
            summary="Sign access tokens with a new key",
            tag=TAG,
            body=KeyRotation,
            body_optional=True,
            answer=RotatedKey,
            status=201,
        ),
        Endpoint(
            "GET",
            "/api/v1/audit",
            audit,
            role=Role.ADMIN,
            summary="Give the audit log, the newest first",
            tag=TAG,
            query=AuditQuery,
            answer=AuditPage,
        ),
    ]


async def users(call: Call[None, None]) -> UserList:
    """Give the users."""
    return UserList(await call.gateway.users.accounts.all())


async def create(call: Call[None, NewUser]) -> OneUser:
    """Make a user."""
    body = call.body
    made = await call.gateway.users.accounts.create(
        body.name, body.password, Role(body.role), email=body.email, scope=body.scope
    )
    return OneUser(made)


async def user(call: Call[None, None]) -> UserWithSessions:
    """Give a user."""
    found = await call.gateway.users.accounts.find(call.path["name"])
    return UserWithSessions(found, call.gateway.users.sessions.of_user(found.id))


async def change(call: Call[None, UserChanges]) -> OneUser:
    """Change a user."""
    body, accounts = call.body, call.gateway.users.accounts
    role = UNSET if body.role is UNSET else Role(body.role)
    scope = tuple(body.scope) if isinstance(body.scope, list) else body.scope
    found = await accounts.find(call.path["name"])
    if body.password is not UNSET:
        check_new(body.password, found.name, found.email)  # before anything is changed
    changed = await accounts.change(found.name, Changes(role, scope, body.email, body.active))
    if body.password is not UNSET:
        await accounts.set_password(found, body.password)
    return OneUser(changed)


async def end_sessions(call: Call[None, None]) -> Ended:
    """End all sessions of a user."""
    sessions = call.gateway.users.sessions
    found = await call.gateway.users.accounts.find(call.path["name"])
    numbers = [session.id for session in sessions.of_user(found.id)]
    await sessions.end(numbers)
    return Ended(len(numbers))


async def rotate_key(call: Call[None, KeyRotation]) -> RotatedKey:
    """Make another key."""
    made = await call.gateway.users.tokens.rotate(end_others=call.body.end_others)
    return RotatedKey(made.id, made.made_ns)


async def audit(call: Call[AuditQuery, None]) -> AuditPage:
    """Give a part of the audit log."""
    query = call.query
    wanted = WantedEntries(query.limit, query.before, query.who, *query.range_ns)
    entries = await call.gateway.users.audit.read(wanted)
    return AuditPage(entries, entries[-1].id if len(entries) == query.limit else None)
