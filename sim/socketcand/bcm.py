"""Mode BCM: cyclic transmission, and reception filtered by content and rate.

Source: doc/protocol.md of linux-can/socketcand; net/can/bcm.c of Linux (bcm_tx_setup,
bcm_rx_handler, bcm_rx_update_and_send, bcm_rx_thr_flush). As there, a job is known by its
identifier: to add it again replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import simpy

from sim.can.frame import CanFrame
from sim.can.interface import CanSocket

Key = tuple[int, bool]
Update = Callable[[CanFrame, float], None]

MOST_JOBS = 256  # of one client, each way; the kernel takes what its memory holds
LEAST_INTERVAL_S = 50e-6  # the shortest frame takes 47 us at 1 Mbit/s: no bus carries more
EMPTY_MASK = bytes(8)


class SendJob:
    """A frame that is sent at an interval until it is removed.

    The first one goes out at once. What the controller does not take is lost, as in the kernel.
    """

    def __init__(self, env: simpy.Environment, socket: CanSocket) -> None:
        self._env = env
        self._socket = socket
        self._interval_s = 0.0
        self._timer: simpy.Event | None = None
        self.frame: CanFrame | None = None

    def set(self, frame: CanFrame, interval_s: float) -> None:
        """Send `frame` now, and then at the interval; 0 is once."""
        self.frame = frame
        self._interval_s = max(interval_s, LEAST_INTERVAL_S) if interval_s else 0.0
        self._timer = None
        self._send()

    def stop(self) -> None:
        """Send no more."""
        self._timer = None
        self._interval_s = 0.0

    def _send(self) -> None:
        if self.frame is not None:
            self._socket.send(self.frame)
        if self._interval_s:
            self._timer = timer = self._env.timeout(self._interval_s)
            timer.callbacks.append(self._due)

    def _due(self, event: simpy.Event) -> None:
        if event is self._timer:
            self._send()


@dataclass(slots=True)
class _Seen:
    """One content that is watched.

    Attributes:
        mask: bits whose change is told; None: every frame is.
        last: the content that was told last, None before the first one.
        frame: what is to be told when the interval has passed.
    """

    mask: bytes | None
    last: bytes | None = None
    frame: CanFrame | None = None


@dataclass(slots=True)
class _Mux:
    """Contents told apart by the bits of `mask`, each watched for itself."""

    mask: bytes
    cases: list[tuple[bytes, _Seen]] = field(default_factory=list)


class Subscription:
    """Tells the frames of one identifier that a client wants.

    Args:
        env: the world's clock.
        tell: called as tell(frame, t_s).
        interval_s: no more than one in this time, the newest one; 0 is no limit.
        masks: none: every frame; one: when a bit of it changes; more: the first one says where the
            multiplexer stands, the others have its value there and the mask elsewhere.
    """

    def __init__(
        self,
        env: simpy.Environment,
        tell: Update,
        interval_s: float,
        masks: Sequence[bytes] | None,
    ) -> None:
        self._env = env
        self._tell = tell
        self._interval_s = interval_s
        self._last_s: float | None = None
        self._waits = False
        self._over = False
        self._plain: _Seen | None = None
        self._mux: _Mux | None = None
        if masks is None or len(masks) == 1:
            self._plain = _Seen(None if masks is None else masks[0].ljust(8, b"\0"))
        else:
            where = masks[0]
            cases = [(_and(one, where), _Seen(one)) for one in masks[1:]]
            self._mux = _Mux(where, cases)

    def hear(self, frame: CanFrame, time_s: float) -> None:
        """A frame of the identifier has passed."""
        data = frame.data.ljust(8, b"\0")
        seen = self._plain if self._mux is None else _case(self._mux, data)
        if seen is None:
            return
        if seen.mask is not None and seen.last is not None:
            changed = bytes(a ^ b for a, b in zip(data, seen.last, strict=True))
            if _and(changed, seen.mask) == EMPTY_MASK:
                return
        seen.last = data
        seen.frame = frame
        self._update(seen, time_s)

    def stop(self) -> None:
        """Tell no more."""
        self._over = True

    def _update(self, seen: _Seen, time_s: float) -> None:
        if not self._interval_s:
            self._give(seen, time_s)
        elif not self._waits:
            last_s = self._last_s
            if last_s is None or time_s - last_s >= self._interval_s:
                self._last_s = time_s
                self._give(seen, time_s)
            else:
                self._wait(last_s + self._interval_s - time_s)

    def _give(self, seen: _Seen, time_s: float) -> None:
        frame, seen.frame = seen.frame, None
        if frame is not None:
            self._tell(frame, time_s)

    def _wait(self, for_s: float) -> None:
        self._waits = True
        timer = self._env.timeout(for_s)
        timer.callbacks.append(self._interval_over)

    def _interval_over(self, _event: simpy.Event) -> None:
        self._waits = False
        if self._over:
            return
        seen = [case for _value, case in self._mux.cases] if self._mux is not None else []
        waiting = [one for one in (*seen, self._plain) if one is not None and one.frame is not None]
        for one in waiting:
            self._give(one, self._env.now)
        self._last_s = self._env.now if waiting else None
        if waiting:
            self._wait(self._interval_s)


class BroadcastManager:
    """The jobs and subscriptions of one client on one bus.

    Args:
        env: the world's clock.
        socket: what the jobs are sent by; its frames go to `hear`, its own ones too.
        tell: gets what is subscribed to.
    """

    def __init__(self, env: simpy.Environment, socket: CanSocket, tell: Update) -> None:
        self._env = env
        self._socket = socket
        self._tell = tell
        self._jobs: dict[Key, SendJob] = {}
        self._subscriptions: dict[Key, Subscription] = {}

    def hear(self, frame: CanFrame, time_s: float) -> None:
        """A frame on the bus."""
        subscription = self._subscriptions.get((frame.arbitration_id, frame.is_extended))
        if subscription is not None and not frame.is_remote:
            subscription.hear(frame, time_s)

    def add(self, frame: CanFrame, interval_s: float) -> bool:
        """Send `frame` at an interval; False if there are too many jobs."""
        job = self._job(frame)
        if job is not None:
            job.set(frame, interval_s)
        return job is not None

    def update(self, frame: CanFrame) -> bool:
        """Change what a job sends, not when; False if there are too many jobs."""
        job = self._job(frame)
        if job is not None:
            job.frame = frame
        return job is not None

    def delete(self, key: Key) -> None:
        """Remove a job, if there is one."""
        job = self._jobs.pop(key, None)
        if job is not None:
            job.stop()

    def subscribe(self, key: Key, interval_s: float, masks: Sequence[bytes] | None) -> bool:
        """Begin to tell frames, see `Subscription`; False if there are too many."""
        old = self._subscriptions.get(key)
        if old is None and len(self._subscriptions) >= MOST_JOBS:
            return False
        if old is not None:
            old.stop()
        self._subscriptions[key] = Subscription(self._env, self._tell, interval_s, masks)
        return True

    def unsubscribe(self, key: Key) -> None:
        """End it, if there is such a subscription."""
        old = self._subscriptions.pop(key, None)
        if old is not None:
            old.stop()

    def close(self) -> None:
        """End all of it."""
        for job in self._jobs.values():
            job.stop()
        for subscription in self._subscriptions.values():
            subscription.stop()
        self._jobs.clear()
        self._subscriptions.clear()

    def _job(self, frame: CanFrame) -> SendJob | None:
        key = (frame.arbitration_id, frame.is_extended)
        job = self._jobs.get(key)
        if job is None and len(self._jobs) < MOST_JOBS:
            job = self._jobs[key] = SendJob(self._env, self._socket)
        return job


def _case(mux: _Mux, data: bytes) -> _Seen | None:
    value = _and(data, mux.mask)
    return next((seen for at, seen in mux.cases if at == value), None)


def _and(one: bytes, other: bytes) -> bytes:
    return bytes(a & b for a, b in zip(one, other, strict=True))
