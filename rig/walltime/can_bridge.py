"""A bus of python-can as a node of the modelled bus: what is sent on either is heard on the other.

The world runs in one thread, an interface of python-can blocks: two threads of its own read and
write it. Frames that it hears take their turn on the modelled bus, as those of any node.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rig.walltime.can_interfaces import CanDoorError, CanInterfaceSpec, open_interface
from rig.walltime.clock import WallClock
from sim.can.bus import CanBus
from sim.can.frame import CanFrame

if TYPE_CHECKING:
    import can

QUEUE_FRAMES = 4096  # each way, for a side that is slower than the other for a while
RECV_S = 0.2
SEND_S = 0.1
RETRY_S = 1.0
# A dead interface may return at once, without a message and without an error, again and again.
EMPTY_AT_ONCE_S = RECV_S / 20
MOST_EMPTY = 200

Listener = Callable[[str, Mapping[str, Any]], None]


class CanBridge:
    """Joins an interface to a bus; `open()` it, and in the end `close()` it.

    An interface that vanishes is told, and opened again as soon as it is there. Nothing piles up:
    what does not fit into a queue is dropped, the newest first, and counted.

    Args:
        clock: of the world.
        bus: the modelled one.
        spec: which interface.
        on_event: called as on_event(what, details) in the world's thread: lost, back, overflow,
            error frame, state (of the node on the modelled bus).

    Attributes:
        counters: to_world, to_interface (frames that passed), dropped (no room), foreign (CAN FD,
            which a classical bus cannot carry), error_frames (heard from the interface), failed
            (the interface did not take it).
    """

    def __init__(
        self,
        clock: WallClock,
        bus: CanBus,
        spec: CanInterfaceSpec,
        on_event: Listener | None = None,
    ) -> None:
        self.spec = spec
        self.counters: collections.Counter[str] = collections.Counter()
        self._clock = clock
        self._on_event = on_event
        self._node = bus.attach(str(spec), self._hear)
        self._node.on_state.append(lambda state, _t_s: self._tell("state", state=state.value))
        self._inbox: collections.deque[CanFrame | tuple[str, dict[str, Any]]] = collections.deque()
        self._outbox: queue.Queue[CanFrame | None] = queue.Queue(QUEUE_FRAMES)
        self._overflowing = False
        self._wake = -1
        self._woken = False
        self._stopping = threading.Event()
        self._interface: can.BusABC | None = None
        self._threads: list[threading.Thread] = []

    @property
    def is_there(self) -> bool:
        """True while the interface is open."""
        return self._interface is not None

    def open(self) -> None:
        """Open the interface and begin.

        Raises:
            CanDoorError: it is not there.
        """
        self._interface = open_interface(self.spec)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._clock.watch_port(self._wake, self._take)
        for action in (self._read, self._write):
            thread = threading.Thread(target=action, name=f"{self.spec} bridge", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """End it; twice does no harm."""
        if self._wake < 0:
            return
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._outbox.put_nowait(None)
        for thread in self._threads:
            thread.join(5.0)
        self._clock.unwatch_port(self._wake)
        os.close(self._wake)
        self._wake = -1
        self._shut()
        if self._node.attached:
            self._node.detach()

    # -- in the world's thread -------------------------------------------------------------------
    def _hear(self, frame: CanFrame, _time_s: float) -> None:
        if self._interface is None:
            self.counters["dropped"] += 1
            return
        try:
            self._outbox.put_nowait(frame)
        except queue.Full:
            self._drop("the interface")

    def _take(self) -> None:
        """Frames and news of the threads are there."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        self._woken = False
        self._send_on()

    def _send_on(self, _time_s: float = 0.0) -> None:
        inbox, node = self._inbox, self._node
        # One at a time: among several, the node would send the lowest identifier first.
        while inbox and node.attached and not node.pending_frames:
            item = inbox.popleft()
            if isinstance(item, tuple):
                self._tell(item[0], **item[1])
            elif node.send(item, self._send_on):
                self.counters["to_world"] += 1
            else:
                self._drop("the modelled bus")
        if len(inbox) < QUEUE_FRAMES // 2:
            self._overflowing = False

    def _drop(self, side: str) -> None:
        self.counters["dropped"] += 1
        if not self._overflowing:
            self._overflowing = True
            self._tell("overflow", reason=f"{side} does not take frames fast enough")

    def _tell(self, kind: str, **detail: Any) -> None:
        if self._on_event is not None:
            self._on_event(kind, {"interface": str(self.spec), **detail})

    # -- in the reader's thread ------------------------------------------------------------------
    def _read(self) -> None:
        while not self._stopping.is_set():
            interface = self._interface
            if interface is None:
                self._open_again()
                continue
            try:
                self._read_all(interface)
            except Exception as error:  # noqa: BLE001  drivers raise what they like
                self._lose(interface, str(error) or type(error).__name__)

    def _read_all(self, interface: can.BusABC) -> None:
        empty = 0
        while not self._stopping.is_set() and self._interface is interface:
            begun_s = time.monotonic()
            message = interface.recv(RECV_S)
            if message is not None:
                empty = 0
                self._heard(message)
            elif time.monotonic() - begun_s < EMPTY_AT_ONCE_S:
                empty += 1
                if empty > MOST_EMPTY:
                    raise ConnectionError("it returns at once, with nothing")
            else:
                empty = 0

    def _heard(self, message: can.Message) -> None:
        if not message.is_rx:
            return  # an echo of what came from here
        if message.is_error_frame:
            self.counters["error_frames"] += 1
            if self.counters["error_frames"] == 1:
                self._post(("error frame", {"id": f"{message.arbitration_id:#x}"}))
            return
        if message.is_fd:
            self.counters["foreign"] += 1
            return
        if len(self._inbox) >= QUEUE_FRAMES:
            self.counters["dropped"] += 1
            if not self._overflowing:
                self._overflowing = True
                self._inbox.append(("overflow", {"reason": "the modelled bus is slower"}))
            return
        remote = message.is_remote_frame
        self._post(
            CanFrame(
                message.arbitration_id,
                b"" if remote else bytes(message.data),
                message.is_extended_id,
                remote,
                message.dlc if remote else 0,
            )
        )

    def _post(self, item: CanFrame | tuple[str, dict[str, Any]]) -> None:
        self._inbox.append(item)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):  # closed meanwhile
                os.eventfd_write(self._wake, 1)

    def _lose(self, interface: can.BusABC, reason: str) -> None:
        if self._interface is interface:
            self._shut()
            if not self._stopping.is_set():
                self._post(("lost", {"reason": reason, "again_s": RETRY_S}))

    def _open_again(self) -> None:
        if self._stopping.wait(RETRY_S):
            return
        try:
            self._interface = open_interface(self.spec)
        except CanDoorError:
            return
        self._post(("back", {}))

    def _shut(self) -> None:
        interface, self._interface = self._interface, None
        if interface is not None:
            with contextlib.suppress(Exception):  # a device that was pulled out cannot be closed
                interface.shutdown()

    # -- in the writer's thread ------------------------------------------------------------------
    def _write(self) -> None:
        import can

        while not self._stopping.is_set():
            frame = self._outbox.get()
            interface = self._interface
            if frame is None or interface is None:
                continue
            message = can.Message(
                arbitration_id=frame.arbitration_id,
                data=None if frame.is_remote else frame.data,
                dlc=frame.dlc,
                is_extended_id=frame.is_extended,
                is_remote_frame=frame.is_remote,
                is_rx=False,
            )
            try:
                interface.send(message, SEND_S)
            except Exception:  # noqa: BLE001  full, or gone: the reader finds out which
                self.counters["failed"] += 1
            else:
                self.counters["to_interface"] += 1
