"""Users, their sessions, and the audit log."""

from __future__ import annotations

from reports.view.form import Confirmation, Field, Form
from reports.view.listing import Action, Column, Filter, Kind, Listing, placed
from reports.view.lists import signs
from reports.view.lists.exports import DEVICES

_ROLES = (
    ("viewer", "viewer: sees"),
    ("operator", "operator: acts"),
    ("admin", "admin: manages"),
)
_ROLE = Field(name="role", label="Role", choices=_ROLES)
_SCOPE = Field(
    name="scope",
    label="Devices",
    hint="None: all of them.",
    options=DEVICES,
    wide=True,
)

USER_SESSIONS = Listing(
    name="user-sessions",
    api="/api/v1/users/{name}",
    rows="sessions",
    role="admin",
    columns=(
        Column(key="id", label="Session", kind=Kind.NUMBER),
        Column(key="kind", label="Kind"),
        Column(key="address", label="From"),
        Column(key="agent", label="Program"),
        Column(key="made_ns", label="Began", kind=Kind.INSTANT_NS),
        Column(key="used_ns", label="Last used", kind=Kind.INSTANT_NS),
        Column(key="expires_ns", label="Ends", kind=Kind.INSTANT_NS),
    ),
    empty="No session is open.",
)

USERS = Listing(
    name="users",
    api="/api/v1/users",
    rows="users",
    key="name",
    role="admin",
    columns=(
        Column(key="name", label="User"),
        Column(key="role", label="Role"),
        Column(key="scope", label="Devices", kind=Kind.WORDS, empty="all"),
        Column(key="email", label="Mail"),
        Column(key="active", label="State", kind=Kind.SIGN, signs=signs.ACTIVE),
        Column(key="last_login_ns", label="Signed in", kind=Kind.INSTANT_NS, empty="never"),
        Column(key="made_ns", label="Made", kind=Kind.INSTANT_NS),
    ),
    actions=(
        Action(
            name="add-user",
            label="Add a user",
            role="admin",
            method="POST",
            path="/api/v1/users",
            tone="primary",
            form=Form(
                title="A user",
                submit="Add",
                fields=(
                    Field(name="name", label="Name"),
                    Field(name="password", label="Password", kind="password"),
                    _ROLE,
                    Field(name="email", label="Mail"),
                    _SCOPE,
                ),
            ),
            done="{user.name} can sign in as {user.role}.",
        ),
        Action(
            name="new-signing-key",
            label="New signing key",
            role="admin",
            method="POST",
            path="/api/v1/auth/keys",
            confirm=Confirmation(
                "Sign access tokens with a new key? Those that are out are valid until they"
                " expire.",
                "New key",
                "primary",
            ),
            done="Access tokens have a new key.",
        ),
    ),
    row_actions=(
        Action(
            name="edit",
            label="Edit",
            role="admin",
            method="PATCH",
            path="/api/v1/users/{name}",
            form=Form(
                title="{name}",
                submit="Save",
                fill=".",
                changes_only=True,
                fields=(
                    _ROLE,
                    Field(name="email", label="Mail"),
                    _SCOPE,
                    Field(name="active", label="May sign in"),
                ),
            ),
            done="{name} was changed.",
        ),
        Action(
            name="password",
            label="Password",
            role="admin",
            method="PATCH",
            path="/api/v1/users/{name}",
            form=Form(
                title="A new password for {name}",
                submit="Set the password",
                fields=(Field(name="password", label="Password", kind="password", needed=True),),
            ),
            done="{name} has a new password.",
        ),
        Action(
            name="sessions",
            label="Sessions",
            role="admin",
            shows=(placed(USER_SESSIONS),),
        ),
        Action(
            name="end-sessions",
            label="Sign out",
            role="admin",
            method="DELETE",
            path="/api/v1/users/{name}/sessions",
            tone="danger",
            confirm=Confirmation("End all sessions and tokens of {name}?", "Sign out"),
            done="{name} is signed out everywhere.",
        ),
    ),
    empty="No user yet.",
)

AUDIT = Listing(
    name="audit",
    api="/api/v1/audit",
    rows="entries",
    role="admin",
    columns=(
        Column(key="time_ns", label="When", kind=Kind.INSTANT_NS),
        Column(key="who", label="Who"),
        Column(key="kind", label="By"),
        Column(key="address", label="From"),
        Column(key="action", label="What"),
        Column(key="object", label="Of what"),
        Column(key="outcome", label="Outcome", kind=Kind.SIGN, signs=signs.OUTCOMES),
        Column(key="times", label="Times", kind=Kind.NUMBER),
    ),
    filters=(
        Filter(name="who", label="Who", kind="text"),
        Filter(name="start", label="From", kind="instant"),
        Filter(name="end", label="To", kind="instant"),
        Filter(name="action", label="What", kind="text", of_rows=True),
    ),
    paging="before",
    before_key="time_ns",
    empty="Nothing was done yet.",
)
