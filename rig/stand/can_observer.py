"""Hears what passes on a real CAN bus, where its interface lets several programs listen at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CAN_REMOTE, CanRow
from rig.walltime.can_interfaces import CanDoorError, CanInterfaceSpec, open_interface
from sim.can.bit_length import bit_length
from sim.can.frame import CanFrame

SHARED = ("socketcan", "socketcand", "udp_multicast")
"""Interfaces that more than one program can have open; all others are the gateway's alone."""
RECV_S = 0.2
RETRY_S = 0.5
STRANGER = "real"
"""Sender of each frame: a bus does not tell who sent it."""

OnFrame = Callable[[CanRow, CanFrame], None]
OnEvent = Callable[[int, str, Mapping[str, Any]], None]


class CanObserver:
    """Listens in a thread of its own until `close()`; sends nothing.

    Args:
        spec: the interface.
        on_frame: called for each frame that is no error, in that thread.
        on_error: called for each error frame.
        on_event: called as on_event(UTC ns, "gone" or "back", details).

    Raises:
        CanDoorError: it cannot be opened.
    """

    def __init__(
        self,
        spec: CanInterfaceSpec,
        on_frame: OnFrame,
        on_error: Callable[[CanRow], None],
        on_event: OnEvent,
    ) -> None:
        self._spec = spec
        self._on_frame = on_frame
        self._on_error = on_error
        self._on_event = on_event
        self._stopping = threading.Event()
        self._interface: Any = open_interface(spec)
        self._thread = threading.Thread(target=self._run, name=f"{spec} observer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; twice does no harm."""
        self._stopping.set()
        self._thread.join(5.0)
        self._shut()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                message = self._interface.recv(RECV_S)
                if message is not None:
                    self._take(message)
            except Exception as error:  # noqa: BLE001  drivers raise what they like
                self._shut()
                reason = str(error) or type(error).__name__
                self._on_event(time.time_ns(), "gone", {"reason": reason})
                self._come_back()

    def _come_back(self) -> None:
        while not self._stopping.wait(RETRY_S):
            with contextlib.suppress(CanDoorError):
                self._interface = open_interface(self._spec)
                self._on_event(time.time_ns(), "back", {})
                return

    def _take(self, message: Any) -> None:
        time_ns = time.time_ns()
        flags = CAN_EXTENDED * message.is_extended_id + CAN_REMOTE * message.is_remote_frame
        if message.is_error_frame:
            row = CanRow(time_ns, STRANGER, message.arbitration_id, flags + CAN_ERROR, "any")
            self._on_error(row)
            return
        if message.is_fd:
            return
        is_remote = bool(message.is_remote_frame)
        data = b"" if is_remote else bytes(message.data)
        frame = CanFrame(
            message.arbitration_id,
            data,
            bool(message.is_extended_id),
            is_remote,
            message.dlc if is_remote else 0,
        )
        text = data.decode("latin-1")
        row = CanRow(time_ns, STRANGER, frame.arbitration_id, flags, text, bit_length(frame))
        self._on_frame(row, frame)

    def _shut(self) -> None:
        interface, self._interface = self._interface, None
        if interface is not None:
            with contextlib.suppress(Exception):  # a device that was pulled out cannot be closed
                interface.shutdown()
