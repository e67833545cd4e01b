"""A thread that empties a port all the time, and a bounded queue behind it."""

from __future__ import annotations

import threading
import time
from collections import Counter

from server.can.frame import CanFrame
from server.can.port import LONGEST_WAIT_S, CanPort

BUSY_FRAMES = 256
"""So many at once, and there is no pause: the interface is behind."""
UNSTAMPED_PAUSE_S = 0.002
"""Longest pause where the instant of reading is the time of a frame: its error is that long."""
STOP_GRACE_S = 1.0


class FrameReader:
    """Opens a port, reads it until stopped, and closes it; all in one thread of its own.

    A full queue drops its oldest frames: what is newest is worth most. `frames_dropped` counts
    them.

    Args:
        port: not open yet.
        queue_frames: frames that wait at most.
        batch_s: pause after a read, so that frames come in batches; each costs a wake-up otherwise.
            Without time stamps it is `UNSTAMPED_PAUSE_S` at most.
        counters: of the link.
    """

    def __init__(
        self, port: CanPort, *, queue_frames: int, batch_s: float, counters: Counter[str]
    ) -> None:
        self.is_open = False
        self._port = port
        self._limit = queue_frames
        self._batch_s = batch_s
        self._counters = counters
        self._stop = threading.Event()
        self._changed = threading.Condition()
        # Under the condition's lock:
        self._frames: list[CanFrame] = []
        self._ended: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"can {port.name}", daemon=True)

    def start(self) -> None:
        """Begin to open and to read."""
        self._thread.start()

    def take(self, timeout_s: float) -> list[CanFrame]:
        """Give all frames that wait, waiting for one; [] after the time.

        Raises:
            LinkLost: the interface did not open, or went away, and its last frames were taken.
        """
        with self._changed:
            if not self._frames and self._ended is None:
                self._changed.wait(timeout_s)
            frames, self._frames = self._frames, []
            if not frames and self._ended is not None:
                raise self._ended
        return frames

    def stop(self) -> None:
        """End the thread; it closes the port."""
        self._stop.set()
        self._thread.join(STOP_GRACE_S)

    def _run(self) -> None:
        ended: BaseException | None = None
        try:
            self._port.open()
            self.is_open = True
            self._read()
        except BaseException as error:  # noqa: BLE001 - thread boundary: handed on to take()
            ended = error
        finally:
            self._port.close()
        with self._changed:
            self._ended = ended
            self._changed.notify()

    def _read(self) -> None:
        while not self._stop.is_set():
            frames = self._port.receive(LONGEST_WAIT_S)
            if frames:
                self._put(frames)
            # Also after frames that nobody wants: on a full bus they would wake it up one by one.
            if self._batch_s and len(frames) < BUSY_FRAMES:
                is_stamped = self._port.is_stamped
                time.sleep(self._batch_s if is_stamped else min(self._batch_s, UNSTAMPED_PAUSE_S))

    def _put(self, frames: list[CanFrame]) -> None:
        with self._changed:
            self._frames += frames
            over = len(self._frames) - self._limit
            if over > 0:
                del self._frames[:over]
                self._counters["frames_dropped"] += over
            self._changed.notify()
