"""The gateway's instants in the world's time, in a run whose world goes faster or slower than time.

The gateway lives in wall time. At a pace of N its second is N of the world's, so whatever it says
of its own clock is moved there for the record: receipts, commits, arrivals at a client, and the
instants measured that it took from its own clock. Those that it was told (UTC of a GNSS receiver)
are the world's already; a reading's instant is taken for the clock that it is nearer to. At a pace
of 1 both are the same and nothing is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rig.record.streams import Stored


class WorldTime:
    """Moves instants of wall time to those of a world that began at `epoch_ns`."""

    def __init__(self, epoch_ns: int, pace: float) -> None:
        self._epoch_ns = epoch_ns
        self._pace = pace

    def at(self, wall_ns: int) -> int:
        """Return the world's instant at a wall instant; 0 (unknown) stays."""
        if self._pace == 1.0 or not wall_ns:
            return wall_ns
        return self._epoch_ns + round((wall_ns - self._epoch_ns) * self._pace)

    def rows(self, rows: list[list[Any]], device: str) -> list[list[Any]]:
        """Return rows of a live message: [seq, signal, time_ns, value, received_ns, state]."""
        if self._pace == 1.0:
            return rows
        return [
            [
                seq,
                signal,
                self._measured(time_ns, received_ns, device),
                value,
                self.at(received_ns),
                *rest,
            ]
            for seq, signal, time_ns, value, received_ns, *rest in rows
        ]

    def stored(self, rows: Iterable[Stored], devices: Iterable[str]) -> list[Stored]:
        """Return stored rows; those of `devices` have clocks of their own."""
        if self._pace == 1.0:
            return list(rows)
        own = frozenset(devices)
        return [
            row._replace(
                time_ns=self._measured(
                    row.time_ns, row.received_ns, row.device if row.device in own else ""
                ),
                received_ns=self.at(row.received_ns),
                written_ns=self.at(row.written_ns),
            )
            for row in rows
        ]

    def _measured(self, time_ns: int, received_ns: int, device: str) -> int:
        if device or not received_ns:
            return time_ns
        from_world = abs(time_ns - self.at(received_ns))
        return time_ns if from_world < abs(time_ns - received_ns) else self.at(time_ns)
