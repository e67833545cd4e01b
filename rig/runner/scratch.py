"""A folder for what workers need only while they run; also that of a killed runner goes, later."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "telerig-"
UNFINISHED_PREFIX = ".telerig-"
LOCK_FILE = ".lock"


class ScratchFolder:
    """A temporary folder with a lock in it that the kernel frees however its holder ends.

    `kill -9` leaves the folder behind. The next one to be made, by whichever process of the same
    user, clears away those whose locks are free.
    """

    def __init__(self) -> None:
        root = Path(tempfile.gettempdir())
        _clear(root)
        # Nobody clears what has another name: it gets its own when the lock is held.
        made = Path(tempfile.mkdtemp(prefix=UNFINISHED_PREFIX, dir=root))
        self._lock = os.open(made / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = made.rename(made.with_name(made.name.removeprefix(".")))

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _clear(root: Path) -> None:
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, in use, or gone meanwhile
            lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
