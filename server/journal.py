"""The journal: what local links deliver while the database is away, on the disk until it is back.

    [journal]
    folder = "/var/lib/telerig/journal"     # default: in [database] data_dir
    max_mb = 256                            # most that waits; then readings are refused. 0: none

A batch that is in the journal was forced to the disk: neither a kill nor a loss of power takes it.
It is put into the database under the key that it would have had (device, boot, number), so that one
whose commit had been answered too late changes nothing; that holds for the batches of an earlier
run too, which the next one puts in.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from server.config_section import Section
from server.disk_queue import Place, Queue, QueueError, Record
from server.errors import ServerError
from server.store.body import decode_body
from server.store.hotlog import Batch

MAX_MB = 256


class JournalError(ServerError):
    """The journal's folder cannot be used."""


class JournalConfig(msgspec.Struct, frozen=True):
    """Where the journal is, and how large it may become.

    Attributes:
        folder: None: in the data folder of the embedded database.
        max_bytes: 0: there is no journal.
    """

    folder: Path | None = None
    max_bytes: int = MAX_MB * 1024 * 1024


def read_journal(section: Section) -> JournalConfig:
    """Read the table.

    Raises:
        ConfigError: a value is not right.
    """
    folder = section.text("folder", None)
    config = JournalConfig(
        None if folder is None else Path(folder).expanduser(),
        section.integer("max_mb", MAX_MB, minimum=0, maximum=1_000_000) * 1024 * 1024,
    )
    section.done()
    return config


class Journal:
    """Batches of one device, oldest first. It blocks: use it from one thread at a time.

    Args:
        folder: made where it is not there.
        max_bytes: of the files.
        boot: of this run; batches of others are those of earlier runs.

    Raises:
        JournalError: the folder cannot be used, or another gateway uses it.
    """

    def __init__(self, folder: Path, max_bytes: int, boot: int) -> None:
        self._boot = boot
        self._first: tuple[Record, Place] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(
                f"expected a folder for the journal at {folder}, got: {error.strerror or error}; "
                "set [journal] folder, or max_mb = 0 for none"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._queue = Queue(folder, max_bytes, 0, drops_oldest=False)
        except (OSError, QueueError) as error:
            os.close(self._lock)
            found = "another gateway uses it" if isinstance(error, BlockingIOError) else str(error)
            raise JournalError(
                f"expected a journal of this gateway's own at {folder}, got: {found}; "
                "give each gateway a [journal] folder of its own"
            ) from error

    def __bool__(self) -> bool:
        return self._queue.records > 0

    @property
    def readings(self) -> int:
        """Readings in it, those of earlier runs included."""
        return self._queue.readings

    @property
    def size_bytes(self) -> int:
        """Bytes of its files."""
        return self._queue.size_bytes

    def put(self, batch: Batch, vin: str, now_ns: int) -> None:
        """Add a batch; on return it is on the disk.

        Raises:
            OSError: it is not: the disk, or the journal, is full.
        """
        self._queue.append(
            Record(
                self._boot if batch.boot is None else batch.boot,
                batch.seq_first,
                batch.seq_last,
                now_ns,
                batch.seq_last - batch.seq_first + 1,
                vin,
                batch.body,
            )
        )
        self._queue.sync()

    def oldest(self) -> Batch | None:
        """Give the first batch that is still here; what is damaged is passed over and counted."""
        self._first = next(self._queue.read(self._queue.done), None)
        if self._first is None:
            return None
        record, _ = self._first
        readings = decode_body(record.body)
        times_ns = [reading.time_ns for reading in readings]
        return Batch(
            record.seq_first,
            record.seq_last,
            min(times_ns),
            max(times_ns),
            record.body,
            tuple({reading.signal: reading for reading in readings}.values()),
            None if record.boot == self._boot else record.boot,
            record.vin,
        )

    def done(self) -> None:
        """Forget the batch that `oldest` gave: it is in the database."""
        if self._first is not None:
            self._queue.advance([self._first])
            self._first = None

    def close(self) -> None:
        """Close the files; what is in them stays."""
        self._queue.close()
        os.close(self._lock)
