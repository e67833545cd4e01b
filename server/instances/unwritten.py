"""The newest readings that a dead gateway had not written yet: the store's owner writes them.

Each gateway writes the newest readings of what it has committed now and then, and at its end
(`server.store.latest`). One that dies has committed more than it has written; what is missing is
read from the hot log, once, by whoever owns the store then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from server.errors import StoreError
from server.instances.held import AloneLeases
from server.instances.lease import Leases
from server.instances.members import Member, Members
from server.instances.shard import STORE
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.instances")

RETRY_S = 1.0
KEPT_S = 3600.0
"""Deaths are remembered so long; the hot log does not reach further back."""


class Unwritten:
    """Has the newest readings read again since the last sign of life of who has died.

    Args:
        rebuild: reads the hot log from an instant on, UTC nanoseconds, and writes what is newer.
        leases: who owns the store.
        members: who lives.
    """

    def __init__(
        self,
        rebuild: Callable[[int], Awaitable[None]],
        leases: Leases | AloneLeases,
        members: Members,
    ) -> None:
        self._rebuild = rebuild
        self._leases = leases
        self._died: list[Member] = []
        self._task: asyncio.Task[None] | None = None
        members.on_death.append(self._dead)
        leases.on_change.append(self._owned)

    async def close(self) -> None:
        """Stop; whoever owns the store next does it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _dead(self, member: Member) -> None:
        self._died = [one for one in self._died if member.seen_s - one.seen_s < KEPT_S]
        self._died.append(member)
        self._begin()

    def _owned(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        if STORE in taken:
            self._begin()

    def _begin(self) -> None:
        if self._task is None and self._died and STORE in self._leases.held:
            self._task = asyncio.create_task(self._run(), name="newest of the dead")

    async def _run(self) -> None:
        try:
            while self._died and STORE in self._leases.held:
                died = list(self._died)
                # By its own clock, which has stamped its commits.
                since_s = min(one.seen_s - one.ahead_s for one in died)
                try:
                    await self._rebuild(round(since_s * 1e9))
                except (StoreError, *DATABASE_ERRORS) as error:
                    log.warning("newest readings not read again yet", reason=first_line(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                self._died = [one for one in self._died if one not in died]
        except Exception:
            log.exception("newest readings of a dead gateway")  # a task boundary
        finally:
            self._task = None
