"""[store]: when the hot log is compacted, and how long what is kept."""

from __future__ import annotations

import msgspec

from server.config_section import Section

GATEWAY, ELSEWHERE = "gateway", "elsewhere"
"""Who compacts: whichever gateway has the store's lease; or `telerig compact` and no gateway."""

KEYS = (
    "compact_after_s",
    "compact_bytes",
    "window_s",
    "raw_days",
    "rollup_days",
    "content_days",
    "latest_s",
)
"""Keys that the environment may set, all of them whole numbers there."""


class StoreConfig(msgspec.Struct, frozen=True):
    """How readings are kept.

    Attributes:
        compact_after_s: age of the oldest row of the hot log at which it is compacted.
        compact_bytes: size of the hot log at which it is compacted before that.
        window_s: longest part of time in one segment; a day has a whole number of them.
        raw_days: readings older than this are dropped, day by day; 0: never.
        rollup_days: windows of 5 min likewise, month by month; 0: never.
        content_days: so long a repeated request of a device that does not count is known.
        compactor: "gateway": gateways compact; "elsewhere": `telerig compact` does.
        latest_s: the newest values are written to their table so long after the first change.
    """

    compact_after_s: float = 600.0
    compact_bytes: int = 64 * 1024 * 1024
    window_s: float = 3600.0
    raw_days: int = 0
    rollup_days: int = 0
    content_days: int = 7
    latest_s: float = 5.0
    compactor: str = GATEWAY


def parse_store(section: Section) -> StoreConfig:
    """Read the section `[store]`."""
    default = StoreConfig()
    found = StoreConfig(
        compact_after_s=section.number(
            "compact_after_s", default.compact_after_s, minimum=0.05, maximum=86_400
        ),
        compact_bytes=section.integer(
            "compact_bytes", default.compact_bytes, minimum=1, maximum=2**40
        ),
        window_s=section.number("window_s", default.window_s, minimum=60, maximum=86_400),
        raw_days=section.integer("raw_days", default.raw_days, minimum=0, maximum=36_500),
        rollup_days=section.integer("rollup_days", default.rollup_days, minimum=0, maximum=36_500),
        content_days=section.integer("content_days", default.content_days, minimum=1, maximum=366),
        latest_s=section.number("latest_s", default.latest_s, minimum=0.05, maximum=3600),
        compactor=section.choice("compactor", (GATEWAY, ELSEWHERE), default.compactor),
    )
    if 86_400 % found.window_s:
        raise section.where.error(
            "window_s", "a part of a day, 600 or 3600 for example", str(found.window_s)
        )
    section.done()
    return found
