"""A bus with nodes that note what happens to them."""

from __future__ import annotations

import simpy

from sim.can.bus import CanBus, CanNode
from sim.can.confinement import ErrorState
from sim.can.faults import Disturbance, ErrorKind
from sim.can.frame import CanFrame

BITRATE_BPS = 500_000


class Station:
    """A node that notes what it hears, what became of its frames, and its states.

    Attributes:
        seen: frames of others as (t_s, frame).
        sent, lost: data of own frames that passed, and that were given up.
        states: (state, t_s) as they came.
    """

    def __init__(self, bus: CanBus, name: str, **options: object) -> None:
        self.seen: list[tuple[float, CanFrame]] = []
        self.sent: list[bytes] = []
        self.lost: list[bytes] = []
        self.states: list[tuple[ErrorState, float]] = []
        self.node: CanNode = bus.attach(
            name,
            lambda frame, t_s: self.seen.append((t_s, frame)),
            **options,  # type: ignore[arg-type]
        )
        self.node.on_state.append(lambda state, t_s: self.states.append((state, t_s)))

    def send(self, frame: CanFrame) -> bool:
        """Send `frame` and note what becomes of it."""
        return self.node.send(
            frame,
            lambda _t_s: self.sent.append(frame.data),
            lambda _t_s: self.lost.append(frame.data),
        )


class Line:
    """A world with a bus, its error log and faults by plan.

    Attributes:
        errors: (t_s, sender, kind) of each error.
        plan: what befalls the next attempts, one after the other; then all pass.
    """

    def __init__(self, bitrate_bps: int = BITRATE_BPS) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env, bitrate_bps)
        self.errors: list[tuple[float, str, ErrorKind]] = []
        self.plan: list[ErrorKind | Disturbance | None] = []
        self.bus.error_taps.append(
            lambda t_s, sender, kind, _frame: self.errors.append((t_s, sender, kind))
        )

    def disturb(self, *plan: ErrorKind | Disturbance | None) -> None:
        """Let `plan` befall the next attempts."""
        if not self.plan:
            self.bus.faults.append(self._fault)
        self.plan += plan

    def _fault(self, _t_s: float, _sender: str, _frame: CanFrame) -> ErrorKind | Disturbance | None:
        return self.plan.pop(0) if self.plan else None

    def run_bits(self, bits: float) -> None:
        """Let that many bit times pass."""
        self.env.run(until=self.env.now + bits / self.bus.bitrate_bps)

    def bits(self, time_s: float) -> float:
        """Return `time_s` in bit times, to a thousandth."""
        return round(time_s * self.bus.bitrate_bps, 3)
