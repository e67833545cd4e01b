"""Any interface of python-can: socketcan, virtual, pcan, kvaser, vector, …

`socketcand` and `slcan` are python-can's too, as subclasses (`server.can.socketcand`,
`server.can.slcan`) that put right what fails in production.

What a driver raises, whatever it is, is `LinkLost`: the supervisor opens it anew. Configuration
files and environment variables of python-can (`~/.canrc`, `CAN_INTERFACE`) are not read: what is
open is what the gateway's configuration says.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import can

from server.can.bus_time import BusTime
from server.can.frame import ERROR, EXTENDED, ID_MASK, REMOTE, CanFrame, Wanted
from server.can.options import PortOptions
from server.can.slcan import SlcanBus
from server.can.socketcand import SocketcandBus
from server.clock import Clock
from server.errors import LinkLost

MOST_FRAMES = 500
"""Of one `receive`: then whoever reads shall work on them."""
KERNEL_FILTERS = 512
"""What a SocketCAN socket takes (CAN_RAW_FILTER_MAX)."""
SEND_TIMEOUT_S = 1.0
_NO_BITRATE = ("socketcan", "virtual", "udp_multicast")


class PythonCanWire:
    """An open bus of python-can; made open.

    Raises:
        LinkLost: python-can or its driver cannot open it.
    """

    def __init__(self, options: PortOptions, clock: Clock, counters: Counter[str]) -> None:
        self.is_stamped = True
        self._name = options.name
        self._clock = clock
        self._counters = counters
        self._time = BusTime(options.name)
        try:
            self._bus = _bus(options, clock, counters)
        except LinkLost:
            raise
        except Exception as error:
            raise LinkLost(
                f"expected {self._name} to open, found: {_line(error)} "
                "(interface up? driver installed? key options right?)"
            ) from error

    def receive(self, timeout_s: float, wanted: Wanted) -> list[CanFrame]:
        """Give the frames that are there, waiting for them."""
        messages = []
        try:
            message = self._bus.recv(timeout_s)
            while message is not None:
                messages.append(message)
                if len(messages) >= MOST_FRAMES:
                    break
                message = self._bus.recv(0)
        except Exception as error:
            # The last frames come first; the next call fails again.
            if not messages:
                if isinstance(error, LinkLost):
                    raise
                raise LinkLost(f"{self._name} went away: {_line(error)}") from error
        return self._frames(messages, wanted) if messages else []

    def _frames(self, messages: list[can.Message], wanted: Wanted) -> list[CanFrame]:
        received_ns = self._clock.now_ns()
        stamps_ns = [_stamp_ns(message) for message in messages]
        newest_ns = max(stamps_ns)
        self.is_stamped = newest_ns > 0
        offset_ns = self._time.offset_ns(newest_ns, received_ns) if newest_ns else 0
        counters = self._counters
        frames = []
        for message, stamp_ns in zip(messages, stamps_ns, strict=True):
            can_id = message.arbitration_id & ID_MASK
            if message.is_extended_id:
                can_id |= EXTENDED
            if message.is_remote_frame:
                can_id |= REMOTE
            if message.is_error_frame:
                can_id = can_id & ID_MASK | ERROR
            if can_id not in wanted:
                counters["frames_unwanted"] += 1
                continue
            time_ns = stamp_ns + offset_ns if stamp_ns else received_ns
            if time_ns > received_ns:
                time_ns = received_ns
                counters["stamps_ahead"] += 1
            frames.append(CanFrame(can_id, bytes(message.data), time_ns, received_ns))
        if self._time.is_mapped:
            counters["stamps_mapped"] += len(frames)
        return frames

    def send(self, frame: CanFrame) -> None:
        """Send a frame.

        Raises:
            ValueError: the interface has no such frames.
        """
        if frame.is_error:
            raise ValueError(f"expected a frame of the bus to send, found {frame}")
        message = can.Message(
            arbitration_id=frame.id,
            is_extended_id=frame.is_extended,
            is_remote_frame=frame.is_remote,
            data=None if frame.is_remote else frame.data,
            dlc=len(frame.data),
            is_fd=len(frame.data) > 8,
        )
        try:
            self._bus.send(message, SEND_TIMEOUT_S)
        except ValueError:
            raise
        except Exception as error:
            raise LinkLost(f"{self._name} sends nothing: {_line(error)}") from error

    def accept(self, wanted: Wanted) -> None:
        """Set filters where the driver or the kernel applies them.

        Elsewhere python-can would try one filter after another for each frame, and its `recv(0)`
        ends with the first that is left out, though more are there; `Wanted` leaves out then: in
        slcan and socketcand before a message is made of the text, which is most of the work.
        """
        bus, acceptances = self._bus, wanted.acceptances
        if isinstance(bus, SlcanBus | SocketcandBus):
            bus.wanted = wanted
            return
        if type(bus)._apply_filters is can.BusABC._apply_filters:
            return
        filters: list[Any] | None = None
        if acceptances is not None and len(acceptances) <= KERNEL_FILTERS:
            filters = [
                {"can_id": one.id, "can_mask": one.mask, "extended": one.is_extended}
                for one in acceptances
            ]
        try:
            bus.set_filters(filters)
        except Exception as error:
            raise LinkLost(f"{self._name} takes no filters: {_line(error)}") from error

    def close(self) -> None:
        """Shut the bus down."""
        with contextlib.suppress(Exception):  # a driver's: it is over either way
            self._bus.shutdown()


def _bus(options: PortOptions, clock: Clock, counters: Counter[str]) -> can.BusABC:
    if options.interface == "socketcand":
        return SocketcandBus(options, clock, counters)
    if options.interface == "slcan":
        return SlcanBus(options, clock, counters)
    keywords: dict[str, Any] = {"ignore_config": True}
    if options.interface not in _NO_BITRATE and options.bitrate is not None:
        keywords["bitrate"] = options.bitrate
    keywords.update(options.options)
    return can.Bus(interface=options.interface, channel=options.channel, **keywords)


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _stamp_ns(message: can.Message) -> int:
    # A float of seconds since 1970 has 0.24 us; no interface gives less than one.
    return round(message.timestamp * 1e6) * 1000
