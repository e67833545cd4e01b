"""What goes wrong on the way out.

OutboundError       nobody there, cut, too slow, no HTTP
  Blocked           not allowed to go there
"""

from __future__ import annotations

from server.errors import ServerError


class OutboundError(ServerError, ConnectionError):
    """Nothing was answered; whether it arrived is not known."""


class Blocked(OutboundError):  # noqa: N818 (named for what happened)
    """The address is not allowed; nothing was sent."""
