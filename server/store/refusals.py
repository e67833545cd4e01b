"""The quarantine: what devices sent and the gateway refused, counted, with the last examples."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import msgspec

EXAMPLES = 5
"""Examples that are kept of each reason."""
EXAMPLE_CHARACTERS = 300
COUNTED = 10_000
"""Pairs of device and reason that wait to be written; further ones are counted as "other"."""

_WRITE = """
INSERT INTO device_refusals AS kept (device, reason, count, first_ns, last_ns, examples)
VALUES ($1, $2, $3, $4, $4, $5)
ON CONFLICT (device, reason) DO UPDATE SET
    count = kept.count + excluded.count,
    last_ns = excluded.last_ns,
    examples = (excluded.examples || kept.examples)[1:$6]
"""


class RefusalCount(msgspec.Struct):
    """One reason of one device: how often, and examples, newest first."""

    count: int = 0
    examples: list[str] = msgspec.field(default_factory=list)


class RefusalCounts:
    """Counts that are not written yet; bounded.

    Args:
        changed: called when there is something to write.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._counts: dict[tuple[str, str], RefusalCount] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, device: str, reason: str, example: str, by: int = 1) -> None:
        """Count a refusal; `reason` is one of a short list, `example` any text."""
        key = device, reason
        if key not in self._counts and len(self._counts) >= COUNTED:
            key = device[:1], "other"
        counted = self._counts.setdefault(key, RefusalCount())
        counted.count += by
        text = example[:EXAMPLE_CHARACTERS].replace("\0", "␀")
        # Lone surrogates are no text for a database.
        counted.examples.insert(0, text.encode("utf-8", "replace").decode())
        del counted.examples[EXAMPLES:]
        self._changed()

    async def write(self, connection: asyncpg.Connection, now_ns: int) -> None:
        """Write what was counted; what comes meanwhile waits for the next time.

        Raises:
            DATABASE_ERRORS: what was not written is still counted.
        """
        for key in sorted(self._counts):
            counted = self._counts.pop(key)
            try:
                await connection.execute(
                    _WRITE, key[0], key[1], counted.count, now_ns, counted.examples, EXAMPLES
                )
            except BaseException:
                meanwhile = self._counts.setdefault(key, RefusalCount())
                meanwhile.count += counted.count
                meanwhile.examples = (meanwhile.examples + counted.examples)[:EXAMPLES]
                raise
