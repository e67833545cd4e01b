"""What can be wrong with wires.

RigError
└── WiresError (also ValueError): a place, a record or a comparison that cannot be used
    └── TapError: a port that cannot be opened, or a PTY that cannot be made
"""

from __future__ import annotations

from rig.errors import RigError


class WiresError(RigError, ValueError):
    """Something about wires that cannot be used; the message says what to do."""


class TapError(WiresError):
    """A real port that cannot be opened, or a PTY that cannot be made."""
