"""The board's settings: they survive a reset once they are committed, all changes or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim.esp32.flash import Busy

KEY_CHARACTERS = 15
PARTITION_BYTES = 0x60000  # room for codec profiles
ENTRY_BYTES = 32  # one for each key, and for each 32 bytes of a value
COMMIT_S = 0.002


class NvsError(ValueError):
    """What ESP-IDF's NVS library refuses."""


class Nvs:
    """Key -> value.

    Args:
        busy: what the flash chip is at.

    Attributes:
        commits: how often changes were written.
        on_commit: called after each.
    """

    def __init__(self, busy: Busy) -> None:
        self.commits = 0
        self.on_commit: Callable[[], None] | None = None
        self._busy = busy
        self._committed: dict[str, bytes] = {}
        self._values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """Return the value, committed or not; None where there is none."""
        return self._values.get(key)

    def set(self, key: str, value: bytes) -> None:
        """Set a value.

        Raises:
            NvsError: the key is too long, or the partition full.
        """
        if not 1 <= len(key) <= KEY_CHARACTERS:
            raise NvsError(f"NVS key: expected 1-{KEY_CHARACTERS} characters, got {key!r}")
        values = {**self._values, key: bytes(value)}
        if sum(ENTRY_BYTES * (1 - -len(one) // ENTRY_BYTES) for one in values.values()) > (
            PARTITION_BYTES
        ):
            raise NvsError(f"NVS: expected room for {len(value)} bytes of {key!r}, found none")
        self._values = values

    def erase(self, key: str) -> None:
        """Remove a key; one that is not there is no mistake."""
        self._values = {name: value for name, value in self._values.items() if name != key}

    def commit(self) -> None:
        """Keep all changes."""
        if self._values == self._committed:
            return
        before = self._committed
        self._committed = self._values
        self.commits += 1

        def undo() -> None:
            self._committed = before

        self._busy.add(COMMIT_S, undo, lambda _share: None)
        if self.on_commit is not None:
            self.on_commit()

    def reset(self) -> None:
        """Forget what was not committed."""
        self._values = self._committed

    def load(self, values: Mapping[str, bytes]) -> None:
        """Take settings as if committed long ago (a flash tool writes them)."""
        self._committed = self._values = {**self._committed, **values}

    @property
    def committed(self) -> Mapping[str, bytes]:
        """What a power cut now would leave, if the chip is at rest."""
        return self._committed
