"""Instants as text, fast: a table has the same second again and again."""

from __future__ import annotations

from datetime import UTC, datetime


class IsoText:
    """Writes instants as ISO 8601 in UTC with microseconds; a nanosecond's rest is cut off."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, time_ns: int) -> str:
        """Give the text of an instant."""
        second, rest_ns = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            when = datetime.fromtimestamp(second, UTC)
            self._text = when.strftime("%Y-%m-%dT%H:%M:%S.")
            self._second = second
        return f"{self._text}{rest_ns // 1000:06d}Z"


def iso(time_ns: int) -> str:
    """Give an instant as ISO 8601 in UTC with milliseconds."""
    return IsoText()(time_ns)[:23] + "Z"
