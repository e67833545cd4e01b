"""Errors of `telerig view`.

RigError
  └─ ViewError      what was asked for cannot be shown: a wrong folder, address or port
"""

from __future__ import annotations

from rig.errors import RigError


class ViewError(RigError):
    """What was asked for cannot be shown; one line for the user."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage
