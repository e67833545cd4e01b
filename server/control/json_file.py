"""A JSON file of the configuration that may change while the gateway runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from server.control.schema import SchemaError

log = structlog.get_logger("telerig.control")

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """Gives what a file says now; reads it again when it has changed.

    A file that is wrong or gone while the gateway runs is logged, and what it said before stays.

    Args:
        path: of the file.
        read: gives the content; raises SchemaError.
    """

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self._path = path
        self._read = read
        self._stamp: tuple[int, int] | None = None
        self._content: T | None = None

    def __call__(self) -> T:
        """Give the content.

        Raises:
            SchemaError: it was never right.
        """
        stamp = self._now()
        if self._content is None or stamp != self._stamp:
            self._stamp = stamp
            try:
                self._content = self._read(self._path)
            except SchemaError as error:
                if self._content is None:
                    raise
                log.error("file not taken", file=str(self._path), reason=str(error))
        return self._content

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
