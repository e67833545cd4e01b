"""Forwards what is stored here to another gateway, device by device."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.disk_queue import Record
from server.errors import BodyError, ServerError
from server.forward.config import ForwardConfig
from server.forward.stream import PATH, Recover, Stream, StreamStatus
from server.keeping import Store
from server.outbound.addresses import Door
from server.outbound.http import HttpClient, parse_url
from server.store.appends import Append, Piece
from server.store.body import COLUMNS_VERSION, decode_columns
from server.store.hotlog import Batch

log = structlog.get_logger("telerig.forward")

ROWS_AT_A_TIME = 1000

_ROWS = """
SELECT boot, seq_first, seq_last, written_ns, body FROM hot
WHERE device = $1 AND (written_ns, boot, seq_first) > ($2, $3, $4)
ORDER BY written_ns, boot, seq_first LIMIT $5
"""


class ForwardStatus(msgspec.Struct, frozen=True):
    """Where to, and how each stream is; `url` is empty where nothing is forwarded."""

    url: str
    streams: list[StreamStatus]


class Forward:
    """All streams of a gateway; made without I/O.

    Args:
        config: where to.
        device: the gateway's own.
        folder: of the queues, where the configuration names none.
        pool: for what the queues have missed.
        has_log: whether there is a database.
        clock: instants and waits.
        door: the way out.

    Raises:
        ServerError: there is no place for the queues.
    """

    def __init__(
        self,
        config: ForwardConfig,
        *,
        device: str,
        folder: Path | None,
        pool: asyncpg.Pool,
        has_log: bool,
        clock: Clock,
        door: Door,
    ) -> None:
        self._url = config.url or ""
        self._device = device
        self._pool = pool
        self._has_log = has_log
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        if config.url is None:
            return
        queues = config.folder or folder
        if queues is None:
            raise ServerError(
                "expected a folder for what waits to be forwarded, found none; set [forward] "
                "folder, or [database] data_dir"
            )
        target = parse_url(config.url + PATH)
        self._url = parse_url(config.url).shown.rstrip("/")
        tls = None
        if target.is_tls and config.ca_file is not None:
            try:
                tls = ssl.create_default_context(cafile=config.ca_file)
            except OSError as error:
                raise ServerError(
                    f"expected certificates in [forward] ca_file {config.ca_file}, got: "
                    f"{error.strerror or error}"
                ) from None
        own = [] if config.key is None else [(device, config.key)]
        for name, key in [*own, *config.devices]:
            self._streams[name] = Stream(
                name,
                HttpClient(target, door, tls),
                key,
                folder=queues / name,
                max_bytes=config.max_bytes,
                recover=self._recovery(name),
                clock=clock,
                spread=sum(device.encode()) % 101 / 100,
                is_local=name == device,
            )

    def __bool__(self) -> bool:
        return bool(self._streams)

    @property
    def status(self) -> ForwardStatus:
        """How all streams are."""
        return ForwardStatus(self._url, [stream.status for stream in self._streams.values()])

    async def start(self) -> None:
        """Open the queues and begin to send; before anything new is committed."""
        for stream in self._streams.values():
            await stream.start()
        if self._streams:
            log.info("forwarding", to=self._url, devices=list(self._streams))

    async def stop(self) -> None:
        """End; what waits is sent by the next run."""
        await asyncio.gather(*(stream.stop() for stream in self._streams.values()))

    # -- in -------------------------------------------------------------------------------------
    def local(self, boot: int, batch: Batch, vin: str) -> None:
        """Take a batch of the gateway's own readings, which was just committed."""
        stream = self._streams.get(self._device)
        if stream is not None:
            readings = batch.seq_last - batch.seq_first + 1
            now_ns = self._clock.now_ns()
            stream.take(
                Record(boot, batch.seq_first, batch.seq_last, now_ns, readings, vin, batch.body)
            )

    def stored(self, append: Append, pieces: Sequence[Piece]) -> None:
        """Take what a remote device has sent, which was just committed."""
        stream = self._streams.get(append.device)
        if stream is not None and append.device != self._device:
            now_ns = self._clock.now_ns()
            for piece in pieces:
                stream.take(
                    Record(
                        append.boot,
                        piece.seq_first,
                        piece.seq_last,
                        now_ns,
                        piece.readings,
                        append.vin,
                        piece.body,
                    )
                )

    def unsure(self, device: str) -> None:
        """Take note that a commit of a remote device may have happened."""
        stream = self._streams.get(device)
        if stream is not None:
            stream.unsure()

    def _recovery(self, device: str) -> Recover:
        async def recover(since_ns: int) -> list[Record]:
            if not self._has_log:
                return []
            found: list[Record] = []
            after = (max(0, since_ns), -1, -1)
            while True:
                rows = await self._pool.fetch(_ROWS, device, *after, ROWS_AT_A_TIME)
                found += [_record(*row) for row in rows]
                if len(rows) < ROWS_AT_A_TIME:
                    return found
                after = (found[-1].written_ns, found[-1].boot, found[-1].seq_first)

        return recover


def _record(boot: int, first: int, last: int, written_ns: int, body: bytes) -> Record:
    readings = last - first + 1
    if body[:1] == bytes((COLUMNS_VERSION,)):  # numbers may be left out
        with contextlib.suppress(BodyError):
            readings = sum(column.size for column in decode_columns(body))
    return Record(boot, first, last, written_ns, readings, "", body)


class ForwardingStore:
    """The hot log, and every batch that it has committed to the far gateway's queue.

    Args:
        store: where batches go first.
        forward: where they go then.
        boot: of this run.
        vin: gives the vehicle, where it is known.
    """

    def __init__(self, store: Store, forward: Forward, boot: int, vin: Callable[[], str]) -> None:
        self._store = store
        self._forward = forward
        self._boot = boot
        self._vin = vin

    async def append(self, batch: Batch) -> None:
        """Commit a batch, then queue it."""
        await self._store.append(batch)
        boot = self._boot if batch.boot is None else batch.boot
        self._forward.local(boot, batch, batch.vin or self._vin())
