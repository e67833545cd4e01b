"""Parameters that many endpoints share: paging, instants, signals, ids in paths."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from server.answers import BadParameter
from server.catalogue import by_id, by_name, by_path
from server.errors import CatalogueError

INT64_MAX = 2**63 - 1
LIMIT = 1_000
LIMIT_MOST = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Limit = Annotated[int, Meta(ge=1, le=LIMIT_MOST, description="At most so many.")]
Offset = Annotated[int, Meta(ge=0, le=2**31 - 1, description="Leave out so many first.")]
Instant = Annotated[
    str,
    Meta(
        max_length=40,
        description="An instant as `2026-01-31T12:00:00Z`; UTC where it says no zone.",
        extra_json_schema={"format": "date-time"},
    ),
]
InstantNs = Annotated[int, Meta(ge=0, le=INT64_MAX, description="UTC nanoseconds since 1970.")]
Identifier = Annotated[int, Meta(ge=1, le=INT64_MAX)]
DeviceId = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Id of a device.")
]
SignalName = Annotated[
    str,
    Meta(max_length=200, description="Short name, path or id of a signal (`/api/v1/signals`)."),
]

PATH_TYPES: dict[str, Any] = {
    "device": DeviceId,
    "vin": Annotated[
        str, Meta(pattern=r"^[A-HJ-NPR-Z0-9]{17}$", description="Number of a vehicle (ISO 3779).")
    ],
}
"""Types of path parameters by name; others are whole numbers (`{id:int}`) or texts."""


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The query of an endpoint that has none."""


class Paging(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a list."""

    limit: Limit = LIMIT
    offset: Offset = 0


class Times(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """From an instant (included) to another (excluded), in ISO 8601 or in nanoseconds."""

    start: Instant | None = None
    start_ns: InstantNs | None = None
    end: Instant | None = None
    end_ns: InstantNs | None = None

    @property
    def range_ns(self) -> tuple[int, int]:
        """The two instants; all of time where none is given; the nanoseconds win.

        Raises:
            BadParameter: not an instant.
        """
        return (
            _instant_ns("start", self.start, self.start_ns, 0),
            _instant_ns("end", self.end, self.end_ns, INT64_MAX),
        )


class Wanted(Times, kw_only=True):
    """Of some signals, some time."""

    signal: list[SignalName] = []

    @property
    def signals(self) -> frozenset[int] | None:
        """Ids of the signals; None: all.

        Raises:
            BadParameter: one is unknown.
        """
        return signal_ids(self.signal)


def signal_ids(names: list[str], where: str = "signal") -> frozenset[int] | None:
    """Give the ids of signals that are named by short name, path or id; None for no names.

    Raises:
        BadParameter: one is unknown.
    """
    return frozenset(_signal(name, where) for name in names) if names else None


def _signal(text: str, where: str) -> int:
    try:
        if text.isascii() and text.isdigit() and len(text) < 10:
            return by_id(int(text)).id
        return (by_path(text) if "." in text else by_name(text)).id
    except CatalogueError as error:
        raise BadParameter(where, "a name, path or id of /api/v1/signals", str(error)) from None


def _instant_ns(name: str, text: str | None, given_ns: int | None, default: int) -> int:
    if given_ns is not None:
        return given_ns
    return default if text is None else parse_instant_ns(text, name)


def parse_instant_ns(text: str, where: str) -> int:
    """Give an instant of ISO 8601; what lies before 1970 or after 2262 counts as those.

    Raises:
        BadParameter: it is none.
    """
    try:
        # A plus sign in a query that was not escaped arrives as a space.
        when = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        since = when - _EPOCH
    except (ValueError, OverflowError):
        raise BadParameter(where, "an instant as 2026-01-31T12:00:00Z", repr(text[:40])) from None
    found = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return min(max(found, 0), INT64_MAX)
