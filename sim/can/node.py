"""One controller on the bus: what it takes, what it sends, and what its error counters allow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from sim.can.acceptance import Acceptance, accepts_any
from sim.can.confinement import (
    MAX_RECEIVE_COUNT,
    ErrorState,
    after_reception,
    state_of,
)
from sim.can.errors import DetachedError
from sim.can.frame import CanFrame

if TYPE_CHECKING:
    from sim.can.bus import CanBus

FrameReceiver = Callable[[CanFrame, float], None]
SentCallback = Callable[[float], None]
LostCallback = Callable[[float], None]
StateListener = Callable[[ErrorState, float], None]

MAX_PENDING_FRAMES = 256  # per node; a controller with its driver's queue


class CanNode:
    """One controller on the bus; made by `CanBus.attach`.

    Attributes:
        name: for taps and messages.
        on_frame: called as on_frame(frame, t_s) at the end of each accepted frame of other nodes.
        on_state: called as listener(state, t_s) when the error state changes.
        auto_recover_s: seconds from bus-off until recovery begins by itself, as Linux' restart-ms;
            None takes that of the bus, and where that is None too, waits for `recover()`.
        attached: False once it has left the bus.
        tec: transmit error counter.
        rec: receive error counter.
        state: what the counters allow.
        pending_frames: frames that were given and are not yet on the wire to the end.
        sent_frames: frames that have passed.
        refused_frames: not taken by `send`: bus-off or listen-only.
        dropped_frames: not taken by `send`: `MAX_PENDING_FRAMES` were waiting already.
        lost_frames: taken, and given up: by bus-off, by `withdraw()` or by leaving the bus.
        bus_off_count: how often it went bus-off.
    """

    __slots__ = (
        "_accepted_ids", "_bus", "_filters", "_suspended_until_s", "attached",
        "auto_recover_s", "bitrate_bps", "bus_off_count", "dropped_frames", "listen_only",
        "lost_frames", "name", "on_frame", "on_state", "pending_frames", "rec", "recovering",
        "refused_frames", "sent_frames", "state", "tec",
    )  # fmt: skip

    def __init__(
        self,
        bus: CanBus,
        name: str,
        on_frame: FrameReceiver,
        accepted_ids: Collection[int] | None = None,
        *,
        filters: Sequence[Acceptance] | None = None,
        listen_only: bool = False,
        bitrate_bps: int | None = None,
    ) -> None:
        self._bus = bus
        self.name = name
        self.on_frame = on_frame
        self._accepted_ids = None if accepted_ids is None else frozenset(accepted_ids)
        self._filters = None if filters is None else tuple(filters)
        self.listen_only = listen_only
        self.bitrate_bps = bus.bitrate_bps if bitrate_bps is None else bitrate_bps
        if self.bitrate_bps <= 0:
            raise ValueError(
                f"bit rate of CAN node {name!r}: expected more than 0, got {bitrate_bps}"
            )
        self.on_state: list[StateListener] = []
        self.auto_recover_s: float | None = None
        self.attached = True
        self.tec = 0
        self.rec = 0
        self.state = ErrorState.ACTIVE
        self.recovering = False
        self.pending_frames = 0
        self.sent_frames = 0
        self.refused_frames = 0
        self.dropped_frames = 0
        self.lost_frames = 0
        self.bus_off_count = 0
        self._suspended_until_s = float("-inf")

    # -- what it is ------------------------------------------------------------------------------
    @property
    def filters(self) -> tuple[Acceptance, ...] | None:
        """What it takes; None takes every frame (`accepted_ids` aside)."""
        return self._filters

    @property
    def is_bus_off(self) -> bool:
        """True while it takes no part in the traffic."""
        return self.state is ErrorState.BUS_OFF

    @property
    def is_passive(self) -> bool:
        """True while its error flags are recessive and it must pause between own frames."""
        return self.state is ErrorState.PASSIVE

    @property
    def has_bus_rate(self) -> bool:
        """True if its bit rate is that of the bus."""
        return self.bitrate_bps == self._bus.bitrate_bps

    @property
    def is_listening(self) -> bool:
        """True while it sees the traffic: on the bus and not bus-off."""
        return self.attached and self.state is not ErrorState.BUS_OFF

    @property
    def takes_part(self) -> bool:
        """True while it acknowledges and sends error flags."""
        return self.is_listening and not self.listen_only

    def accepts(self, arbitration_id: int, is_extended: bool) -> bool:
        """Return True if a frame with this identifier passes the acceptance filter."""
        if self._accepted_ids is not None and arbitration_id not in self._accepted_ids:
            return False
        return self._filters is None or accepts_any(self._filters, arbitration_id, is_extended)

    # -- settings --------------------------------------------------------------------------------
    def set_filters(self, filters: Sequence[Acceptance] | None) -> None:
        """Take what one of `filters` accepts from now on; None takes all, an empty list none.

        The identifiers given to `attach` no longer count.
        """
        self._filters = None if filters is None else tuple(filters)
        self._accepted_ids = None
        self._bus._changed()

    def set_listen_only(self, listen_only: bool) -> None:
        """Listen without acknowledging and without error flags, or take part again.

        What waits to be sent is given up when listening begins.
        """
        self.listen_only = listen_only
        if listen_only:
            self.withdraw()
        self._bus._changed()

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Run the controller at another bit rate; any other than the bus' disturbs it.

        Raises:
            ValueError: not more than 0.
        """
        if bitrate_bps <= 0:
            raise ValueError(
                f"bit rate of CAN node {self.name!r}: expected more than 0, got {bitrate_bps}"
            )
        self.bitrate_bps = bitrate_bps
        self._bus._changed()

    # -- sending ---------------------------------------------------------------------------------
    def send(
        self,
        frame: CanFrame,
        on_sent: SentCallback | None = None,
        on_lost: LostCallback | None = None,
    ) -> bool:
        """Queue `frame`; it is sent again after each error until it has passed.

        Args:
            frame: what to send.
            on_sent: called as on_sent(t_s) when its last bit has passed.
            on_lost: called as on_lost(t_s) when it is given up after it was taken: by bus-off, by
                `withdraw()`, by leaving the bus. Exactly one of the two is called.

        Returns:
            False, counted, where it is not taken: too many wait already (the newest is dropped),
            the node is bus-off or listens only.

        Raises:
            DetachedError: the node has left the bus.
        """
        if not self.attached:
            raise DetachedError(
                f"CAN node {self.name!r}: expected to be on the bus, but it was detached; "
                "attach a new node"
            )
        if self.listen_only or self.state is ErrorState.BUS_OFF:
            self.refused_frames += 1
            return False
        if self.pending_frames >= MAX_PENDING_FRAMES:
            self.dropped_frames += 1
            return False
        self.pending_frames += 1
        self._bus._request(self, frame, on_sent, on_lost)
        return True

    def withdraw(self) -> int:
        """Give up what waits to be sent; return the number of frames.

        A frame on the wire is finished, but not repeated if an error destroys it.
        """
        return self._bus._withdraw(self)

    def detach(self) -> None:
        """Leave the bus: what waits is withdrawn, a frame on the wire is still finished."""
        self._bus._detach(self)

    def recover(self) -> None:
        """Begin the way back from bus-off: 128 times 11 recessive bits, then with counters at 0.

        Does nothing in any other state, or while it is on its way already.
        """
        self._bus._recover(self)

    # -- used by CanBus --------------------------------------------------------------------------
    def _count(self, tec: int, rec: int) -> None:
        """Add to the counters; tell of a new state."""
        self.tec += tec
        self.rec = min(MAX_RECEIVE_COUNT, self.rec + rec)
        self._judge()

    def _passed(self) -> None:
        if self.tec:
            self.tec -= 1
            self._judge()

    def _received(self) -> None:
        self.rec = after_reception(self.rec)
        self._judge()

    def _restart(self) -> None:
        self.recovering = False
        self.tec = self.rec = 0
        self._enter(ErrorState.ACTIVE)

    def _judge(self) -> None:
        state = state_of(self.tec, self.rec)
        if state is not self.state and self.state is not ErrorState.BUS_OFF:
            self._enter(state)

    def _enter(self, state: ErrorState) -> None:
        was_off = self.state is ErrorState.BUS_OFF
        self.state = state
        is_off = state is ErrorState.BUS_OFF
        if is_off:
            self.bus_off_count += 1
        if was_off or is_off:
            self._bus._bus_off_changed(self)
        for listener in tuple(self.on_state):
            listener(state, self._bus.env.now)
