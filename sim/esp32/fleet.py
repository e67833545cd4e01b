"""The boards of a world, and what can happen to all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.esp32.board import Board
from sim.esp32.wifi import Air
from sim.network import Impairment, Undo

FUNCTIONAL_ID = 0x7DF
CURRENT_DATA = 0x01
FORGET_S = 2.0  # an ECU that has not answered by then has dropped the request


class Fleet:
    """Boards under one sky.

    Attributes:
        boards: in order; the first one is in the world's own car.
        air: that they share.
    """

    def __init__(self, boards: Sequence[Board], air: Air) -> None:
        self.boards = tuple(boards)
        self.air = air
        self._outages = 0

    def __iter__(self) -> Iterator[Board]:
        return iter(self.boards)

    def __len__(self) -> int:
        return len(self.boards)

    def wifi_out(self, out: bool) -> None:
        """Let every network vanish, or come back; of two outages the later end counts."""
        self._outages += 1 if out else -1
        self.air.change(out=self._outages > 0)

    def wifi_fade(self, fade_db: float) -> None:
        """Weaken every network by `fade_db` more (less where negative)."""
        self.air.change(fade_db=self.air.fade_db + fade_db)

    def wifi_loss(self, loss: float) -> None:
        """Let so many more requests and answers get lost (fewer where negative)."""
        self.air.loss += loss

    def reset(self, reason: str) -> None:
        """Reset every board; "power-on" cuts its power for an instant."""
        for board in self.boards:
            if reason == "power-on":
                board.power_cycle()
            else:
                board.reset(reason)

    def drift_clocks(self, ppm: float) -> Undo:
        """Let the clock of every board run so much faster."""
        ends = [board.drift_clock(ppm) for board in self.boards]

        def undo() -> None:
            for end in ends:
                end()

        return undo

    def jump_clocks(self, by_s: float) -> None:
        """Let the clock of every board be ahead by so much from now on."""
        for board in self.boards:
            board.jump_clock(by_s)

    def refuse_writes(self, refuse: bool) -> None:
        """Let the flash of every board take no more, or again."""
        for board in self.boards:
            board.flash.refuses = refuse

    def impair(self, impairment: Impairment) -> Undo:
        """Make the way between the access point and the gateway worse."""
        return self.air.network.impair(impairment)


class Askers:
    """Tells who asked for a value that an ECU takes now, where several ask on one bus.

    An ECU serves the requests in their order; one that it dropped is forgotten after a while.
    """

    def __init__(self, bus: CanBus) -> None:
        self._asked: list[tuple[float, str, bytes]] = []
        bus.taps.append(self._tap)

    def who(self, pid: int, time_s: float) -> str:
        """Return the node that asked for `pid`; empty when nobody is known to have done so."""
        self._asked = [entry for entry in self._asked if entry[0] > time_s - FORGET_S]
        for index, (_, sender, pids) in enumerate(self._asked):
            if pid in pids:
                left = pids.replace(bytes([pid]), b"", 1)
                self._asked[index] = (self._asked[index][0], sender, left)
                return sender
        return ""

    def _tap(self, time_s: float, sender: str, frame: CanFrame) -> None:
        data = frame.data
        asks = frame.arbitration_id == FUNCTIONAL_ID or 0x7E0 <= frame.arbitration_id <= 0x7E7
        if asks and len(data) >= 3 and data[0] <= 7 and data[1] == CURRENT_DATA:
            self._asked.append((time_s, sender, data[2 : 1 + data[0]]))
