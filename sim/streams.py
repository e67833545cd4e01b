"""Random streams: one independent generator per component, all derived from one seed."""

from __future__ import annotations

import hashlib
import random


class RandomStreams:
    """Hands out one `random.Random` per component name.

    The stream depends on (seed, name) alone, so one more draw in one component changes nothing in
    another. sha256 is used because Python's `hash()` differs from process to process.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, name: str) -> random.Random:
        """Return a new generator for `name`; the same (seed, name) gives the same draws."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return random.Random(int.from_bytes(digest, "big"))
