"""The registry on a real database: keys, their rotation, their end."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import asyncpg
import pytest

from server.devices.key import Key
from server.devices.registry import REFRESH_S, UNKNOWN_BURST, UNKNOWN_PER_S, Registry
from server.errors import DeviceConflict, UnknownDevice
from tests.server.hand_clock import HandClock

VIN = "WF0DXXGAKDDK12345"


@pytest.fixture
def clock() -> HandClock:
    """The clock of the registry under test."""
    return HandClock()


@pytest.fixture
def registry(pool: asyncpg.Pool, clock: HandClock) -> Registry:
    """A registry without devices."""
    return Registry(pool, clock)


async def test_a_registered_device_is_known_by_its_key(registry: Registry) -> None:
    """The key of a registration authenticates that device, and no other text does."""
    device, minted = await registry.register("esp_1", "Car of Ada", VIN)
    assert await registry.authenticate(minted.key) == device
    assert (device.id, device.name, device.vin, device.active) == ("esp_1", "Car of Ada", VIN, True)
    for wrong in (
        "",
        "nonsense",
        str(Key.make("esp_1", bytes(32))),
        str(Key.make("esp_2", bytes(32))),
        minted.key[:-1],
        minted.key.replace("esp_1", "esp_2"),
        "' OR 1=1 --",
        "vtg_dev_esp_1_\0_",
    ):
        assert await registry.authenticate(wrong) is None


async def test_only_the_hash_is_stored(registry: Registry, pool: asyncpg.Pool) -> None:
    """No table holds the secret."""
    _, minted = await registry.register("esp-1")
    parsed = Key.parse(minted.key)
    assert parsed is not None
    async with pool.acquire() as connection:
        (row,) = await connection.fetch("SELECT device_keys::text AS text, * FROM device_keys")
    assert row["sha256"] == hashlib.sha256(parsed.secret.encode()).digest()
    assert parsed.secret not in row["text"]


async def test_two_keys_live_while_they_overlap(registry: Registry, clock: HandClock) -> None:
    """After a rotation both keys work until the overlap ends; a third one is refused meanwhile."""
    _, first = await registry.register("esp-1")
    second = await registry.rotate("esp-1", overlap_s=60)
    assert await registry.authenticate(first.key)
    assert await registry.authenticate(second.key)
    with pytest.raises(DeviceConflict, match="fewer than 2 live keys, found keys 1, 2"):
        await registry.rotate("esp-1")
    clock.now_s += 59.9
    assert await registry.authenticate(first.key)
    clock.now_s += 0.2
    assert await registry.authenticate(first.key) is None
    assert await registry.authenticate(second.key)
    third = await registry.rotate("esp-1", overlap_s=None)
    clock.now_s += 1e6
    assert await registry.authenticate(second.key)
    assert await registry.authenticate(third.key)


async def test_rotations_at_the_same_time(
    registry: Registry, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """Two operators at two gateways never leave a device with three live keys."""
    await registry.register("esp-1")
    others = [Registry(pool, clock) for _ in range(4)]
    results = await asyncio.gather(
        *(other.rotate("esp-1", None) for other in others), return_exceptions=True
    )
    assert sum(isinstance(result, DeviceConflict) for result in results) == 3
    assert sum(key.live for key in await registry.keys("esp-1")) == 2


async def test_a_rotation_without_overlap_ends_all_keys_before(registry: Registry) -> None:
    """Overlap 0 is for a key that leaked: only the new one works."""
    _, first = await registry.register("esp-1")
    second = await registry.rotate("esp-1", overlap_s=None)
    third = await registry.rotate("esp-1", overlap_s=0)
    assert await registry.authenticate(first.key) is None
    assert await registry.authenticate(second.key) is None
    assert await registry.authenticate(third.key)


async def test_a_revoked_key_works_no_more(registry: Registry) -> None:
    """Revoking ends that key at once, and only that."""
    _, first = await registry.register("esp-1")
    second = await registry.rotate("esp-1")
    await registry.revoke("esp-1", first.id)
    assert await registry.authenticate(first.key) is None
    assert await registry.authenticate(second.key)
    states = {key.id: key.live for key in await registry.keys("esp-1")}
    assert states == {first.id: False, second.id: True}
    with pytest.raises(UnknownDevice, match="a key of device 'esp-1', found 99"):
        await registry.revoke("esp-1", 99)


async def test_a_revoke_wins_over_reads_at_the_same_time(
    registry: Registry, clock: HandClock
) -> None:
    """Refreshes that run beside a revoke never bring the key back."""
    _, minted = await registry.register("esp-1")

    async def ask() -> None:
        for _ in range(5):
            clock.now_s += REFRESH_S + 1
            await registry.authenticate(minted.key)

    await asyncio.gather(ask(), registry.revoke("esp-1", minted.id), ask())
    assert await registry.authenticate(minted.key) is None


async def test_a_key_of_another_device_cannot_be_revoked_through_this_one(
    registry: Registry,
) -> None:
    """The id of a key counts only together with its device."""
    _, first = await registry.register("esp-1")
    await registry.register("esp-2")
    with pytest.raises(UnknownDevice):
        await registry.revoke("esp-2", first.id)
    assert await registry.authenticate(first.key)


async def test_a_deactivated_device_comes_back_with_another_key(registry: Registry) -> None:
    """Deactivation ends all keys; a new registration does not revive them."""
    _, first = await registry.register("esp-1", "old name")
    with pytest.raises(DeviceConflict, match="an id that no active device has"):
        await registry.register("esp-1")
    assert not (await registry.deactivate("esp-1")).active
    assert await registry.authenticate(first.key) is None
    assert await registry.devices() == []
    assert [device.id for device in await registry.devices(inactive=True)] == ["esp-1"]
    with pytest.raises(DeviceConflict, match="an active device"):
        await registry.rotate("esp-1")
    device, second = await registry.register("esp-1", "new name")
    assert device.name == "new name"
    assert await registry.authenticate(second.key) == device
    assert await registry.authenticate(first.key) is None


async def test_another_gateway_sees_a_revoke_soon(
    registry: Registry, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """A registry of another process on the same database follows within REFRESH_S."""
    other = Registry(pool, clock)
    _, minted = await registry.register("esp-1")
    assert await other.authenticate(minted.key)
    await registry.revoke("esp-1", minted.id)
    clock.now_s += REFRESH_S + 0.1
    assert await other.authenticate(minted.key) is None


class AwayPool:
    """Connections of a database that can be away."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.away = False
        self._pool = pool

    def acquire(self) -> Any:
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")
        return self._pool.acquire()


async def test_without_the_database(pool: asyncpg.Pool, clock: HandClock) -> None:
    """What is known stays in force while the database is away; what is not known is an error."""
    away: Any = AwayPool(pool)
    registry = Registry(away, clock)
    _, minted = await registry.register("esp-1")
    assert await registry.authenticate(minted.key)
    away.away = True
    clock.now_s += REFRESH_S + 1
    assert await registry.authenticate(minted.key)
    assert await registry.authenticate(minted.key[:-1]) is None
    with pytest.raises(ConnectionRefusedError):
        await registry.revoke("esp-1", minted.id)
    assert await registry.authenticate(minted.key) is None
    with pytest.raises(ConnectionRefusedError):
        await Registry(away, clock).authenticate(minted.key)
    await registry.close()
    away.away = False
    clock.now_s += REFRESH_S + 1
    assert await registry.authenticate(minted.key), "not revoked: the operator was told so"
    await registry.close()


async def test_the_last_use_is_shown_and_kept(
    registry: Registry, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """A use shows at once, and survives a restart after a clean stop."""
    _, minted = await registry.register("esp-1")
    assert (await registry.keys("esp-1"))[0].last_used_ns is None
    await registry.authenticate(minted.key)
    used_ns = clock.now_ns()
    assert (await registry.keys("esp-1"))[0].last_used_ns == used_ns
    await registry.close()
    assert (await Registry(pool, clock).keys("esp-1"))[0].last_used_ns == used_ns


async def test_a_restart_knows_the_keys(
    registry: Registry, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """A new process reads devices and keys from the database."""
    device, minted = await registry.register("esp-1")
    assert await Registry(pool, clock).authenticate(minted.key) == device


async def test_keys_of_the_configuration(pool: asyncpg.Pool, clock: HandClock) -> None:
    """A fixed key authenticates its device, which can be deactivated as any other."""
    key = "0123456789abcdef"
    fixed = {hashlib.sha256(key.encode()).digest(): "bench-1"}
    registry = Registry(pool, clock, fixed=fixed)
    device = await registry.authenticate(key)
    assert device is not None
    assert device.id == "bench-1"
    assert await registry.authenticate("0123456789abcdeg") is None
    await registry.deactivate("bench-1")
    assert await registry.authenticate(key) is None
    assert await Registry(pool, clock, fixed=fixed).authenticate(key) is None


async def test_a_vehicle_is_noted(registry: Registry, pool: asyncpg.Pool, clock: HandClock) -> None:
    """The VIN that a device reports is stored with it."""
    await registry.register("esp-1")
    await registry.name_vehicle("esp-1", VIN)
    await registry.name_vehicle("unknown", VIN)
    found = await Registry(pool, clock).find("esp-1")
    assert found is not None
    assert found.vin == VIN


async def test_a_flood_of_unknown_keys_costs_few_queries(
    registry: Registry, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """Where other gateways register devices, too, an unknown key is looked up, but a flood of them
    is not; and it never keeps a right one out for long."""
    await registry.fresh()
    registry.share(lambda: True)
    _, elsewhere = await Registry(pool, clock).register("esp-1")
    queries = 0
    read = registry._read_again

    async def counted(devices: frozenset[str] | None) -> None:
        nonlocal queries
        queries += 1
        await read(devices)

    registry._read_again = counted  # type: ignore[method-assign]
    for number in range(3 * round(UNKNOWN_BURST)):
        assert await registry.identify(str(Key.make("esp-1", number.to_bytes(32, "big")))) is None
    assert queries == UNKNOWN_BURST
    assert await registry.identify(elsewhere.key) is not None
    _, another = await Registry(pool, clock).register("esp-2")
    assert await registry.identify(another.key) is None
    clock.now_s += 2 / UNKNOWN_PER_S
    assert await registry.identify(another.key) is not None
    assert await registry.identify("vtg_dev_\0_x") is None


async def test_what_is_changed_by_hand_is_found(
    registry: Registry, pool: asyncpg.Pool, clock: HandClock
) -> None:
    """Whatever column a command or a person changes in the tables, for one device of many."""
    keys = {name: (await registry.register(name))[1] for name in ("esp-1", "esp-2", "esp-3")}
    changes = (
        "UPDATE devices SET active = false WHERE id = 'esp-2'",
        "UPDATE devices SET active = true, name = 'Renamed' WHERE id = 'esp-2'",
        "UPDATE device_keys SET expires_ns = 1 WHERE device = 'esp-2'",
        "UPDATE device_keys SET expires_ns = NULL WHERE device = 'esp-2'",
        "UPDATE device_keys SET revoked_ns = 1 WHERE device = 'esp-2'",
    )
    good = [False, True, False, True, False]
    for change, is_good in zip(changes, good, strict=True):
        async with pool.acquire() as connection:
            await connection.execute(change)
        clock.now_s += REFRESH_S + 1
        assert await registry.authenticate(keys["esp-1"].key)
        found = await registry.authenticate(keys["esp-2"].key)
        assert (found is not None) is is_good, change
    assert [device.name for device in await registry.devices()][1] == "Renamed"
    assert await registry.authenticate(keys["esp-3"].key)


async def test_tables_that_did_not_change_are_not_read_again(
    pool: asyncpg.Pool, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand devices would hold up everything else each time."""
    registry = Registry(pool, clock)
    _, minted = await registry.register("esp-1")
    clock.now_s += REFRESH_S + 1
    assert await registry.authenticate(minted.key)
    before = registry._entries
    for _ in range(3):
        clock.now_s += REFRESH_S + 1
        assert await registry.authenticate(minted.key)
    assert registry._entries is before
    await registry.close()
