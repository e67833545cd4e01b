"""What a client may do in each mode of the protocol.

Source: linux-can/socketcand, src/state_{raw,bcm,isotp,control}.c. A command that cannot be read
raises ValueError or IndexError; the daemon logs such a one and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import simpy

from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel, IsoTpOptions, Outcome
from sim.can.isotp_pdu import MAX_MESSAGE_BYTES
from sim.socketcand.bcm import BroadcastManager
from sim.socketcand.text import (
    bcm_text,
    error_text,
    pdu_text,
    read_frame,
    read_id,
    read_remote_frame,
    read_send,
)

if TYPE_CHECKING:
    from sim.socketcand.client import Client

Action = Callable[[list[str]], None]
MUX_MASKS = range(2, 258)
LISTEN_ONLY, EXTENDED_ADDRESS, TX_PADDING, RX_PADDING = 0x001, 0x002, 0x004, 0x008  # can/isotp.h
RX_EXTENDED_ADDRESS = 0x200
FORCED_ST_MIN = 0x080 | 0x100
NOT_SERVED = LISTEN_ONLY | EXTENDED_ADDRESS | RX_EXTENDED_ADDRESS | FORCED_ST_MIN


class Mode:
    """What stands between a client and its bus.

    Attributes:
        commands: by their first word; each gets the other ones.
    """

    answers_unknown: ClassVar[bool] = True

    def __init__(self, client: Client) -> None:
        self.client = client
        self.commands: Mapping[str, Action] = {}

    @property
    def is_busy(self) -> bool:
        """True while the next command has to wait."""
        return False

    def close(self) -> None:
        """The client chose another mode, or is gone."""


class SendingMode(Mode):
    """A mode with a socket on the bus, by which frames are sent."""

    def __init__(self, client: Client, **options: Any) -> None:
        super().__init__(client)
        self.socket = client.open_socket(on_frame=self.hear, **options)

    @property
    def is_busy(self) -> bool:
        """A full controller makes the client wait."""
        return not self.socket.has_room

    def hear(self, frame: CanFrame, time_s: float) -> None:
        """A frame for this client."""

    def send(self, command: str) -> None:
        """`< send id dlc byte… >`, whole."""
        self.send_frame(read_send(command))

    def send_remote(self, words: list[str]) -> None:
        """`< sendrtr id dlc >`."""
        self.send_frame(read_remote_frame(words))

    def close(self) -> None:
        self.socket.close()

    def send_frame(self, frame: CanFrame) -> None:
        """Give it to the controller."""
        if self.socket.send(frame):
            self.client.server.sent(self.client)
        else:
            self.client.server.refused(self.client)


class RawMode(SendingMode):
    """Every frame of the bus, as it comes; not the client's own ones."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, on_error=self.error)
        self.commands = {
            "sendrtr": self.send_remote,
            "fdsend": self.refuse,
        }
        self._text = client.server.raw_text

    def hear(self, frame: CanFrame, time_s: float) -> None:
        if not self.client.queue.frame(self._text(frame, time_s)):
            self.client.server.dropped(self.client)

    def error(self, error_class: int, _data: bytes, time_s: float) -> None:
        """The controller reports an error."""
        text = error_text(error_class, self.client.stamp(time_s))
        if not self.client.queue.frame(text):
            self.client.server.dropped(self.client)

    def refuse(self, _words: list[str]) -> None:
        """CAN FD on a classical bus: the kernel refuses it, and the daemon ends the connection."""
        self.client.tell("refused", command="fdsend: the bus is no CAN FD")
        self.client.close()


class BcmMode(SendingMode):
    """The broadcast manager: jobs that send, and subscriptions that hear."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, receive_own=True)  # the kernel's hears its own socket, too
        self._manager = BroadcastManager(client.env, self.socket, self._tell)
        self.commands = {
            "sendrtr": self.send_remote,
            "add": self._add,
            "update": self._update,
            "delete": self._delete,
            "filter": self._filter,
            "muxfilter": self._mux_filter,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def hear(self, frame: CanFrame, time_s: float) -> None:
        self._manager.hear(frame, time_s)

    def close(self) -> None:
        self._manager.close()
        super().close()

    def _tell(self, frame: CanFrame, time_s: float) -> None:
        if not self.client.queue.frame(bcm_text(frame, self.client.stamp(time_s))):
            self.client.server.dropped(self.client)

    def _add(self, words: list[str]) -> None:
        self._check(self._manager.add(read_frame(words[2:]), _interval_s(words)))

    def _update(self, words: list[str]) -> None:
        self._check(self._manager.update(read_frame(words)))

    def _delete(self, words: list[str]) -> None:
        self._manager.delete(read_id(words[0])[:2])

    def _filter(self, words: list[str]) -> None:
        mask = read_frame(words[2:])
        key = mask.arbitration_id, mask.is_extended
        self._check(self._manager.subscribe(key, _interval_s(words), [mask.data]))

    def _mux_filter(self, words: list[str]) -> None:
        key, count = read_id(words[2])[:2], int(words[3])
        data = bytes([int(word, 16) for word in words[4:]])
        if count not in MUX_MASKS or len(data) < 8 * count:
            raise ValueError(f"expected 2-257 masks of 8 bytes, found {count} in {len(data)} bytes")
        masks = [data[start : start + 8] for start in range(0, 8 * count, 8)]
        self._check(self._manager.subscribe(key, _interval_s(words), masks))

    def _subscribe(self, words: list[str]) -> None:
        key = read_id(words[2])[:2]
        self._check(self._manager.subscribe(key, _interval_s(words), None))

    def _unsubscribe(self, words: list[str]) -> None:
        self._manager.unsubscribe(read_id(words[0])[:2])

    def _check(self, taken: bool) -> None:
        if not taken:
            self.client.server.refused(self.client)


class ControlMode(Mode):
    """No frames; counters of the interface at an interval."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.commands = {"statistics": self._statistics}
        self._interval_s = 0.0
        self._timer: simpy.Event | None = None

    def close(self) -> None:
        self._timer = None

    def _statistics(self, words: list[str]) -> None:
        interval_ms = int(words[0])
        if interval_ms < 0:
            raise ValueError(f"expected milliseconds, found {words[0]!r}")
        self._interval_s = max(interval_ms, 10) / 1000 if interval_ms else 0.0  # it looks at 100 Hz
        self._wait()

    def _wait(self) -> None:
        self._timer = None
        if self._interval_s:
            self._timer = timer = self.client.env.timeout(self._interval_s)
            timer.callbacks.append(self._due)

    def _due(self, event: simpy.Event) -> None:
        interface = self.client.interface
        if event is self._timer and interface is not None:
            numbers = (
                interface.received_bytes, interface.received_frames,
                interface.sent_bytes, interface.sent_frames,
            )  # fmt: skip
            text = "< stat {} {} {} {} >".format(*numbers)
            if not self.client.queue.frame(text):
                self.client.server.dropped(self.client)
            self._wait()


class IsoTpMode(Mode):
    """One ISO-TP channel: messages instead of frames."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._channel: IsoTpChannel | None = None
        self._socket = client.open_socket(on_frame=self._hear)
        self.commands = {"isotpconf": self._configure, "sendpdu": self._send}

    @property
    def answers_unknown(self) -> bool:  # type: ignore[override]
        """Before it is configured, the daemon says nothing."""
        return self._channel is not None

    @property
    def is_busy(self) -> bool:
        """A message at a time."""
        return self._channel is not None and self._channel.busy

    def close(self) -> None:
        self._socket.close()
        if self._channel is not None:
            self._channel.abort_sending()

    def _hear(self, frame: CanFrame, time_s: float) -> None:
        if self._channel is not None:
            self._channel.on_frame(frame, time_s)

    def _configure(self, words: list[str]) -> None:
        if self._channel is not None:
            raise ValueError("it is configured already")
        tx_id, tx_extended, _ = read_id(words[0])
        rx_id, rx_extended, _ = read_id(words[1])
        flags = int(words[2], 16)
        wanted = 8 if flags & RX_PADDING else 7 if flags & TX_PADDING else 5
        if len(words) < wanted:
            raise ValueError(f"expected {wanted} numbers, found {len(words)}")
        if flags & NOT_SERVED or tx_extended is not rx_extended:
            # Here the model differs from the daemon, which knows these too.
            self.client.say("< error isotpconf not served >")
            raise ValueError(f"expected flags of {TX_PADDING | RX_PADDING:#x}, found {flags:#x}")
        options = IsoTpOptions(
            block_size=int(words[3]) & 0xFF,
            st_min=int(words[4], 16) & 0xFF,
            padding=int(words[6], 16) & 0xFF if flags & TX_PADDING else None,
        )
        self._channel = IsoTpChannel(
            self.client.env,
            cast(Any, self._socket),  # it sends as a node does
            tx_id,
            rx_id,
            self._received,
            options=options,
            is_extended=tx_extended,
        )

    def _send(self, words: list[str]) -> None:
        if self._channel is None:
            raise ValueError("expected isotpconf first")
        payload = bytes.fromhex(words[0])
        if not 0 < len(payload) <= MAX_MESSAGE_BYTES:
            raise ValueError(f"expected 1-{MAX_MESSAGE_BYTES} bytes, found {len(payload)}")
        self._channel.send(payload, self._ended)

    def _ended(self, outcome: Outcome) -> None:
        if outcome not in (Outcome.OK, Outcome.REPLACED):
            self.client.tell("isotp", outcome=outcome.value)
        self.client.read_on()

    def _received(self, payload: bytes, _is_functional: bool) -> None:
        client = self.client
        if not client.queue.frame(pdu_text(payload, client.stamp(client.env.now))):
            client.server.dropped(client)


MODES: Mapping[str, type[Any]] = {
    "< rawmode >": RawMode,
    "< bcmmode >": BcmMode,
    "< isotpmode >": IsoTpMode,
    "< controlmode >": ControlMode,
}


def _interval_s(words: list[str]) -> float:
    """Return the interval of `seconds microseconds`."""
    seconds, us = int(words[0]), int(words[1])
    if seconds < 0 or us < 0 or seconds > 0xFFFFFFFF:
        raise ValueError(f"expected an interval, found {words[:2]}")
    return seconds + us / 1e6
