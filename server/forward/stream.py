"""The stream of one device to the far gateway: from commits into the queue, and out of it.

    commit -> take() -> Queue -> message -> POST …/ingest/batch -> counted, forgotten
                 ^                              |
                 '---- hot log (recover) <------' what did not get in

Exactly once: the far gateway keys readings by (device, boot, number), so a message whose answer was
lost is sent again and changes nothing; and it leaves the queue only with its answer. Before that,
what is committed here and not in the queue (the process was killed in between, the disk was full)
is read from the hot log: all that was written since the queue's watermark. In order: one message is
on its way at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import structlog
import zstandard

from server.clock import Clock
from server.disk_queue import Place, Queue, QueueError, Record
from server.errors import BodyError, StoreError
from server.forward.wire import COLUMNS_MOST, Message, Part, parts_of
from server.outbound.errors import OutboundError
from server.outbound.http import Answer, HttpClient
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.forward")

PATH = "/api/v1/ingest/batch"
TIMEOUT_S = 30.0
RETRY_FIRST_S = 0.5
RETRY_LAST_S = 60.0
RETRY_KEY_S = 30.0
"""First wait after an answer that only a person can change: a wrong key, a wrong URL."""
RETRY_KEY_LAST_S = 600.0
MARGIN_NS = 60 * 10**9
"""A commit may be as much older than the record that follows it: the commit's own timeouts."""
SPREAD = 0.4
"""Waits differ by so large a part between gateways, so that they do not all come back at once."""
_LATER = (408, 425, 429)
_ZSTD_LEVEL = 3

Recover = Callable[[int], Awaitable[list[Record]]]
"""Gives the records that were written from an instant on, in order."""


class Taken(msgspec.Struct):
    """The far gateway's answer."""

    accepted: int
    duplicates: int
    rejected: int


class StreamStatus(msgspec.Struct, frozen=True):
    """How a stream is.

    Attributes:
        device: whose readings.
        state: idle (nothing waits), sending, waiting (the far gateway is away or busy), refused
            (its answer says that something has to be changed), behind (the queue cannot be
            written; the database keeps what comes).
        records: that wait.
        readings: in them.
        bytes: of the queue's files.
        oldest_age_s: of the oldest that waits.
        reason: why it does not go on; empty where it does.
        next_try_s: from now; none where nothing has failed.
        sent: readings answered; stored + duplicates + refused.
        stored: new at the far gateway.
        duplicates: there already.
        refused: refused there.
        refusal: the last reason.
        dropped: readings given up because the queue was full.
        missed: readings that never came into the queue.
        damaged_bytes: of the queue that could not be read.
    """

    device: str
    state: str
    records: int
    readings: int
    bytes: int
    oldest_age_s: float | None
    reason: str
    next_try_s: float | None
    sent: int
    stored: int
    duplicates: int
    refused: int
    refusal: str
    dropped: int
    missed: int
    damaged_bytes: int


class Stream:
    """Forwards one device; made without I/O.

    Args:
        device: its id here.
        client: of the far gateway's ingest.
        key: there.
        folder: of the queue.
        max_bytes: of the queue.
        recover: reads from the hot log.
        clock: for instants and waits.
        spread: 0 to 1, another number for each gateway.
        is_local: of the gateway's own readings, whose numbers have no gaps.
    """

    def __init__(
        self,
        device: str,
        client: HttpClient,
        key: str,
        *,
        folder: Path,
        max_bytes: int,
        recover: Recover,
        clock: Clock,
        spread: float = 0.5,
        is_local: bool = False,
    ) -> None:
        self.device = device
        self._client = client
        self._key = key
        self._folder = folder
        self._max_bytes = max_bytes
        self._recover = recover
        self._clock = clock
        self._spread = 1 - SPREAD / 2 + SPREAD * spread
        self._is_local = is_local
        self._queue: Queue | None = None
        self._began_ns = 0
        self._is_behind = True
        self._behind_reason = ""
        self._skipped = 0
        self._expected: tuple[int, int] = (0, 0)
        self._reason = ""
        self._refusal = ""
        self._is_refused = False
        self._retry_s = RETRY_FIRST_S
        self._next_try_s: float | None = None
        self._columns = COLUMNS_MOST
        self._coding = "zstd"
        self._zstd = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        # The parts of the first record, as far as they are not answered, with what was counted.
        self._parts: list[Part] = []
        self._parts_of: Place | None = None
        self._wake = asyncio.Event()
        self._catch_up = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Open the queue, put in what the last run left out, and begin to send."""
        self._began_ns = self._clock.now_ns()
        if not await self._try_catch_up():
            self._catch_up.set()
        self._tasks = [
            asyncio.create_task(self._send_forever(), name=f"forward {self.device}"),
            asyncio.create_task(self._catch_up_forever(), name=f"forward queue {self.device}"),
        ]

    async def stop(self) -> None:
        """End; what waits is sent by the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._client.close()
        if self._queue is not None:
            self._queue.close()

    # -- in -------------------------------------------------------------------------------------
    def take(self, record: Record) -> None:
        """Queue a record that was just committed; never blocks, never raises."""
        if self._is_behind or self._queue is None:
            self._skipped += 1
            self._catch_up.set()
            return
        try:
            self._append(self._queue, record)
        except OSError as error:
            self._fall_behind(error.strerror or str(error))
            return
        self._wake.set()

    def unsure(self) -> None:
        """Take note that a commit may have happened that nobody was told of."""
        if not self._is_behind:
            self._fall_behind("")
        self._skipped += 1
        self._catch_up.set()

    def _fall_behind(self, reason: str) -> None:
        self._is_behind = True
        self._behind_reason = reason
        self._skipped += 1
        if reason:
            log.error(
                "forward queue not written",
                device=self.device,
                reason=reason,
                next="read again from the database",
            )
        self._catch_up.set()

    def _append(self, queue: Queue, record: Record) -> None:
        queue.append(record)
        if self._is_local:
            boot, seq = self._expected
            if record.boot == boot and record.seq_first > seq:
                queue.counts.missed += record.seq_first - seq
            if record.boot != boot or record.seq_last >= seq:
                self._expected = record.boot, record.seq_last + 1

    async def _catch_up_forever(self) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            await self._catch_up.wait()
            self._catch_up.clear()
            if not self._is_behind:
                continue
            if await self._try_catch_up():
                wait_s = RETRY_FIRST_S
                continue
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_LAST_S)
            self._catch_up.set()

    async def _try_catch_up(self) -> bool:
        """Put in what was written since the watermark; tell whether all of it is in the queue."""
        try:
            if self._queue is None:
                # Where it is new, nothing from before belongs into it.
                new_ns = self._began_ns + MARGIN_NS
                self._queue = Queue(self._folder, self._max_bytes, new_ns)
                if self._queue.torn:
                    log.warning("forward queue was torn", device=self.device)
            queue = self._queue
            known: set[tuple[int, int]] = set()
            since_ns = queue.watermark_ns - MARGIN_NS
            for record, _ in queue.read(queue.done):
                if record.written_ns >= since_ns:
                    known.add((record.boot, record.seq_first))
            while True:
                skipped = self._skipped
                for record in await self._recover(since_ns):
                    key = record.boot, record.seq_first
                    if key not in known and not self._is_done(queue, record):
                        self._append(queue, record)
                        known.add(key)
                # A commit meanwhile was left to the next look.
                if skipped == self._skipped:
                    break
        except (OSError, QueueError, StoreError, *DATABASE_ERRORS) as error:
            reason = first_line(error)
            if reason != self._behind_reason:
                log.error("forward queue not written", device=self.device, reason=reason)
            self._behind_reason = reason
            self._wake.set()  # what got in goes out, and makes room
            return False
        if self._behind_reason:
            log.info("forward queue is written again", device=self.device)
        self._is_behind = False
        self._behind_reason = ""
        self._wake.set()
        return True

    def _is_done(self, queue: Queue, record: Record) -> bool:
        """Tell whether a local record was answered already: their numbers only go up."""
        return self._is_local and record.seq_last <= queue.last.get(record.boot, 0)

    # -- out ------------------------------------------------------------------------------------
    async def _send_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._queue is not None and await self._send_one(self._queue):
                    pass
            except OutboundError as error:
                await self._pause(str(error), 0.0, False)
            except OSError as error:  # the queue's files
                await self._pause(error.strerror or str(error), 0.0, False)
            except Exception as error:
                # A task boundary: the stream must go on after a bug too.
                log.exception("forward failed", device=self.device)
                await self._pause(repr(error), 0.0, True)

    async def _pause(self, reason: str, after_s: float, is_refused: bool) -> None:
        if not self._reason:
            log.warning("not forwarded", device=self.device, reason=reason)
        self._reason = reason
        if is_refused != self._is_refused:
            self._retry_s = RETRY_KEY_S if is_refused else RETRY_FIRST_S
        self._is_refused = is_refused
        wait_s = max(after_s, self._retry_s * self._spread)
        self._retry_s = min(2 * self._retry_s, RETRY_KEY_LAST_S if is_refused else RETRY_LAST_S)
        self._next_try_s = self._clock.monotonic_s() + wait_s
        await asyncio.sleep(wait_s)
        self._next_try_s = None
        self._wake.set()

    def _succeeded(self) -> None:
        if self._reason:
            log.info("forwarded again", device=self.device)
        self._reason = ""
        self._is_refused = False
        self._retry_s = RETRY_FIRST_S

    def _gather(self, queue: Queue) -> tuple[Message, list[tuple[Record, Place]], list[Part]]:
        """Give the next message, the records that it ends, and what is left of the one after."""
        message = Message(self._columns)
        ended: list[tuple[Record, Place]] = []
        for record, place in queue.read(queue.done):
            if self._parts_of == place:
                parts = self._parts
            else:
                try:
                    parts = parts_of(record)
                except BodyError as error:
                    # Its CRC is right, so it was written like this: nobody can read it.
                    log.error("record not readable", device=self.device, reason=str(error))
                    self._refusal = str(error)
                    queue.counts.refused += record.readings
                    queue.counts.sent += record.readings
                    parts = []
            taken = 0
            while taken < len(parts) and message.take(record, parts[taken]):
                taken += 1
            if taken < len(parts):
                if not ended or taken:
                    self._parts_of, self._parts = place, parts
                return message, ended, parts[taken:]
            ended.append((record, place))
        return message, ended, []

    async def _send_one(self, queue: Queue) -> bool:
        """Send a message; tell whether there may be another.

        Raises:
            OutboundError: no answer.
        """
        message, ended, left = self._gather(queue)
        if not message.parts:
            queue.advance(ended)
            return bool(ended)
        answer = await self._client.post(*self._body(message.encode()), TIMEOUT_S)
        if answer.status == 415 and self._coding == "zstd":
            self._coding = "gzip"
            return True
        if answer.status in (400, 413) and len(message.parts) > 1:
            # One of them is at fault, or all are too much: smaller messages find out.
            self._columns = max(1, len(message.parts) // 2)
            return True
        taken = _taken(answer, message.readings)
        if taken is None:
            await self._pause(*_why_not(self._client, answer))
            return True
        if answer.status != 200:
            self._refusal = _reason(answer)
            log.error("refused by the far gateway", device=self.device, reason=self._refusal)
        elif taken.rejected:
            self._refusal = _reason(answer)
        self._succeeded()
        self._columns = min(COLUMNS_MOST, 2 * self._columns)
        counts = queue.counts
        counts.sent += message.readings
        counts.stored += taken.accepted
        counts.duplicates += taken.duplicates
        counts.refused += taken.rejected
        if left:
            self._parts = left
        else:
            self._parts_of, self._parts = None, []
        queue.advance(ended)
        return True

    def _body(self, plain: bytes) -> tuple[bytes, Mapping[str, str]]:
        is_zstd = self._coding == "zstd"
        body = self._zstd.compress(plain) if is_zstd else gzip.compress(plain, 6, mtime=0)
        headers = {
            "content-type": "application/x-protobuf",
            "content-encoding": self._coding,
            "x-api-key": self._key,
            "user-agent": "telerig",
        }
        return body, headers

    # -- how it is ------------------------------------------------------------------------------
    @property
    def status(self) -> StreamStatus:
        """How the stream is now."""
        queue = self._queue
        now_ns, now_s = self._clock.now_ns(), self._clock.monotonic_s()
        oldest_ns = None if queue is None else queue.oldest_ns
        records = 0 if queue is None else queue.records
        counts = queue.counts if queue is not None else None
        state = "sending" if records else "idle"
        if self._reason:
            state = "refused" if self._is_refused else "waiting"
        if self._is_behind:
            state = "behind"
        return StreamStatus(
            self.device,
            state,
            records,
            0 if queue is None else queue.readings,
            0 if queue is None else queue.size_bytes,
            None if oldest_ns is None else max(0.0, (now_ns - oldest_ns) / 1e9),
            self._behind_reason or self._reason,
            None if self._next_try_s is None else max(0.0, self._next_try_s - now_s),
            counts.sent if counts else 0,
            counts.stored if counts else 0,
            counts.duplicates if counts else 0,
            counts.refused if counts else 0,
            self._refusal,
            counts.dropped if counts else 0,
            counts.missed if counts else 0,
            counts.damaged if counts else 0,
        )


_decoder = msgspec.json.Decoder(Taken)


class _Problem(msgspec.Struct):
    expected: str = ""
    found: str = ""
    where: str = ""
    errors: list[_Problem] = []


_problem_decoder = msgspec.json.Decoder(_Problem)


def _taken(answer: Answer, readings: int) -> Taken | None:
    """Give what became of the readings; None where they are to be sent again."""
    if answer.status == 200:
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            taken = _decoder.decode(answer.body)
            if taken.accepted + taken.duplicates + taken.rejected == readings:
                return taken
        return None
    if answer.status in (400, 413):
        return Taken(0, 0, readings)
    return None


def _why_not(client: HttpClient, answer: Answer) -> tuple[str, float, bool]:
    """Give the reason for another try, how long the far side wants to be left alone, and whether
    only a person can change it."""
    shown = client.target.shown
    if answer.status == 200:
        return f"expected a gateway's answer from {shown}, got other JSON", 0.0, True
    is_later = answer.status in _LATER or answer.status >= 500
    reason = f"{shown} answers {answer.status}: {_reason(answer)}".rstrip(": ")
    return reason, answer.retry_after_s, not is_later


def _reason(answer: Answer) -> str:
    try:
        problem = _problem_decoder.decode(answer.body)
    except (msgspec.MsgspecError, ValueError):
        return ""
    if problem.errors:
        problem = problem.errors[0]
    if not problem.expected:
        return ""
    return f"{problem.where}: expected {problem.expected}, found {problem.found}"[:500]
