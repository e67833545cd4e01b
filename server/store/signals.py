"""What the ids of a configuration's own signals mean, for readers of old data."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import structlog

from server.catalogue import Signal
from server.errors import StoreError

log = structlog.get_logger("telerig.store")

_COLUMNS = "id, name, path, unit, resolution, minimum, maximum, source"
_KEEP = f"""
    INSERT INTO signals ({_COLUMNS}, told_ns)
    SELECT *, $9 FROM unnest(
        $1::bigint[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[],
        $8::text[]
    )
    ON CONFLICT (id) DO UPDATE SET
        path = excluded.path, unit = excluded.unit, resolution = excluded.resolution,
        minimum = excluded.minimum, maximum = excluded.maximum, source = excluded.source,
        told_ns = excluded.told_ns
"""


async def keep_signals(
    connection: asyncpg.Connection, signals: Sequence[Signal], now_ns: int
) -> tuple[Signal, ...]:
    """Store what signals mean; give all that are known, also those of earlier configurations.

    Raises:
        StoreError: an id, or a name, stands for another signal in what is stored.
    """
    known = {signal.id: signal for signal in await _load(connection)}
    names = {signal.name: signal for signal in known.values()}
    new = []
    for signal in signals:
        before = known.get(signal.id, names.get(signal.name))
        if before == signal:
            continue
        new.append(signal)
        if before is None:
            continue
        if (before.id, before.name) != (signal.id, signal.name):
            raise StoreError(
                f"signal {signal.name} ({signal.id:#x}) is stored as {before.name} "
                f"({before.id:#x}): rename it, or leave it out of the key signals of its link"
            )
        if before.unit != signal.unit:
            log.warning(
                "unit of a signal differs from that of stored readings",
                signal=signal.name,
                stored=before.unit,
                now=signal.unit,
            )
    if new:
        fields = ("id", "name", "path", "unit", "resolution", "minimum", "maximum", "source")
        columns = [[getattr(signal, field) for signal in new] for field in fields]
        await connection.execute(_KEEP, *columns, now_ns)
    known.update((signal.id, signal) for signal in new)
    return tuple(known[signal_id] for signal_id in sorted(known))


async def _load(connection: asyncpg.Connection) -> list[Signal]:
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM signals ORDER BY id")
    return [Signal(**dict(row)) for row in rows]
