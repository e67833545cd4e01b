"""[users]: who may use the API without an API secret, and for how long."""

from __future__ import annotations

import msgspec

from server.api.role import Role
from server.config_section import Section

NONE = "none"
LOCAL_ROLES = (NONE, Role.VIEWER.value, Role.OPERATOR.value, Role.ADMIN.value)


class UsersConfig(msgspec.Struct, frozen=True):
    """How people sign in.

    Attributes:
        local_role: what a request of a program of this machine may do without credentials; None:
            nothing. See `server.users.local`.
        token_s: life of an access token (JWT).
        session_days: life of a browser's session, and of a refresh token that is used.
        idle_days: a session that was not used for so long has ended.
        requests_per_s: of one user; 0: as many as they like.
    """

    local_role: Role | None = None
    token_s: int = 900
    session_days: int = 30
    idle_days: int = 7
    requests_per_s: int = 100


def users_config(section: Section) -> UsersConfig:
    """Read [users].

    Raises:
        ConfigError: with what was expected.
    """
    local = section.choice("local_role", LOCAL_ROLES, NONE)
    config = UsersConfig(
        local_role=None if local == NONE else Role(local),
        token_s=section.integer("token_s", 900, minimum=60, maximum=3600),
        session_days=section.integer("session_days", 30, minimum=1, maximum=365),
        idle_days=section.integer("idle_days", 7, minimum=1, maximum=365),
        requests_per_s=section.integer("requests_per_s", 100, minimum=0, maximum=1_000_000),
    )
    section.done()
    return config
