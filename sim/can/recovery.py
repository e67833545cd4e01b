"""The way back from bus-off: 128 sequences of 11 recessive bits, counted on the bus.

Between two frames lie 11 recessive bits at least (ACK delimiter, end of frame, intermission), and
never 11 within one; so a busy bus counts one sequence a frame and an idle one counts by time.

Source: ISO 11898-1:2015, 12.1.4.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import simpy

from sim.can.confinement import RECOVERY_SEQUENCE_BITS, RECOVERY_SEQUENCES
from sim.can.node import CanNode

SLACK = 1e-6  # of a sequence: rounding of times in seconds


class Recovery:
    """Counts recessive bits for nodes that want to come back.

    Args:
        env: the world's SimPy environment.
        rate_bps: bits per second; infinite on a bus without pace.
        on_recovered: called with each node that has counted enough.
    """

    def __init__(
        self, env: simpy.Environment, rate_bps: float, on_recovered: Callable[[CanNode], None]
    ) -> None:
        self._env = env
        self._sequence_s = RECOVERY_SEQUENCE_BITS / rate_bps
        self._on_recovered = on_recovered
        self._left: dict[CanNode, int] = {}
        self._from_s: dict[CanNode, float] = {}
        self._quiet = True
        self._round = 0  # timers of earlier quiet times are void

    def __bool__(self) -> bool:
        """True while a node counts."""
        return bool(self._left)

    def begin(self, node: CanNode, quiet_from_s: float | None) -> None:
        """Let `node` count from now on; None: the bus is not quiet."""
        self._left[node] = RECOVERY_SEQUENCES
        self._quiet = quiet_from_s is not None
        if quiet_from_s is not None:
            self._wait(node, max(quiet_from_s, self._env.now))

    def forget(self, node: CanNode) -> None:
        """`node` has left the bus."""
        self._left.pop(node, None)
        self._from_s.pop(node, None)

    def quiet(self, from_s: float) -> None:
        """The bus is recessive from `from_s`, which may be past or to come, until `busy`."""
        self._quiet = True
        for node in self._left:
            self._wait(node, from_s)

    def busy(self) -> None:
        """A frame begins: credit the sequences that were complete."""
        now_s = self._env.now
        self._round += 1
        self._quiet = False
        for node in tuple(self._left):
            from_s = self._from_s.get(node)
            if from_s is None or not self._sequence_s:
                continue
            whole = math.floor((now_s - from_s) / self._sequence_s + SLACK)
            self._left[node] -= max(0, whole)
            if self._left[node] <= 0:
                self._done(node)

    def _wait(self, node: CanNode, from_s: float) -> None:
        self._from_s[node] = from_s
        due_s = from_s + self._left[node] * self._sequence_s
        event = self._env.timeout(max(0.0, due_s - self._env.now))
        this_round = self._round

        def due(_event: simpy.Event) -> None:
            if self._quiet and self._round == this_round and node in self._left:
                self._done(node)

        event.callbacks.append(due)

    def _done(self, node: CanNode) -> None:
        self.forget(node)
        self._on_recovered(node)
