"""Which devices may send, and with which keys.

The registry is held in memory, so that to authenticate costs microseconds and a flood of wrong
keys no database. What this gateway changes counts from the next request on; what is changed
elsewhere on the same database, as soon as it is heard (`server.instances.changes`), and without
that within REFRESH_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.devices.key import DEVICE_ID, SECRET_BYTES, Key
from server.devices.rate import Rate
from server.devices.refused_keys import REASON, KeyRefusal
from server.errors import DeviceConflict, StoreError, UnknownDevice
from server.rereading import Rereading
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.devices")

REFRESH_S = 10.0
REFRESH_TOLD_S = 60.0
"""As REFRESH_S, while changes are heard."""
REFRESH_RETRY_S = 1.0
USED_WRITE_S = 30.0
"""How long an instant of last use waits to be written; a crash loses it."""
LIVE_KEYS_LIMIT = 2
OVERLAP_S = 86_400.0
"""How long a rotated key still works, where the caller does not say."""
CHANGED_LIMIT = 2_000
"""Devices that are read one by one when they have changed elsewhere; of more, all are read."""
UNKNOWN_PER_S, UNKNOWN_BURST = 20.0, 100.0
"""Keys that are not known, but may be of a device that another gateway has just registered, and are
looked up for that: a flood of wrong ones costs no more queries."""


_TABLES = """
    SELECT concat_ws(' ',
        (SELECT sum(hashtextextended(ROW(id, name, vin, active, registered_ns)::text, 0))
         FROM devices),
        (SELECT sum(hashtextextended(ROW(device, id, sha256, expires_ns, revoked_ns)::text, 0))
         FROM device_keys))
"""
"""What tells one state of the tables from another: to read 10,000 devices holds up everything else
for half a second, and the database sums them up in a tenth of that."""


class Device(msgspec.Struct, frozen=True):
    """A device that was registered; `active` False: it may not send any more."""

    id: str
    name: str
    vin: str | None
    active: bool
    registered_ns: int


class KeyStatus(msgspec.Struct, frozen=True):
    """A key without its secret; `live` as of the moment of asking."""

    id: int
    live: bool
    made_ns: int
    expires_ns: int | None
    revoked_ns: int | None
    last_used_ns: int | None


class MintedKey(msgspec.Struct, frozen=True):
    """A new key: `key` is shown this once and cannot be had again."""

    id: int
    key: str


class RefusedRequests(msgspec.Struct, frozen=True):
    """Requests with a key of a device that were refused, by reason."""

    reason: str
    count: int
    last_ns: int


class _Stored(msgspec.Struct, frozen=True):
    """What authentication needs of a key."""

    id: int
    sha256: bytes
    expires_ns: int | None

    def is_live(self, now_ns: int) -> bool:
        return self.expires_ns is None or now_ns < self.expires_ns


class _Entry(msgspec.Struct, frozen=True):
    """A device, its keys that may work, and those that were revoked."""

    device: Device
    keys: tuple[_Stored, ...]
    ended: tuple[_Stored, ...] = ()


class Registry:
    """Devices and their keys.

    Args:
        pool: connections; used when the registry is first asked.
        clock: for expiry and instants.
        own: id of the gateway's own links, which no device gets.
        fixed: keys from the configuration (hash of the whole key: device), for development.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        *,
        own: str = "",
        fixed: Mapping[bytes, str] | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._own = own
        self._fixed = dict(fixed or {})
        self._random = random
        self._entries: dict[str, _Entry] = {}
        self._used: dict[int, int] = {}
        self._used_timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._look_again_s: float | None = None
        self._tables: str | None = None
        # Whoever reads or changes the tables holds it: a read that was overtaken by a revoke
        # must not bring the key back.
        self._lock = asyncio.Lock()
        self._again = Rereading("devices", self._read_again, CHANGED_LIMIT)
        self._unknown: Rate | None = None
        self._is_told: Callable[[], bool] = bool
        self.changed: list[Callable[[], None]] = []
        """Called when a key or device may have ended."""

    def share(self, is_told: Callable[[], bool]) -> None:
        """Count on other gateways that register devices: look an unknown one up, some a second.

        Args:
            is_told: tells whether changes are heard now.
        """
        self._unknown = Rate(UNKNOWN_PER_S, UNKNOWN_BURST, self._clock)
        self._is_told = is_told

    def changed_elsewhere(self, device: str) -> None:
        """Read a device and its keys again ("": all of them), for they may have changed."""
        if self._look_again_s is not None or self._lock.locked():
            self._again.ask(device)

    async def authenticate(self, key: str) -> Device | None:
        """Give the device of a key; None where the key is unknown, revoked, expired, or its
        device is not active.

        Raises:
            STORE_ERRORS: the registry could not be read yet.
        """
        found = await self.identify(key)
        return found[0] if found is not None else None

    async def identify(self, key: str) -> tuple[Device, int | None] | None:
        """As `authenticate`, with the id of the key; None for a key of the configuration."""
        await self.fresh()
        parsed = Key.parse(key)
        if parsed is None:
            return self._of_fixed(key)
        sha256 = parsed.sha256
        if self._unknown is not None and not self._was_given(parsed.device, sha256):
            await self._look_up(parsed.device)
        entry = self._entries.get(parsed.device)
        if entry is None or not entry.device.active:
            return None
        now_ns = self._clock.now_ns()
        for stored in entry.keys:
            if hmac.compare_digest(stored.sha256, sha256) and stored.is_live(now_ns):
                self._note_use(stored.id, now_ns)
                return entry.device, stored.id
        return self._of_fixed(key)

    def _was_given(self, device: str, sha256: bytes) -> bool:
        """Tell whether a key is one that is known, live or not."""
        entry = self._entries.get(device)
        if entry is None:
            return False
        known = (*entry.keys, *entry.ended)
        return any(hmac.compare_digest(stored.sha256, sha256) for stored in known)

    async def _look_up(self, device: str) -> None:
        """Read a device that another gateway may have just registered, or given another key."""
        if not DEVICE_ID.fullmatch(device) or self._unknown is None or self._unknown.take(""):
            return
        try:
            await self._read_again(frozenset((device,)))
        except (StoreError, *DATABASE_ERRORS) as error:
            log.warning("unknown device not looked up", reason=first_line(error))

    def is_live(self, device: str, key: int | None) -> bool:
        """Tell whether a key that was right still is; None: one of the configuration."""
        entry = self._entries.get(device)
        if entry is None or not entry.device.active:
            return False
        now_ns = self._clock.now_ns()
        return key is None or any(k.id == key and k.is_live(now_ns) for k in entry.keys)

    def why_refused(self, key: str) -> KeyRefusal:
        """Say why `authenticate` has just refused a key."""
        parsed = Key.parse(key)
        if parsed is None:
            fixed = self._fixed.get(hashlib.sha256(key.encode()).digest())
            if fixed is not None:
                return KeyRefusal("of a deactivated device", fixed)
            return KeyRefusal("is no device key, or mistyped")
        entry = self._entries.get(parsed.device)
        if entry is None:
            return KeyRefusal("names a device that is not registered")
        device = entry.device
        sha256 = parsed.sha256
        for stored in (*entry.keys, *entry.ended):
            if hmac.compare_digest(stored.sha256, sha256):
                if not device.active:
                    return KeyRefusal("of a deactivated device", device.id, stored.id)
                why = "expired" if stored in entry.keys else "revoked"
                return KeyRefusal(why, device.id, stored.id)
        # Anybody can write such a key: it is no news of that device.
        return KeyRefusal("was never given out here")

    async def find(self, device: str) -> Device | None:
        """Give a device by its id, active or not."""
        await self.fresh()
        if self._unknown is not None and device not in self._entries and device != self._own:
            await self._look_up(device)
        entry = self._entries.get(device)
        return entry.device if entry is not None else None

    async def devices(self, *, inactive: bool = False) -> list[Device]:
        """Give the active devices by id, and the others too where they are asked for."""
        await self.fresh()
        found = (entry.device for _, entry in sorted(self._entries.items()))
        return [device for device in found if device.active or inactive]

    async def keys(self, device: str) -> list[KeyStatus]:
        """Give the keys of a device, the newest first.

        Raises:
            UnknownDevice: no such device.
        """
        async with self._changing() as connection:
            await self._device(connection, device)
            rows = await connection.fetch(
                "SELECT id, made_ns, expires_ns, revoked_ns, last_used_ns FROM device_keys"
                " WHERE device = $1 ORDER BY id DESC",
                device,
            )
        now_ns = self._clock.now_ns()
        return [self._status(row, now_ns) for row in rows]

    async def last_used(self) -> dict[str, int]:
        """Give when a key of each device was used last; devices that used none are not there."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch("SELECT id, device, last_used_ns FROM device_keys")
        found: dict[str, int] = {}
        for key, device, written_ns in rows:
            used_ns = max(written_ns or 0, self._used.get(key, 0), found.get(device, 0))
            if used_ns:
                found[device] = used_ns
        return found

    async def refused(self, device: str) -> list[RefusedRequests]:
        """Give what was refused of a device because of its key, the newest first."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT reason, count, last_ns FROM device_refusals"
                " WHERE device = $1 AND starts_with(reason, $2) ORDER BY last_ns DESC",
                device,
                REASON,
            )
        return [RefusedRequests(*row) for row in rows]

    async def register(
        self, device: str, name: str = "", vin: str | None = None
    ) -> tuple[Device, MintedKey]:
        """Add a device and give its first key; one that was deactivated comes back.

        Raises:
            DeviceConflict: there is an active device of that id, or it is the gateway's own.
        """
        self._check_not_own(device)
        async with self._changing() as connection, connection.transaction():
            row = await connection.fetchrow(
                """
                INSERT INTO devices (id, name, vin, registered_ns) VALUES ($1, $2, $3, $4)
                ON CONFLICT (id) DO UPDATE SET
                    name = excluded.name, vin = excluded.vin, active = true
                    WHERE NOT devices.active
                RETURNING id, name, vin, active, registered_ns
                """,
                device,
                name or device,
                vin,
                self._clock.now_ns(),
            )
            if row is None:
                raise DeviceConflict(
                    "id",
                    "an id that no active device has",
                    f"{device!r} (rotate its key, or deactivate it first)",
                )
            minted = await self._mint(connection, device)
        await self._reload(device)
        log.info("device registered", device=device, key=minted.id)
        return Device(*row), minted

    async def adopt(self, device: str, name: str, vin: str | None) -> Device:
        """Give the device of that id; one that is not known is added, without a key.

        Raises:
            DeviceConflict: it is the gateway's own.
        """
        self._check_not_own(device)
        await self.fresh()
        entry = self._entries.get(device)
        if entry is None:
            async with self._changing() as connection:
                await connection.execute(
                    "INSERT INTO devices (id, name, vin, registered_ns) VALUES ($1, $2, $3, $4)"
                    " ON CONFLICT DO NOTHING",
                    device,
                    name,
                    vin,
                    self._clock.now_ns(),
                )
            await self._reload(device)
            entry = self._entries[device]
        return entry.device

    def _check_not_own(self, device: str) -> None:
        if device == self._own:
            raise DeviceConflict("id", "an id of its own", f"{device!r}, the gateway's own links")

    async def rotate(self, device: str, overlap_s: float | None = OVERLAP_S) -> MintedKey:
        """Give a device a new key; the one before works for `overlap_s` more (None: on and on).

        Raises:
            UnknownDevice: no such device.
            DeviceConflict: it has two live keys already, or is not active.
        """
        async with self._changing() as connection, connection.transaction():
            # The row's lock makes two rotations at once follow each other, on any gateway.
            found = await self._device(connection, device, lock=True)
            if not found.active:
                raise DeviceConflict("id", "an active device", f"{device!r} is deactivated")
            now_ns = self._clock.now_ns()
            live = await connection.fetch(
                "SELECT id FROM device_keys WHERE device = $1 AND revoked_ns IS NULL"
                " AND (expires_ns IS NULL OR expires_ns > $2)",
                device,
                now_ns,
            )
            if overlap_s == 0:
                await self._end(connection, [row["id"] for row in live], now_ns)
            elif len(live) >= LIVE_KEYS_LIMIT:
                ids = ", ".join(str(row["id"]) for row in live)
                raise DeviceConflict(
                    "keys",
                    f"fewer than {LIVE_KEYS_LIMIT} live keys",
                    f"keys {ids} (revoke one first)",
                )
            elif overlap_s is not None:
                await connection.execute(
                    "UPDATE device_keys SET expires_ns = $2 WHERE id = ANY($1::bigint[])"
                    " AND (expires_ns IS NULL OR expires_ns > $2)",
                    [row["id"] for row in live],
                    now_ns + round(overlap_s * 1e9),
                )
            minted = await self._mint(connection, device)
        await self._reload(device)
        log.info("device key rotated", device=device, key=minted.id, overlap_s=overlap_s)
        return minted

    async def revoke(self, device: str, key_id: int) -> None:
        """End a key at once; one that has ended already stays so.

        Raises:
            UnknownDevice: no such device, or it never had that key.
        """
        # Refused from here on, also where the database's answer is lost.
        entry = self._entries.get(device)
        if entry is not None:
            kept = tuple(key for key in entry.keys if key.id != key_id)
            ended = tuple(key for key in entry.keys if key.id == key_id)
            self._hold(device, _Entry(entry.device, kept, entry.ended + ended))
        async with self._changing() as connection:
            await self._device(connection, device)
            found = await connection.fetchval(
                "SELECT id FROM device_keys WHERE device = $1 AND id = $2", device, key_id
            )
            if found is None:
                raise UnknownDevice("key", f"a key of device {device!r}", str(key_id))
            await self._end(connection, [key_id], self._clock.now_ns())
        await self._reload(device)
        log.info("device key revoked", device=device, key=key_id)

    async def deactivate(self, device: str) -> Device:
        """End a device and all its keys at once; its readings stay.

        Raises:
            UnknownDevice: no such device.
        """
        entry = self._entries.get(device)
        if entry is not None:
            gone = msgspec.structs.replace(entry.device, active=False)
            self._hold(device, _Entry(gone, (), entry.ended + entry.keys))
        async with self._changing() as connection, connection.transaction():
            await self._device(connection, device)
            await connection.execute("UPDATE devices SET active = false WHERE id = $1", device)
            await connection.execute(
                "UPDATE device_keys SET revoked_ns = $2 WHERE device = $1 AND revoked_ns IS NULL",
                device,
                self._clock.now_ns(),
            )
            found = await self._device(connection, device)
        await self._reload(device)
        log.info("device deactivated", device=device)
        return found

    async def name_vehicle(self, device: str, vin: str) -> None:
        """Note the vehicle that a device has reported; nothing where it is noted already."""
        entry = self._entries.get(device)
        if entry is None or entry.device.vin == vin:
            return
        async with self._changing() as connection:
            await connection.execute("UPDATE devices SET vin = $2 WHERE id = $1", device, vin)
        await self._reload(device)

    async def close(self) -> None:
        """Write what is not written yet."""
        await self._again.close()
        if self._used_timer is not None:
            self._used_timer.cancel()
            self._used_timer = None
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._write_used()

    # Reading the tables.

    async def fresh(self) -> None:
        """Read the tables, where they were not read lately.

        Raises:
            STORE_ERRORS: they could not be read yet.
        """
        if self._look_again_s is not None and self._clock.monotonic_s() < self._look_again_s:
            return
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._look_again_s is not None and now_s < self._look_again_s:
                return
            is_first = self._look_again_s is None
            try:
                async with self._pool.acquire() as connection:
                    if is_first:
                        await self._keep_fixed(connection)
                    # Before they are read: what changes in between is read once more.
                    tables = await connection.fetchval(_TABLES)
                    if is_first or tables != self._tables:
                        self._entries = await _load(connection, None)
                        self._tables = tables
                self._look_again_s = now_s + (REFRESH_TOLD_S if self._is_told() else REFRESH_S)
            except (StoreError, *DATABASE_ERRORS) as error:
                if is_first:
                    raise
                # What is known stays in force; readings cannot be stored now anyway.
                log.warning("registry not refreshed", reason=first_line(error))
                self._look_again_s = now_s + REFRESH_RETRY_S
        self._tell()

    def _hold(self, device: str, entry: _Entry) -> None:
        """Have an entry in force before it is in the tables; should it never be, they count."""
        self._entries[device] = entry
        self._tables = None

    async def _reload(self, device: str) -> None:
        await self._read_again(frozenset((device,)))

    async def _read_again(self, devices: frozenset[str] | None) -> None:
        async with self._changing() as connection:
            found = await _load(connection, devices)
            if devices is None:
                self._entries = found
            else:
                for device in devices - found.keys():
                    self._entries.pop(device, None)
                self._entries.update(found)
        self._tell()

    def _tell(self) -> None:
        for call in self.changed:
            call()

    @contextlib.asynccontextmanager
    async def _changing(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._lock, self._pool.acquire() as connection:
            yield connection

    @staticmethod
    async def _device(connection: asyncpg.Connection, device: str, *, lock: bool = False) -> Device:
        row = await connection.fetchrow(
            "SELECT id, name, vin, active, registered_ns FROM devices WHERE id = $1"
            + (" FOR UPDATE" if lock else ""),
            device,
        )
        if row is None:
            raise UnknownDevice("device", "the id of a registered device", repr(device[:80]))
        return Device(*row)

    async def _mint(self, connection: asyncpg.Connection, device: str) -> MintedKey:
        key = Key.make(device, self._random(SECRET_BYTES))
        key_id = await connection.fetchval(
            "INSERT INTO device_keys (device, sha256, made_ns) VALUES ($1, $2, $3) RETURNING id",
            device,
            key.sha256,
            self._clock.now_ns(),
        )
        return MintedKey(key_id, str(key))

    @staticmethod
    async def _end(connection: asyncpg.Connection, keys: Sequence[int], now_ns: int) -> None:
        await connection.execute(
            "UPDATE device_keys SET revoked_ns = $2"
            " WHERE id = ANY($1::bigint[]) AND revoked_ns IS NULL",
            keys,
            now_ns,
        )

    def _status(self, row: asyncpg.Record, now_ns: int) -> KeyStatus:
        expires_ns, revoked_ns = row["expires_ns"], row["revoked_ns"]
        used_ns = [row["last_used_ns"], self._used.get(row["id"])]
        return KeyStatus(
            row["id"],
            revoked_ns is None and (expires_ns is None or expires_ns > now_ns),
            row["made_ns"],
            expires_ns,
            revoked_ns,
            max((instant for instant in used_ns if instant is not None), default=None),
        )

    # Keys of the configuration.

    async def _keep_fixed(self, connection: asyncpg.Connection) -> None:
        """Have a row for each device that the configuration gives a key."""
        now_ns = self._clock.now_ns()
        for device in sorted(set(self._fixed.values())):
            await connection.execute(
                "INSERT INTO devices (id, name, registered_ns) VALUES ($1, $1, $2)"
                " ON CONFLICT DO NOTHING",
                device,
                now_ns,
            )

    def _of_fixed(self, key: str) -> tuple[Device, None] | None:
        if not self._fixed:
            return None
        # A lookup by hash gives away nothing of the key by its time.
        device = self._fixed.get(hashlib.sha256(key.encode()).digest())
        entry = self._entries.get(device) if device is not None else None
        return (entry.device, None) if entry is not None and entry.device.active else None

    # Instants of last use.

    def _note_use(self, key_id: int, now_ns: int) -> None:
        self._used[key_id] = now_ns
        if self._used_timer is None:
            loop = asyncio.get_running_loop()
            self._used_timer = loop.call_later(USED_WRITE_S, self._start_writing)

    def _start_writing(self) -> None:
        self._used_timer = None
        self._writing = asyncio.create_task(self._write_used(), name="last use of keys")

    async def _write_used(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._pool.acquire() as connection:
                await connection.executemany(
                    "UPDATE device_keys SET last_used_ns = greatest(last_used_ns, $2)"
                    " WHERE id = $1",
                    list(used.items()),
                )
        except DATABASE_ERRORS as error:
            self._used = used | self._used
            log.warning("last use of keys not written", reason=first_line(error))


async def _load(
    connection: asyncpg.Connection, devices: Collection[str] | None
) -> dict[str, _Entry]:
    """Read all devices, or some."""
    asked = () if devices is None else (list(devices),)
    rows = await connection.fetch(
        "SELECT id, name, vin, active, registered_ns FROM devices"
        + (" WHERE id = ANY($1::text[])" if asked else ""),
        *asked,
    )
    keys: dict[str, list[_Stored]] = {}
    ended: dict[str, list[_Stored]] = {}
    for row in await connection.fetch(
        "SELECT device, id, sha256, expires_ns, revoked_ns FROM device_keys"
        + (" WHERE device = ANY($1::text[])" if asked else "")
        + " ORDER BY id",
        *asked,
    ):
        of = keys if row["revoked_ns"] is None else ended
        of.setdefault(row["device"], []).append(
            _Stored(row["id"], bytes(row["sha256"]), row["expires_ns"])
        )
    return {
        row["id"]: _Entry(
            Device(*row), tuple(keys.get(row["id"], ())), tuple(ended.get(row["id"], ()))
        )
        for row in rows
    }
