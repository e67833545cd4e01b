"""The slcan adapter: its serial side, its receive FIFO, and its life between power-on and -off.

The FIFO is emptied by the UART: while that is busy frames wait, and what comes when it is full is
lost and counted, as in the real thing. Frames that wait together leave in one write.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.serial_line import BITS_PER_BYTE, SerialLine
from sim.slcan.acceptance import AcceptanceFilter
from sim.slcan.canable import CanableFirmware
from sim.slcan.channel import Channel, Status
from sim.slcan.counters import SlcanCounters
from sim.slcan.lawicel import LawicelFirmware
from sim.slcan.memory import SlcanMemory
from sim.slcan.profiles import PROFILES, UART_RATES, SlcanProfile
from sim.slcan.text import CR, encode, timestamp

INPUT_BYTES = 4096  # characters that wait while the UART is busy with answers
INPUT_LIMIT_BYTES = 65536  # beyond flow control: what a driver had under way is taken no further
PIECE_BYTES = 256  # commands executed at a time
AHEAD_BYTES = 2048  # answers on their way out before the next commands are looked at
UNREAD_BYTES = 32768  # what a host's drivers hold for a slow reader; Linux' tty layer has 64 KiB
UNPACED_FRAMES = 4096  # without a pace the FIFO's length says nothing: frames of one instant

UNPACED_WRITE_FRAMES = 512

EventHandler = Callable[[float, str, str], None]


class Firmware(Protocol):
    """What understands the host's characters."""

    def reset(self) -> None:
        """Begin anew after power-on."""
        ...

    def take(self, data: bytes) -> bytes:
        """Execute the lines that `data` completes; return the answers."""
        ...


class SlcanAdapter:
    """An adapter between a serial line and a CAN bus.

    Args:
        env: the world's SimPy environment.
        bus: the bus that it is plugged into.
        line: its device end is taken; `profile.baud` is the rate that suits it.
        profile: which adapter.
        memory: its EEPROM; None is as delivered.
        name: of its node on the bus.
        on_event: called as on_event(t_s, kind, detail) on power, open, close, baud, can state.

    Attributes:
        counters: what it has done and what it had to refuse.
        channel: its controller.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        line: SerialLine,
        profile: SlcanProfile = PROFILES["lawicel_canusb"],
        *,
        memory: SlcanMemory | None = None,
        name: str = "slcan",
        on_event: EventHandler | None = None,
    ) -> None:
        self.env = env
        self.line = line
        self.profile = profile
        self.memory = SlcanMemory() if memory is None else memory
        self.counters = SlcanCounters()
        self._on_event = on_event
        self.channel = Channel(
            env,
            bus,
            name,
            self._on_frame,
            tx_frames=profile.tx_frames,
            auto_recovery=profile.auto_recovery,
            counters=self.counters,
        )
        self.channel.on_state = lambda state: self._event("can", state)
        self._fifo: deque[bytes] = deque()
        self._fifo_frames = profile.rx_frames
        self._accepts: Callable[[CanFrame], bool] | None = None
        self._stamped = False
        self._pushes = False  # frames go out by themselves: the channel is open, auto poll is on
        self._pump_due = False
        self._input = bytearray()
        self._input_due = False
        self._stalls = False
        self._powered = False
        self._powered_s = 0.0
        self._default_baud = line.baud
        self._firmware: Firmware = (
            CanableFirmware(self) if profile.silent else LawicelFirmware(self)
        )
        line.attach_device(self.receive)
        line.on_read.append(self._host_has_read)
        line.on_left.append(self._host_has_left)
        if profile.usb:
            line.on_hang_up.append(self.power_off)
            line.on_replug.append(self.power_on)
        self.power_on()

    # -- power -------------------------------------------------------------------------------------
    def power_off(self) -> None:
        """Pull it: the channel closes, what waits is lost, nothing is answered any more."""
        if self._powered:
            self._powered = False
            self.close()
            self._input.clear()
            self._let_host_write()
            self._event("power", "off")

    def power_on(self) -> None:
        """Plug it in: it begins with what its EEPROM holds."""
        if self._powered:
            return
        self._powered = True
        self._powered_s = self.env.now
        uart = self.memory.uart
        self.line.baud = self._default_baud if uart is None else UART_RATES[uart]
        self._firmware.reset()
        self._event("power", "on")

    def power_cycle(self) -> None:
        """Pull it out and plug it in at once."""
        self.power_off()
        self.power_on()

    @property
    def busy(self) -> bool:
        """True while something is under way between host and bus: an unpaced runner goes on."""
        return self._pump_due or self._input_due or self.channel.pending_frames > 0

    @property
    def auto_poll(self) -> bool:
        """True if frames go to the host without being polled."""
        return not self.profile.polls or bool(self.memory.auto_poll)

    # -- what the firmware uses --------------------------------------------------------------------
    def open(
        self, bitrate_bps: int, acceptance: AcceptanceFilter, *, listen_only: bool = False
    ) -> None:
        """Go on the bus."""
        self._accepts = None if acceptance.takes_all else acceptance.accepts
        self._stamped = self.memory.timestamps
        self._pushes = self.auto_poll
        paced = self.line.paced or not self._pushes
        self._fifo_frames = self.profile.rx_frames if paced else UNPACED_FRAMES
        self.channel.open(bitrate_bps, listen_only=listen_only)
        self._event("listen" if listen_only else "open", str(bitrate_bps))

    def close(self) -> None:
        """Leave the bus; frames in the FIFO are lost."""
        self._fifo.clear()
        self._pushes = False
        if self.channel.is_open:
            self.channel.close()
            self._event("close", "")

    def poll(self, count: int) -> bytes:
        """Take up to `count` frames out of the FIFO, as text."""
        taken = min(count, len(self._fifo))
        self.counters.frames_to_host += taken
        return b"".join(self._fifo.popleft() for _ in range(taken))

    def set_uart(self, number: int) -> None:
        """Let the UART run at another rate behind the answer, and remember it (`U`)."""
        self.memory.uart = number
        baud = UART_RATES[number]
        self._event("baud", str(baud))
        # The answer's CR is handed to the line right after this, still at the old rate.
        event = self.env.timeout(0)
        event.callbacks.append(lambda _: setattr(self.line, "baud", baud))

    @property
    def _host_is_full(self) -> bool:
        """True while USB takes no more because the client leaves too much unread."""
        return self.profile.usb and self.line.unread_bytes >= UNREAD_BYTES

    def _host_has_left(self) -> None:
        self._input.clear()
        self._let_host_write()

    def _host_has_read(self) -> None:
        if not self._pump_due:
            self._pump()
        if self._input and not self._input_due:
            self._work()

    # -- from the bus ------------------------------------------------------------------------------
    def _on_frame(self, frame: CanFrame, t_s: float) -> None:
        counters = self.counters
        if self._accepts is not None and not self._accepts(frame):
            counters.frames_filtered += 1
            return
        fifo = self._fifo
        waiting = len(fifo) + 1
        if waiting >= self._fifo_frames:
            self.channel.note(Status.RX_FULL)
            if waiting > self._fifo_frames:
                self.channel.note(Status.DATA_OVERRUN)
                counters.rx_overruns += 1
                return
        counters.frames_received += 1
        if self._stamped:
            fifo.append(encode(frame) + timestamp(t_s - self._powered_s) + CR)
        else:
            fifo.append(encode(frame) + CR)
        if self._pushes and not self._pump_due:
            self._pump()

    def _pump_later(self, delay_s: float) -> None:
        self._pump_due = True
        event = self.env.timeout(delay_s)
        event.callbacks.append(self._pump)

    def _pump(self, _event: simpy.Event | None = None) -> None:
        """Hand the UART what it can send within one USB frame, a frame at least."""
        self._pump_due = False
        fifo = self._fifo
        if not fifo or not self._pushes or self._host_is_full:
            return
        line = self.line
        if not line.paced:
            self._write_frames(min(len(fifo), UNPACED_WRITE_FRAMES))
            if fifo:
                self._pump_later(0.0)
            return
        wait_s = line.to_host.free_at_s - self.env.now
        if wait_s > 0:
            self._pump_later(wait_s)
            return
        room = line.baud * line.frame_s / BITS_PER_BYTE
        count = 0
        for text in fifo:
            room -= len(text)
            if room < 0 and count:
                break
            count += 1
        self._write_frames(count)
        if fifo:
            self._pump_later(max(0.0, line.to_host.free_at_s - self.env.now))

    def _write_frames(self, count: int) -> None:
        fifo = self._fifo
        self.counters.frames_to_host += count
        self.line.write(
            fifo.popleft() if count == 1 else b"".join([fifo.popleft() for _ in range(count)])
        )

    # -- from the host -----------------------------------------------------------------------------
    def receive(self, data: bytes) -> None:
        """Take characters from the serial line at the instant at which they have arrived."""
        if not self._powered:
            return
        if not self._input and len(data) <= PIECE_BYTES and self._takes_commands:
            answers = self._firmware.take(data)  # nearly always: nothing waits
            if answers:
                self.line.write(answers)
            return
        limit = INPUT_LIMIT_BYTES if self.profile.usb else INPUT_BYTES
        room = limit - len(self._input)
        if len(data) > room:
            self.counters.input_lost_bytes += len(data) - room
            data = data[:room]
        self._input += data
        if not self._input_due:
            self._work()

    @property
    def _takes_commands(self) -> bool:
        return not (self._host_is_full or self._input_due or self._ahead_s())

    def _work(self) -> None:
        """Execute what has come, as far as the UART keeps up with the answers."""
        held = self._input
        while held and not self._host_is_full:
            ahead_s = self._ahead_s()
            if ahead_s > 0:
                self._input_due = True
                event = self.env.timeout(ahead_s)
                event.callbacks.append(self._go_on)
                break
            piece = bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
            answers = self._firmware.take(piece)
            if answers:
                self.line.write(answers)
        if len(held) > INPUT_BYTES and self.profile.usb and not self.line.stalled:
            self._stalls = True
            self.line.stall()
        elif len(held) <= INPUT_BYTES // 2:
            self._let_host_write()

    def _go_on(self, _event: simpy.Event) -> None:
        self._input_due = False
        self._work()

    def _ahead_s(self) -> float:
        """How long until the answers under way are few enough for more, seconds."""
        line = self.line
        if not line.paced:
            return 0.0
        ahead_s = line.to_host.free_at_s - self.env.now - AHEAD_BYTES * BITS_PER_BYTE / line.baud
        return math.ceil(ahead_s * 1e6) / 1e6 if ahead_s > 0 else 0.0

    def _let_host_write(self) -> None:
        if self._stalls:
            self._stalls = False
            self.line.resume()

    def _event(self, kind: str, detail: str) -> None:
        if self._on_event is not None:
            self._on_event(self.env.now, kind, detail)
