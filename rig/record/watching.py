"""Says of a run that it goes on, and that somebody watches it, without a file of its own.

Both are locks (flock) on files of the record, which the kernel lets go when a process ends, however
that happens:

* whoever writes a record holds an exclusive lock on its stream of events;
* whoever watches it holds a shared lock on its log. The writer asks now and then, and while there
  is one it writes its rows at once.

Locks need no right to write and leave nothing behind. Where a file system has none, a run counts
as ended and as not watched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from rig.record.streams import EVENTS, LOG_FILE, MANIFEST_FILE, SUFFIX

START_S = 30.0
"""A worker that has not begun by then never will."""


def hold_running(events: int) -> int:
    """Lock the open file of a record's events for its writer; close what is returned at the end."""
    held = os.dup(events)
    with contextlib.suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return held


def is_running(folder: Path) -> bool:
    """Return whether some process is writing the record in `folder` right now."""
    try:
        file = os.open(folder / EVENTS.file_name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


def is_starting(folder: Path) -> bool:
    """Return whether a run has its folder, but no record yet: its worker is about to begin one."""
    try:
        age_s = time.time() - folder.stat().st_mtime
        return age_s < START_S and not any(
            name == MANIFEST_FILE or name.endswith(SUFFIX) for name in os.listdir(folder)
        )
    except OSError:
        return False


def is_watched(log: int) -> bool:
    """Return whether somebody watches the run whose log is open as `log`."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(log, fcntl.LOCK_UN)
    return False


class Watch:
    """Lets the writer of a record know that somebody watches. Close it, or use it with `with`."""

    def __init__(self, folder: Path) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(folder / LOG_FILE, os.O_RDONLY | os.O_CLOEXEC)
            # The writer holds its own lock for microseconds, when it asks.
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Watch no longer; may be called again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
