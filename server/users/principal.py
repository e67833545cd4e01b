"""Who asks: what the guard found out about the sender of a request."""

from __future__ import annotations

import enum

import msgspec

from server.api.role import Role

_RANK = {Role.PUBLIC: 0, Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3}


class Kind(enum.StrEnum):
    """How a principal has shown who it is."""

    NOBODY = "nobody"
    LOCAL = "local"
    DEVICE = "device"
    USER = "user"
    OPERATOR_SECRET = "operator secret"


class Principal(msgspec.Struct, frozen=True):
    """Somebody who asks, and what that one may see.

    Attributes:
        name: of the user or device; a fixed word for the others.
        role: PUBLIC (nobody), DEVICE, VIEWER, OPERATOR or ADMIN.
        kind: how it was shown.
        device: id of the device whose key was sent; else None.
        scope: ids of the devices that may be seen; None: all of them.
        user: id of the user; None for all that are no users.
        session: id of the session that the request belongs to; None where there is none.
        key: id of the device key; None for other principals, and keys of the configuration.
    """

    name: str
    role: Role
    kind: Kind
    device: str | None = None
    scope: frozenset[str] | None = None
    user: int | None = None
    session: int | None = None
    key: int | None = None

    def may_read(self, device: str) -> bool:
        """Tell whether the principal may know that this device exists, and see what it has sent.

        What one may not see is answered as what is not there: 404.
        """
        if self.role is Role.DEVICE:
            return self.device == device
        return self.may(Role.VIEWER) and (self.scope is None or device in self.scope)

    def may(self, role: Role) -> bool:
        """Tell whether the principal has that role, or a higher one; devices have none of them."""
        return _RANK.get(self.role, -1) >= _RANK[role]

    def visible(self, device: str | None) -> frozenset[str] | None:
        """Give the devices that a query over many may read: the one that is asked for, or all that
        the principal may see (None: no bound); empty where it may see nothing of it."""
        if device is not None:
            return frozenset((device,)) if self.may_read(device) else frozenset()
        return frozenset((self.device,)) if self.device is not None else self.scope


NOBODY = Principal("nobody", Role.PUBLIC, Kind.NOBODY)
OPERATOR_SECRET = Principal("operator secret", Role.ADMIN, Kind.OPERATOR_SECRET)
"""Who sends the API secret: an admin, and no user."""
