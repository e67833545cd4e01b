"""The board's flash: sectors that are erased whole, bits that only fall, and power cuts in between.

The firmware's calls return at once, as `Hal` wants it, but the chip needs its time: until then the
board does nothing else, and a power cut undoes what had not begun and tears what was under way.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass

SECTOR_BYTES = 4096
PAGE_BYTES = 256
# Winbond W25Q32: typical times.
PAGE_WRITE_S = 0.0007
SECTOR_ERASE_S = 0.045
ERASED = 0xFF


class FlashError(ValueError):
    """The firmware asked for something that the chip refuses (ESP_ERR_INVALID_ARG)."""


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of the contents that takes from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    undo: Callable[[], None]
    tear: Callable[[float], None]


class Busy:
    """What the flash chip is at; it does one thing after the other.

    Args:
        now_s: the world's clock.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.until_s = 0.0
        self._changes: list[_Change] = []

    def add(
        self, duration_s: float, undo: Callable[[], None], tear: Callable[[float], None]
    ) -> None:
        """A change begins when the ones before are done; `tear(share)` leaves it half done."""
        now_s = self._now_s()
        start_s = max(now_s, self.until_s)
        self.until_s = start_s + duration_s
        self._changes = [change for change in self._changes if change.end_s > now_s]
        self._changes.append(_Change(start_s, self.until_s, undo, tear))

    def cut(self) -> None:
        """The power goes now: the latest change is undone first."""
        now_s = self._now_s()
        for change in reversed(self._changes):
            if change.end_s > now_s:
                change.undo()
                if change.start_s < now_s:
                    change.tear((now_s - change.start_s) / (change.end_s - change.start_s))
        self._changes.clear()
        self.until_s = now_s

    def finish(self) -> None:
        """A reset that keeps the power: the chip ends what it was told."""
        self._changes.clear()


class Flash:
    """A partition of the flash chip.

    Args:
        size_bytes: a multiple of 4096.
        busy: what the chip is at.
        rng: what a torn write leaves at its edge.

    Attributes:
        erases: how often each sector was erased.
        written_bytes: all that was ever written.
        refuses: it takes no more: worn out, or write-protected. `esp_partition_write` and
            `esp_partition_erase_range` fail then, and MicroPython raises OSError.
    """

    def __init__(self, size_bytes: int, busy: Busy, rng: random.Random) -> None:
        if size_bytes < 0 or size_bytes % SECTOR_BYTES:
            raise ValueError(
                f"flash: expected a multiple of {SECTOR_BYTES} bytes, got {size_bytes}"
            )
        self.size_bytes = size_bytes
        self.erases = [0] * (size_bytes // SECTOR_BYTES)
        self.written_bytes = 0
        self.refuses = False
        self._contents = bytearray([ERASED]) * size_bytes
        self._busy = busy
        self._rng = rng

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes."""
        self._check(offset, size)
        return bytes(self._contents[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        """Clear bits: what is 0 stays 0.

        Raises:
            OSError: it takes no more.
        """
        self._check(offset, len(data))
        self._refuse()
        old = self.read(offset, len(data))
        new = bytes(before & wanted for before, wanted in zip(old, data, strict=True))
        self._put(offset, new)
        self.written_bytes += len(data)
        pages = (offset + len(data) - 1) // PAGE_BYTES - offset // PAGE_BYTES + 1 if data else 0

        def tear(share: float) -> None:
            done = int(share * len(new))
            edge = bytes([old[done] & (new[done] | self._rng.randrange(256))])
            self._put(offset, new[:done] + edge)

        self._busy.add(pages * PAGE_WRITE_S, lambda: self._put(offset, old), tear)

    def erase(self, offset: int) -> None:
        """Set every bit of the sector at `offset`.

        Raises:
            OSError: it takes no more.
        """
        if offset % SECTOR_BYTES:
            raise FlashError(f"flash erase: expected the begin of a sector, got {offset:#x}")
        self._check(offset, SECTOR_BYTES)
        self._refuse()
        old = self.read(offset, SECTOR_BYTES)
        self._put(offset, bytes([ERASED]) * SECTOR_BYTES)
        self.erases[offset // SECTOR_BYTES] += 1

        def tear(_share: float) -> None:
            # An erase that was cut off leaves cells anywhere between their old level and 1.
            noise = self._rng.randbytes(SECTOR_BYTES)
            self._put(offset, bytes(a | b for a, b in zip(old, noise, strict=True)))

        self._busy.add(SECTOR_ERASE_S, lambda: self._put(offset, old), tear)

    def load(self, contents: bytes) -> None:
        """Take contents from before; missing bytes are erased ones."""
        kept = contents[: self.size_bytes]
        self._contents[:] = kept + bytes([ERASED]) * (self.size_bytes - len(kept))

    def _refuse(self) -> None:
        if self.refuses:
            raise OSError(errno.EIO, "the flash takes no more")

    def _put(self, offset: int, data: bytes) -> None:
        self._contents[offset : offset + len(data)] = data

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size_bytes:
            raise FlashError(
                f"flash: expected a place within {self.size_bytes} bytes, "
                f"got {size} bytes at {offset}"
            )
