"""The one path of what remote devices send: checked, committed, then told.

JSON or protobuf readings -> Batch -> store()  -> DeviceLog -> live stream, answer
uplinks of edge loggers   -> server.ingest.uplink -> DeviceLog -> live stream, answer
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from server.answers import Refusal
from server.clock import Clock
from server.errors import StoreAway
from server.ingest.batch import Batch
from server.ingest.problems import Problem, Problems
from server.ingest.turns import Turns
from server.readings import Reading
from server.store.appends import Append, Appended, Piece
from server.store.body import decode_places
from server.store.devicelog import DeviceLog

PUBLISHED_READINGS = 1000
"""Readings in one frame of the live stream."""


class Sender(Protocol):
    """The device that sends, as the registry knows it."""

    @property
    def id(self) -> str:
        """Its name in the store."""

    @property
    def vin(self) -> str | None:
        """The vehicle that it is in, where that is known."""


class Publisher(Protocol):
    """Who is told about readings of devices, after their commit; never blocks."""

    @property
    def wants_devices(self) -> bool:
        """Whether anybody listens."""

    def device_readings(
        self, device: str, boot: int, rows: Sequence[tuple[int, Reading]], stored_ns: int
    ) -> None:
        """Take readings with their numbers, all of them committed."""


OnStored = Callable[[Append, Sequence[Piece]], None]


class Answer(msgspec.Struct, frozen=True):
    """Answer to readings that were taken, all of them or some.

    Attributes:
        accepted: readings stored by this request.
        duplicates: readings that were stored before.
        rejected: readings refused; `errors` names the first of them.
        transmitted: readings that the device sent.
        suppressed: readings that it left out and the gateway restored.
        suppression_ratio: suppressed / all.
        compression_ratio: bytes of the same readings as plain records / bytes sent.
    """

    accepted: int
    duplicates: int
    rejected: int
    transmitted: int
    suppressed: int
    suppression_ratio: float
    compression_ratio: float
    errors: list[Problem] = []


class Ingest:
    """Takes what devices send.

    Args:
        log: where it is committed.
        clock: for instants of arrival.
        publisher: told after the commit.

    Attributes:
        turns: whose turn it is to be read.
        on_stored: called after each commit with what was new; never block.
        on_unsure: called with a device where a commit may have happened that nobody saw.
        feed: of several gateways, told after each commit in the publisher's place; it publishes in
            the order of commits of all of them. None: this gateway is alone.
    """

    def __init__(self, log: DeviceLog, clock: Clock, publisher: Publisher) -> None:
        self.log = log
        self.clock = clock
        self.turns = Turns(clock)
        self.on_stored: list[OnStored] = []
        self.on_unsure: list[Callable[[str], None]] = []
        self.feed: Callable[[Append, Appended], None] | None = None
        self._publisher = publisher

    async def store(self, device: Sender, batch: Batch) -> Answer:
        """Commit the good readings of a batch; count and name the others.

        Raises:
            Refusal: 400, not one reading is good.
            StoreFull, StoreAway: nothing is acknowledged; the same again changes nothing.
        """
        self.refused(device.id, batch.problems)
        if not batch.good.columns:
            first = batch.problems.first[0]
            raise Refusal(400, first.where, first.expected, first.found)
        piece = batch.piece(self.clock.now_ns())
        appended = await self.commit(
            Append(device.id, batch.boot, [piece], vin=batch.vin or device.vin or "")
        )
        return Answer(
            appended.accepted,
            appended.duplicates,
            batch.problems.count,
            piece.transmitted,
            piece.suppressed,
            piece.suppressed / piece.readings,
            round(piece.bytes_plain / max(1, piece.bytes_sent), 3),
            batch.problems.first,
        )

    async def commit(self, append: Append) -> Appended:
        """Commit and publish what is new.

        Raises:
            StoreFull, StoreAway: nothing may be acknowledged.
            StaleState: nothing is committed: another gateway has gone on from that state.
        """
        try:
            appended = await self.log.append(append)
        except (StoreAway, asyncio.CancelledError):
            for warn in self.on_unsure:
                warn(append.device)
            raise
        if self.feed is not None:
            self.feed(append, appended)
        elif self._publisher.wants_devices:
            self._publish(append, appended.pieces)
        for take in self.on_stored:
            take(append, appended.pieces)
        return appended

    def refused(self, device: str, problems: Problems) -> None:
        """Put what was refused into the quarantine."""
        for reason, (count, example) in problems.by_reason.items():
            self.log.refusals.add(device, reason, example, count)

    def _publish(self, append: Append, pieces: Sequence[Piece]) -> None:
        stored_ns = self.clock.now_ns()
        for piece in pieces:
            rows = [(piece.seq_first + place, r) for place, r in decode_places(piece.body)]
            for begin in range(0, len(rows), PUBLISHED_READINGS):
                part = rows[begin : begin + PUBLISHED_READINGS]
                self._publisher.device_readings(append.device, append.boot, part, stored_ns)
