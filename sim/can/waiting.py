"""The frames that wait for the bus, and who of them goes next."""

from __future__ import annotations

import heapq
from collections.abc import Collection

from sim.can.node import CanNode
from sim.can.transmission import Transmission

Entry = tuple[int, int, Transmission]
Start = tuple[Transmission, tuple[Transmission, ...]]


class WaitingFrames:
    """Frames of all nodes by identifier, then by age.

    Args:
        collide: True lets frames with one identifier from several nodes start together, as on a
            real bus; False one after the other.

    Attributes:
        heap: (arbitration key, age, frame); false while nothing waits.
    """

    __slots__ = ("_collide", "heap")

    def __init__(self, *, collide: bool) -> None:
        self._collide = collide
        self.heap: list[Entry] = []

    def push(self, transmission: Transmission) -> None:
        """Let a frame wait; after an error it keeps its age."""
        heapq.heappush(self.heap, (transmission.key, transmission.sequence, transmission))

    def withdraw(self, node: CanNode) -> list[Transmission]:
        """Take out all frames of `node`, in their order."""
        given_up = sorted(entry for entry in self.heap if entry[2].node is node)
        self._remove(given_up)
        return [entry[2] for entry in given_up]

    def take(self) -> Start:
        """Take out the frame that wins, and those of other nodes with the same identifier."""
        heap = self.heap
        key, _, winner = heapq.heappop(heap)
        if heap and heap[0][0] == key and self._collide:
            return winner, self._rivals(winner, [entry for entry in heap if entry[0] == key])
        return winner, ()

    def take_unsuspended(self, latest_s: float) -> Start | None:
        """As `take`, of nodes that do not suspend their transmission past `latest_s`."""
        ready = [entry for entry in self.heap if entry[2].node._suspended_until_s <= latest_s]
        if not ready:
            return None
        first = min(ready)
        self._remove([first])
        if not self._collide:
            return first[2], ()
        same = [entry for entry in ready if entry[0] == first[0] and entry is not first]
        return first[2], self._rivals(first[2], same)

    def unsuspended_at_s(self) -> float:
        """Return when the first node that waits may send again."""
        return min(entry[2].node._suspended_until_s for entry in self.heap)

    def _rivals(self, winner: Transmission, same: list[Entry]) -> tuple[Transmission, ...]:
        """Take the oldest frame of each other node out of `same`."""
        rivals: dict[CanNode, Entry] = {}
        for entry in sorted(same):
            if entry[2].node is not winner.node:
                rivals.setdefault(entry[2].node, entry)
        self._remove(rivals.values())
        return tuple(entry[2] for entry in rivals.values())

    def _remove(self, entries: Collection[Entry]) -> None:
        if entries:
            self.heap = [entry for entry in self.heap if entry not in entries]
            heapq.heapify(self.heap)
