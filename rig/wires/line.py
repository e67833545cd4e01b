"""A serial line whose device is a recording."""

from __future__ import annotations

import simpy

from sim.serial_line import Direction, SerialLine


class PlayedLine(SerialLine):
    """A line that hands over what its device says at once: a recording knows its instants.

    What the host says takes its time as on any other line: an adapter begins to answer when it has
    heard the whole request.
    """

    def __init__(
        self, env: simpy.Environment, name: str, baud: int, *, paced: bool, frame_s: float
    ) -> None:
        super().__init__(env, name, baud, paced=paced, frame_s=frame_s)
        self.to_host = _AtOnce(self, to_host=True)


class _AtOnce(Direction):
    def _transmit(self, delay_s: float, data: bytes, share: float = 1.0) -> None:
        self._arrive_at(self._line.env.now + delay_s, data)
