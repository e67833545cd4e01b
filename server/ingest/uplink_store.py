"""States of uplinks, profiles and templates: in memory while they are used, else in the database.

Profiles and templates are kept by the hashes that short hellos name them by, whoever told them.
"""

from __future__ import annotations

from collections import OrderedDict

import asyncpg

from server.clock import Clock
from server.ingest.limits import TEMPLATES_KEPT
from server.ingest.shipped_profiles import shipped_profiles
from server.ingest.uplink_state import Tally, UplinkState
from server.wire.codec.checks import content_hash
from server.wire.codec.profile import Profile
from server.wire.telemetry_pb2 import Hello

STATES = 1000
"""Boots that are held in memory; the one that was silent for longest is read again when it
comes back."""
PROFILES = 64

_STATE = """
SELECT turn, vin, state, readings, transmitted, suppressed, bytes_plain, bytes_sent
FROM device_boots WHERE device = $1 AND boot = $2
"""
_TURN = "SELECT turn FROM device_boots WHERE device = $1 AND boot = $2"
_BOOTS = """
SELECT boot FROM device_boots WHERE device = $1 AND state IS NOT NULL
ORDER BY last_ns DESC LIMIT $2
"""
_KEEP_TEMPLATES = """
INSERT INTO wire_templates (hash, templates, told_ns) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_DROP_TEMPLATES = """
DELETE FROM wire_templates WHERE hash IN (
    SELECT hash FROM wire_templates ORDER BY told_ns DESC, hash OFFSET $1
)
"""


class UplinkStore:
    """Reads what is committed; `forget` what may not be.

    Args:
        pool: connections.
        clock: for the instants at which templates were told.
    """

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._states: OrderedDict[tuple[str, int], UplinkState] = OrderedDict()
        self._profiles: OrderedDict[bytes, Profile] = OrderedDict()

    async def state(self, device: str, boot: int) -> UplinkState:
        """Give the state of a boot, a fresh one where nothing is known.

        Raises:
            STORE_ERRORS: it cannot be read.
        """
        key = device, boot
        state = self._states.get(key)
        if state is None:
            state = await self._load(device, boot)
            self._states[key] = state
            if len(self._states) > STATES:
                self._states.popitem(last=False)
        self._states.move_to_end(key)
        return state

    async def is_newest(self, device: str, state: UplinkState) -> bool:
        """Tell whether no other gateway has gone on from a state.

        Raises:
            STORE_ERRORS: that cannot be read.
        """
        async with self._pool.acquire() as connection:
            turn = await connection.fetchval(_TURN, device, state.boot)
        return (turn or 0) == state.turn

    async def boots(self, device: str, most: int) -> list[int]:
        """Give the boots of a device whose packets can be decoded, the one heard last first.

        Raises:
            STORE_ERRORS: they cannot be read.
        """
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_BOOTS, device, most)
        return [row["boot"] for row in rows]

    def forget(self, device: str, boot: int) -> None:
        """Read the state again when it is needed: what is in memory may not be committed."""
        self._states.pop((device, boot), None)

    async def keep(self, profile: Profile) -> None:
        """Store a profile.

        Raises:
            STORE_ERRORS: it may not be stored.
        """
        if profile.hash not in self._profiles:
            async with self._pool.acquire() as connection:
                await connection.execute(
                    "INSERT INTO wire_profiles (hash, profile) VALUES ($1, $2)"
                    " ON CONFLICT DO NOTHING",
                    profile.hash,
                    profile.to_bytes(),
                )
            self._remember(profile)

    def _remember(self, profile: Profile) -> None:
        self._profiles[profile.hash] = profile
        if len(self._profiles) > PROFILES:
            self._profiles.popitem(last=False)

    async def _load(self, device: str, boot: int) -> UplinkState:
        state = UplinkState(boot)
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(_STATE, device, boot)
            if row is None:
                return state
            state.turn, state.vin = row["turn"], row["vin"]
            state.tally = Tally(*tuple(row)[3:])
            if row["state"] is not None:
                needed = UplinkState.profile_hash(row["state"])
                state.restore(row["state"], await self._profile(connection, needed))
        return state

    async def profile(self, profile_hash: bytes) -> Profile | None:
        """Give the profile of a hash; None where nobody has told it.

        Raises:
            STORE_ERRORS: it cannot be read.
        """
        if not profile_hash:
            return None
        async with self._pool.acquire() as connection:
            return await self._profile(connection, profile_hash)

    async def keep_templates(self, told: Hello) -> None:
        """Store the templates of a hello.

        Raises:
            STORE_ERRORS: they may not be stored.
        """
        templates = encoded_templates(told)
        async with self._pool.acquire() as connection:
            now_ns = self._clock.now_ns()
            await connection.execute(_KEEP_TEMPLATES, content_hash(templates), templates, now_ns)
            await connection.execute(_DROP_TEMPLATES, TEMPLATES_KEPT)

    async def templates(self, templates_hash: bytes) -> Hello | None:
        """Give a hello with the templates of a hash; None where nobody has told them.

        Raises:
            STORE_ERRORS: they cannot be read.
        """
        async with self._pool.acquire() as connection:
            data = await connection.fetchval(
                "SELECT templates FROM wire_templates WHERE hash = $1", templates_hash
            )
        return None if data is None else Hello.FromString(data)

    async def _profile(self, connection: asyncpg.Connection, needed: bytes) -> Profile | None:
        if not needed:
            return None
        known = self._profiles.get(needed) or shipped_profiles().get(needed)
        if known is None:
            data = await connection.fetchval(
                "SELECT profile FROM wire_profiles WHERE hash = $1", needed
            )
            if data is None:
                return None
            known = Profile.from_bytes(data)
            self._remember(known)
        return known


def encoded_templates(hello: Hello) -> bytes:
    """Give a hello that has the templates alone: their hash is taken over it."""
    data: bytes = Hello(templates=hello.templates).SerializeToString(deterministic=True)
    return data
