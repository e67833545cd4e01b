"""The radio link of a Bluetooth adapter: bytes wait for the next batch."""

from __future__ import annotations

import random
from collections.abc import Callable

import simpy


class RadioLink:
    """One direction: what is sent within one random delay is delivered together, in order.

    Args:
        env: the world's SimPy environment.
        rng: draws the delay of each batch.
        delay_s: (low, high) of the delay in seconds.
        deliver: called with the batch.
    """

    def __init__(
        self,
        env: simpy.Environment,
        rng: random.Random,
        delay_s: tuple[float, float],
        deliver: Callable[[bytes], None],
    ) -> None:
        self._env = env
        self._rng = rng
        self._delay_s = delay_s
        self._deliver = deliver
        self._batch = bytearray()
        self._due = False

    @property
    def busy(self) -> bool:
        """True while bytes are on their way."""
        return bool(self._batch)

    def send(self, data: bytes) -> None:
        """Add `data` to the batch under way, or begin one."""
        self._batch += data
        if not self._due:
            self._due = True
            event = self._env.timeout(self._rng.uniform(*self._delay_s))
            event.callbacks.append(self._arrived)

    def cut(self) -> None:
        """Lose what is on its way."""
        self._batch.clear()

    def _arrived(self, event: simpy.Event) -> None:
        self._due = False
        data = bytes(self._batch)
        self._batch.clear()
        if data:
            self._deliver(data)
