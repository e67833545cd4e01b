"""What a device tells: templates of its commands, and results."""

from __future__ import annotations

import msgspec


class Told(msgspec.Struct):
    """A template as a device tells it."""

    name: str
    description: str = ""
    schema: str = ""


class Result(msgspec.Struct):
    """A result as a device tells it."""

    id: int
    status: int
    detail: str = ""
