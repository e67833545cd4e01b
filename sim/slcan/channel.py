"""The adapter's CAN controller: on the bus while the channel is open, and its status flags."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag

import simpy

from sim.can.bus import CanBus
from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.node import CanNode
from sim.slcan.counters import SlcanCounters

AUTO_RECOVERY_S = 0.0  # bxCAN returns as soon as it has seen 128 x 11 recessive bits


class Status(IntFlag):
    """The flags that `F` tells (CAN232 manual); each stays set until it has been read."""

    RX_FULL = 0x01
    TX_FULL = 0x02
    ERROR_WARNING = 0x04
    DATA_OVERRUN = 0x08
    ERROR_PASSIVE = 0x20
    ARBITRATION_LOST = 0x40
    BUS_ERROR = 0x80


class Channel:
    """The way from the adapter to the bus.

    A closed channel takes no part: it neither acknowledges nor disturbs.

    Args:
        env: the world's SimPy environment.
        bus: the bus that it is wired to.
        name: of its node.
        on_frame: called with each frame of another node.
        tx_frames: length of the transmit FIFO.
        auto_recovery: return from bus-off without being asked.
        counters: where it counts.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        name: str,
        on_frame: Callable[[CanFrame, float], None],
        *,
        tx_frames: int,
        auto_recovery: bool,
        counters: SlcanCounters,
    ) -> None:
        self._env = env
        self._bus = bus
        self._name = name
        self._on_frame = on_frame
        self._tx_frames = tx_frames
        self._auto_recovery = auto_recovery
        self._counters = counters
        self._node: CanNode | None = None
        self.listen_only = False
        self.bitrate_bps: int | None = None
        self._status = 0
        self._overtaken = False
        self.on_state: Callable[[str], None] = lambda _state: None

    @property
    def is_open(self) -> bool:
        """True between open and close."""
        return self._node is not None

    @property
    def pending_frames(self) -> int:
        """Frames that wait for the bus."""
        return 0 if self._node is None else self._node.pending_frames

    @property
    def node(self) -> CanNode | None:
        """The node on the bus, None while closed."""
        return self._node

    def open(self, bitrate_bps: int, *, listen_only: bool = False) -> None:
        """Go on the bus."""
        self.listen_only = listen_only
        self.bitrate_bps = bitrate_bps
        self._status = 0
        self._overtaken = False
        node = self._bus.attach(
            self._name, self._received, listen_only=listen_only, bitrate_bps=bitrate_bps
        )
        if self._auto_recovery:
            node.auto_recover_s = AUTO_RECOVERY_S
        node.on_state.append(self._state_changed)
        self._bus.error_taps.append(self._bus_error)
        self._node = node

    def close(self) -> None:
        """Leave the bus; what waits is withdrawn."""
        if self._node is not None:
            self._bus.error_taps.remove(self._bus_error)
            self._node.detach()
            self._node = None

    def send(self, frame: CanFrame) -> bool:
        """Queue `frame`; False, and noted, if the FIFO is full or the controller is bus-off."""
        node = self._node
        if node is None:
            return False
        if node.pending_frames >= self._tx_frames or not node.send(frame, self._sent, self._lost):
            self._status |= Status.TX_FULL
            self._counters.tx_refused += 1
            return False
        self._counters.frames_queued += 1
        return True

    def note(self, status: int) -> None:
        """Set flags of the receive FIFO."""
        self._status |= status

    def read_status(self) -> int:
        """Return the flags since they were read last, and clear them."""
        status, self._status = self._status, 0
        return status

    def _received(self, frame: CanFrame, t_s: float) -> None:
        node = self._node
        if node is not None and node.pending_frames:
            # The first frame of others may have been on the wire already when ours came; that it
            # did not follow means that it has lost an arbitration.
            if self._overtaken:
                self._status |= Status.ARBITRATION_LOST
            self._overtaken = True
        self._on_frame(frame, t_s)

    def _sent(self, _t_s: float) -> None:
        self._overtaken = False
        self._counters.frames_sent += 1

    def _lost(self, _t_s: float) -> None:
        self._counters.frames_given_up += 1

    def _state_changed(self, state: ErrorState, _t_s: float) -> None:
        # SJA1000: EI at each change of the error or the bus status, EPI into error passive and
        # back.
        if state is ErrorState.BUS_OFF:
            self._counters.bus_offs += 1
            self._status |= Status.ERROR_WARNING
        elif state is ErrorState.PASSIVE:
            self._status |= Status.ERROR_PASSIVE
        else:
            self._status |= Status.ERROR_WARNING
        self.on_state(state.name.lower())

    def _bus_error(self, _t_s: float, _sender: str, _kind: ErrorKind, _frame: CanFrame) -> None:
        self._counters.bus_errors += 1
        self._status |= Status.BUS_ERROR
