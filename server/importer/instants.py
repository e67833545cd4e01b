"""Instants as older systems wrote them: text, or a number of some unit since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_S = 946_684_800  # the year 2000, and so in all units the least that can be told apart
_MOST_S = 4_102_444_800  # the year 2100
_UNITS_NS = (1_000_000_000, 1_000_000, 1_000, 1)


def instant_ns(value: object) -> int | None:
    """Give UTC nanoseconds; None for what is no instant from 2000 to 2100.

    A text without a zone counts as UTC, which is what all three systems wrote. The unit of a number
    follows from its size: seconds, milliseconds, microseconds or nanoseconds since 1970.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        return _of_number(int(text) if text.isdigit() else float(text))
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
        since = (when if when.tzinfo is not None else when.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    seconds = since.days * 86_400 + since.seconds
    if not _LEAST_S <= seconds < _MOST_S:
        return None
    return seconds * 1_000_000_000 + since.microseconds * 1_000


def _of_number(number: float) -> int | None:
    for unit_ns in _UNITS_NS:
        if _LEAST_S <= number * unit_ns / 1e9 < _MOST_S:
            # A double of today's seconds resolves 0.2 us.
            return (
                number * unit_ns
                if isinstance(number, int)
                else round(number * 1e6) * unit_ns // 10**6
            )
    return None
