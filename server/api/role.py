"""What one must be to use an endpoint."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """Who may use an endpoint.

    VIEWER, OPERATOR and ADMIN include each other in this order. PUBLIC is everybody, DEVICE a
    device with its key. COMPAT marks a path of an older system, which has a rule of its own
    (`server.compat.access`).
    """

    PUBLIC = "public"
    DEVICE = "device"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    COMPAT = "compat"
