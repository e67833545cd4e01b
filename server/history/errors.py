"""A question about history that is too large."""

from __future__ import annotations

from server.answers import BadParameter

READINGS_LIMIT = 5_000_000
"""Readings that one question may go through one by one."""
WINDOWS_LIMIT = 10_000


class TooMuch(BadParameter):
    """The question goes over more than may be read at once; answered with 400."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            "query",
            "a shorter time, fewer signals or longer windows",
            f"more than {limit} {what}",
        )
