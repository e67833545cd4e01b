"""What ids of own signals mean, kept for readers of old data."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest
import structlog

from server.catalogue import Signal
from server.errors import StoreError
from server.store.signals import keep_signals

SPEED = Signal(0x1000_0001, "Speed", "Vehicle.CAN.A.Speed", "km/h", 0.1, 0, 300, "can:A")
GEAR = Signal(0x7FFF_FFFF, "Gear", "Vehicle.CAN.A.Gear", "", 1, 0, 15, "can:A")


async def test_signals_outlive_their_configuration(pool: asyncpg.Pool) -> None:
    """What one start has told, the next one knows, whatever it tells itself."""
    async with pool.acquire() as connection:
        assert await keep_signals(connection, [SPEED], 1) == (SPEED,)
        assert await keep_signals(connection, [GEAR], 2) == (SPEED, GEAR)
        assert await keep_signals(connection, [], 3) == (SPEED, GEAR)


async def test_a_changed_signal_is_stored_anew(pool: asyncpg.Pool) -> None:
    """Another unit is warned of: stored readings have the old one."""
    other = msgspec.structs.replace(SPEED, unit="mph", maximum=200)
    async with pool.acquire() as connection:
        await keep_signals(connection, [SPEED], 1)
        with structlog.testing.capture_logs() as logs:
            assert await keep_signals(connection, [other], 2) == (other,)
            assert await keep_signals(connection, [other], 3) == (other,)
    assert [(entry["stored"], entry["now"]) for entry in logs] == [("km/h", "mph")]


@pytest.mark.parametrize("change", [{"name": "Other"}, {"id": 0x1000_0002}])
async def test_an_id_is_never_reused(pool: asyncpg.Pool, change: dict[str, object]) -> None:
    """An id, or a name, that is stored for another signal is refused."""
    async with pool.acquire() as connection:
        await keep_signals(connection, [SPEED], 1)
        with pytest.raises(StoreError, match=r"is stored as Speed \(0x10000001\): rename it"):
            await keep_signals(connection, [msgspec.structs.replace(SPEED, **change)], 2)
