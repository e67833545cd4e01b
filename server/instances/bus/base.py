"""The bus: how a gateway tells the others what it has committed, quickly and without promise.

What matters is in the database; the bus only says early that it is there. So it may lose anything,
and says so (`on_gap`): whoever listens then compares with the database. It never holds up a commit,
and a gateway starts and works without it.

What a gateway publishes does not come back to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

log = structlog.get_logger("telerig.instances")

Take = Callable[[bytes], None]
GAP_S = 0.5
"""While the bus is away the others' commits are looked for in the database this often."""


class BusCounts(msgspec.Struct):
    """What a bus has done since the start.

    Attributes:
        sent: messages handed to the server.
        received: messages for which somebody here listens.
        sent_bytes: of their data.
        received_bytes: likewise.
        gaps: how often something may have been lost.
        dropped: messages that were not sent: away, too many, too large.
        malformed: messages of others that are none of ours.
    """

    sent: int = 0
    received: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    gaps: int = 0
    dropped: int = 0
    malformed: int = 0


class Bus(Protocol):
    """What every bus offers; all of it is called in the event loop.

    Attributes:
        kind: "local", "notify" or "nats".
        place: where its server is, without a password; empty where there is none.
        carries_bodies: messages may be as long as readings are; else references only.
        limit_bytes: of one message's data; a longer one is dropped and counted.
        failing: why it does not work, for people; empty while it works.
        on_gap: called with a reason when something may have been lost: again and again, every
            half second, while the bus is away.
        counts: what it has done.
    """

    kind: str
    place: str
    carries_bodies: bool
    failing: str
    on_gap: list[Callable[[str], None]]
    counts: BusCounts

    @property
    def limit_bytes(self) -> int:
        """Bytes of one message's data, at most."""

    async def start(self) -> None:
        """Begin to connect, and go on trying; never raises for a server that is away."""

    def publish(self, subject: str, data: bytes) -> None:
        """Send soon; never waits. A full queue, or no server, drops it."""

    def subscribe(self, subject: str, take: Take) -> Callable[[], None]:
        """Call `take` with the data of each message of others; give what ends it."""

    def gap(self, reason: str) -> None:
        """Say that something may have been lost; also for others to call."""

    async def close(self) -> None:
        """Send what waits, if that goes quickly, and disconnect."""


class Listeners:
    """Who listens to which subject, and what every bus does alike.

    Attributes: as those of `Bus`.
    """

    kind = ""
    carries_bodies = False

    def __init__(self, place: str = "") -> None:
        self.place = place
        self.failing = ""
        self.on_gap: list[Callable[[str], None]] = []
        self.counts = BusCounts()
        self._takers: dict[str, list[Take]] = {}
        self._repeating: asyncio.Task[None] | None = None

    def subscribe(self, subject: str, take: Take) -> Callable[[], None]:
        """Call `take` with the data of each message of others; give what ends it."""
        takers = self._takers.setdefault(subject, [])
        takers.append(take)
        if len(takers) == 1:
            self._subject_begins(subject)

        def end() -> None:
            with contextlib.suppress(ValueError):
                takers.remove(take)
            if not takers and self._takers.get(subject) is takers:
                del self._takers[subject]
                self._subject_ends(subject)

        return end

    def gap(self, reason: str) -> None:
        """Say that something may have been lost."""
        self.counts.gaps += 1
        for take in tuple(self.on_gap):
            try:
                take(reason)
            except Exception:
                log.exception("a listener of the bus failed", reason=reason)

    def _subject_begins(self, subject: str) -> None:
        """Ask the server for a subject."""

    def _subject_ends(self, subject: str) -> None:
        """No longer ask for it."""

    def _deliver(self, subject: str, data: bytes) -> None:
        """Hand a message of another gateway to who listens."""
        for take in tuple(self._takers.get(subject, ())):
            self.counts.received += 1
            self.counts.received_bytes += len(data)
            try:
                take(data)
            except Exception:
                log.exception("a listener of the bus failed", subject=subject)

    def _is_away(self, reason: str) -> None:
        """Take note that the server is away; it is said once, and listeners hear it repeatedly."""
        if not self.failing:
            log.warning(
                "the bus is away: other gateways' readings come through the database meanwhile",
                bus=self.kind,
                at=self.place,
                reason=reason,
            )
        self.failing = reason
        if self._repeating is None:
            self._repeating = asyncio.create_task(self._repeat(), name="bus gaps")

    def _is_back(self) -> None:
        """Take note that the server answers."""
        if self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None
        if self.failing:
            self.failing = ""
            log.info("the bus is back", bus=self.kind, at=self.place)
            self.gap("the bus was away")

    async def _repeat(self) -> None:
        while True:
            self.gap(f"the bus is away: {self.failing}")
            await asyncio.sleep(GAP_S)

    async def _end_repeating(self) -> None:
        if self._repeating is not None:
            self._repeating.cancel()
            await asyncio.gather(self._repeating, return_exceptions=True)
            self._repeating = None
