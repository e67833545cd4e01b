"""The ELM327: a bridge between a serial line and the car's CAN bus.

Covers: the command line with echo, repeat and prompt; requests, search and monitoring (in modules
of their own); interruption, reset, low power, the baud rate handshake, the UART's buffer, a radio
link. All are callbacks on one SimPy environment: nothing polls, an idle adapter costs nothing.

Sources: ELM327 datasheets (ELM327DSI, ELM327DSJ). What they leave open is marked as assumed where
it is decided.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.elm327 import actions
from sim.elm327.commands import Action, CommandTable
from sim.elm327.handshake import BaudHandshake
from sim.elm327.monitor import Monitor
from sim.elm327.profiles import QUIRKS, AdapterProfile
from sim.elm327.protocols import Protocol, ProtocolChoice
from sim.elm327.radio import RadioLink
from sim.elm327.requests import Request
from sim.elm327.search import Search
from sim.elm327.settings import BAUD_CLOCK_BPS, Memory, default_settings
from sim.elm327.timing import AdaptiveTiming, Alarm
from sim.serial_line import BITS_PER_BYTE, SerialLine

OnEvent = Callable[[float, str, str], None]
FrameHandler = Callable[[CanFrame], None]

CR = 0x0D
LF = 0x0A
_IGNORED = bytes(code for code in range(0x21) if code != CR)  # blanks and control characters (p.9)
LINE_BYTES = 254  # longest command line; a longer one is answered `?` (assumed)
HELD_BYTES = 512  # characters held while a command is processed; the newest are lost
IDLE_ABORT_S = 20.0  # an incomplete line is given up after this time (assumed)
LOW_POWER_S = 1.0  # from the OK of AT LP until the chip sleeps
STOP_S = 0.0005  # from the interrupting character to STOPPED (assumed)
CACHED_COMMANDS = 256


class State(enum.Enum):
    """What the adapter is doing."""

    OFF = "off"
    BOOTING = "booting"
    READY = "ready"  # at the prompt
    COMMAND = "command"  # processing an AT command: characters are held
    BUS = "bus"  # request, search or monitoring: any character interrupts
    STOPPING = "stopping"
    HANDSHAKE = "handshake"  # AT BRD
    ASLEEP = "asleep"
    LOCKED = "locked"  # a clone's firmware has crashed


class _Call:
    """A parsed command line: an AT command, or a request with its response digit."""

    __slots__ = ("action", "args", "at", "data", "limit", "locks_up", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = True
        self.action: Action | None = None
        self.args: tuple[str, ...] = ()
        self.data = b""
        self.limit: int | None = None
        self.locks_up = False


class Elm327:
    """One adapter, plugged into a car and powered. It begins at the prompt, booted long ago.

    Args:
        env: the world's SimPy environment.
        bus: the car's CAN bus; the adapter is its node "elm327".
        line: the serial line to the host; its baud rate is the adapter's default one.
        profile: which adapter it is, see `sim.elm327.profiles.PROFILES`.
        rng: draws the radio link's delays; unused for a cable.
        battery_v: the voltage at the socket, asked by `AT RV`.
        on_event: told (t_s, kind, detail) of "boot", "baud", "protocol", "stopped", "buffer full",
            "low power", "locked up", "power".

    Attributes:
        settings: what the AT commands set.
        memory: what survives a power cut.
        protocol: the protocol in use.
        can_wired: False cuts the bus wires only: requests end in CAN ERROR. A fault's handle.
        last_data: data of the last frame printed, for `AT BD`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        bus: CanBus,
        line: SerialLine,
        profile: AdapterProfile,
        rng: random.Random,
        battery_v: Callable[[], float],
        on_event: OnEvent | None = None,
    ) -> None:
        self.env = env
        self.bus = bus
        self.line = line
        self.profile = self._made_as = profile
        self._quirks: list[str] = []
        self.battery_v = battery_v
        self.memory = Memory(bytearray(profile.parameters))
        self.settings = default_settings(self.memory)
        self.protocol = ProtocolChoice(self.memory.protocol, self.memory.auto)
        self.adaptive = AdaptiveTiming()
        self.can_wired = True
        self.last_data = b""
        self.request = Request(self)
        self.search = Search(self)
        self.monitor = Monitor(self)
        self._rng = rng
        self._on_event = on_event
        self._table = CommandTable(profile.firmware, profile.missing)
        self._default_baud = line.baud
        self._state = State.READY
        self._held = bytearray()  # characters that came while busy
        self._reading = False
        self._partial = bytearray()  # the command line so far
        self._out = bytearray()
        self._last: _Call | None = None
        self._calls: dict[bytes, _Call] = {}
        self._work = Alarm(env)  # processing, boot, handshake
        self._bus_wait = Alarm(env)  # waits for replies
        self._idle = Alarm(env)
        self._handshake = BaudHandshake(self)
        self._frame_handler: FrameHandler | None = None
        self._monitoring = False
        self._unsent = False
        self._extended = False
        self._code = 0
        self._mask = 0
        self._node = bus.attach("elm327", self._on_frame)
        self._radio: tuple[RadioLink, ...] = ()
        self._transmit = line.write
        self._attach_line()

    def _attach_line(self) -> None:
        delay_s = self.profile.radio_delay_s
        if delay_s is None:
            self.line.attach_device(self.receive)
            return
        half_s = (delay_s[0] / 2, delay_s[1] / 2)  # the delay is that of there and back
        inward = RadioLink(self.env, self._rng, half_s, self.receive)
        outward = RadioLink(self.env, self._rng, half_s, self.line.write)
        self._radio = (inward, outward)
        self._transmit = outward.send
        self.line.attach_device(inward.send)

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    @property
    def error_counts(self) -> tuple[int, int]:
        """Transmit and receive error counters of its CAN controller; above 255: bus-off."""
        return self._node.tec, self._node.rec

    @property
    def busy(self) -> bool:
        """True while a reply is due: a runner that is not paced goes on stepping the world."""
        return self._state in (
            State.BOOTING,
            State.COMMAND,
            State.BUS,
            State.STOPPING,
            State.HANDSHAKE,
        ) or any(link.busy for link in self._radio)

    # -- power -----------------------------------------------------------------------------------
    def power_off(self) -> None:
        """Pull the adapter out of the car: what it was doing is lost, it no longer answers."""
        if self._state is State.OFF:
            return
        self._halt(State.OFF)
        self._node.detach()
        for link in self._radio:
            link.cut()
        self._event("power", "off")

    def power_on(self) -> None:
        """Plug it in: it boots with its default baud rate and prints its banner."""
        if self._state is not State.OFF:
            return
        self._node = self.bus.attach("elm327", self._on_frame)
        self._event("power", "on")
        self.boot(self.profile.boot_s, restore_baud=True)

    def power_cycle(self) -> None:
        """Pull it out and plug it in at once: the only cure for a locked-up clone."""
        self.power_off()
        self.power_on()

    def lock_up(self, cause: str) -> None:
        """The firmware crashes: no character is answered before the next power cycle."""
        self._halt(State.LOCKED)
        self._event("locked up", cause)

    def become(self, profile: AdapterProfile) -> None:
        """Let its firmware be another one, from the next command on; settings stay."""
        self.profile = profile
        self._table = CommandTable(profile.firmware, profile.missing)
        self._calls.clear()

    def be_clone(self, quirk: str) -> Callable[[], None]:
        """Let it have one habit of a clone (`profiles.QUIRKS`); the returned function ends that.

        A chip that has locked up by then is pulled out and plugged in again.
        """
        self._quirks.append(quirk)
        self._be_as_they_say()

        def undo() -> None:
            self._quirks.remove(quirk)
            self._be_as_they_say()
            if self._state is State.LOCKED:
                self.power_cycle()

        return undo

    def _be_as_they_say(self) -> None:
        habits: dict[str, Any] = {}
        for quirk in self._quirks:
            habits |= QUIRKS[quirk]
        self.become(replace(self._made_as, **habits))

    def low_voltage_reset(self) -> None:
        """The supply dipped (cranking): reset, and LV RESET in place of the banner (p.88)."""
        if self._state is not State.OFF:
            self.boot(self.profile.boot_s, restore_baud=True, banner="LV RESET")

    def boot(self, boot_s: float, *, restore_baud: bool, banner: str | None = None) -> None:
        """Reset; after `boot_s` seconds print the banner and the prompt."""
        self._halt(State.BOOTING)
        baud = self._power_on_baud() if restore_baud else self.line.baud
        text = self.profile.banner if banner is None else banner
        self._work.start(boot_s, lambda: self._booted(baud, text))

    def _power_on_baud(self) -> int:
        """The default rate, or that of PP 0C when it is on."""
        divisor = self.memory.parameters[0x0C]
        if self.memory.enabled[0x0C] and divisor >= actions.LOWEST_DIVISOR:
            return round(BAUD_CLOCK_BPS / divisor)
        return self._default_baud

    def _booted(self, baud: int, banner: str) -> None:
        self.set_baud(baud)
        self.settings = default_settings(self.memory)
        self.protocol = ProtocolChoice(self.memory.protocol, self.memory.auto)
        self.adaptive = AdaptiveTiming()
        self._last = None
        end = self.line_end
        self._event("boot", banner)
        self._write_text(end + end)
        self.finish(banner)

    def _halt(self, state: State) -> None:
        self._state = state
        self._work.stop()
        self._bus_wait.stop()
        self._idle.stop()
        self._handshake.stop()
        self.search.abandon()
        self._stop_listening()
        self.drop_unsent()
        self._held.clear()
        self._partial.clear()
        self._out.clear()

    def go_to_low_power(self) -> None:
        """`AT LP`: say OK, sleep a second later; any character wakes the chip by a reset."""
        self.write_line("OK")
        self._work.start(LOW_POWER_S, self._sleep)

    def _sleep(self) -> None:
        self._halt(State.ASLEEP)
        self._event("low power", "")

    # -- characters from the host ----------------------------------------------------------------
    def receive(self, data: bytes) -> None:
        """Take bytes from the serial line at the instant at which they have arrived."""
        state = self._state
        if state is State.READY:
            self._held += data
            self._read_lines()
        elif state is State.BUS:
            self._interrupt()
            self._hold(data[1:])  # the interrupting character is discarded (p.49)
        elif state is State.COMMAND or state is State.STOPPING:
            self._hold(data)
        elif state is State.HANDSHAKE:
            self._handshake.take(data)
        elif state is State.ASLEEP:
            self.boot(self.profile.warm_boot_s, restore_baud=False)
        # OFF, LOCKED and BOOTING hear nothing

    def _hold(self, data: bytes) -> None:
        self._held += data[: HELD_BYTES - len(self._held)]

    def _read_lines(self) -> None:
        """Process what is held, line by line, until a command makes the adapter busy."""
        if self._reading:
            return  # a command that ended at once: the loop below goes on
        self._reading = True
        held = self._held
        while held and self._state is State.READY:
            end = held.find(CR)
            if end < 0:
                self._take(bytes(held))
                held.clear()
                self._idle.start(IDLE_ABORT_S, self._abort_line)
                break
            self._take(bytes(held[: end + 1]))
            del held[: end + 1]
            text = bytes(self._partial)
            self._partial.clear()
            self._idle.stop()
            self._execute(text)
        self._reading = False
        del held[HELD_BYTES:]
        if self._state is State.BUS and held:
            # More characters came right behind a request. A line feed after the CR is forgiven
            # (assumed: clients that send CR LF work); anything else interrupts.
            if held[0] == LF:
                del held[0]
            if held:
                del held[0]
                self._interrupt()

    def _take(self, characters: bytes) -> None:
        if self.settings.echo:
            echo = characters.replace(b"\0", b"").decode("latin-1")
            self._write_text(echo.replace("\r", self.line_end))
            self.flush()
        room = LINE_BYTES + 1 - len(self._partial)
        self._partial += characters.translate(None, _IGNORED + b"\r")[:room]

    def _abort_line(self) -> None:
        self._partial.clear()
        self.finish("?")

    def _interrupt(self) -> None:
        self._state = State.STOPPING
        self._bus_wait.stop()
        self.search.abandon()
        self._stop_listening()
        self.drop_unsent()
        self._event("stopped", "")
        self._work.start(STOP_S, lambda: self.finish("STOPPED"))

    # -- command lines ---------------------------------------------------------------------------
    def _execute(self, text: bytes) -> None:
        if not text:
            call = self._last if self.profile.repeats_on_cr else None
            if call is None:
                self.finish()
                return
        else:
            known = self._calls.get(text)
            call = self._parse(text) if known is None else known
        self._last = call
        if call.at:
            self._state = State.COMMAND
            self._delay(self.profile.at_delay_s, self._run_at, call)
        else:
            self._state = State.BUS
            self._delay(self.profile.request_delay_s, self._run_request, call)

    def _delay(self, delay_s: float, step: Callable[[_Call], None], call: _Call) -> None:
        if delay_s:
            self._work.start(delay_s, lambda: step(call))
        else:
            step(call)

    def _parse(self, characters: bytes) -> _Call:
        text = characters.decode("latin-1").upper()
        call = _Call(text)
        if len(text) > LINE_BYTES:
            return call
        if text.startswith("AT"):
            found = self._table.find(text[2:])
            if found is not None:
                call.action, call.args = found
            call.locks_up = text[2:] in self.profile.locks_up_on
        elif text.startswith("ST") and self.profile.st_answers:
            call.action, call.args = _st_action, (text[2:],)
        elif all(digit in "0123456789ABCDEF" for digit in text):
            call.at = False
            if len(text) % 2:
                call.limit = int(text[-1], 16)
                text = text[:-1]
            call.data = bytes.fromhex(text)[: self.profile.request_bytes]
        if len(self._calls) >= CACHED_COMMANDS:
            self._calls.clear()
        self._calls[characters] = call
        return call

    def _run_at(self, call: _Call) -> None:
        if call.locks_up:
            self.lock_up(call.text)
            return
        answer = "?" if call.action is None else call.action(self, call.args)
        if answer is None or self._state is not State.COMMAND:
            return  # it answers by itself
        gap_s = self.profile.prompt_gap_s
        if gap_s is None:
            self.finish(answer)
            return
        self._write_text(answer)
        self.flush()
        self._work.start(gap_s, lambda: self.finish(""))

    def _run_request(self, call: _Call) -> None:
        if not call.data and call.limit is not None:
            self.finish("?")  # a single digit
            return
        self.request.start(call.data, call.limit)

    # -- what requests, search and monitoring use ------------------------------------------------
    def send_frame(self, frame: CanFrame) -> None:
        """Put a frame on the bus."""
        self._unsent = True
        self._node.send(frame, self._sent)

    def send_remote(self) -> None:
        """`AT RTR`: a remote frame under the present header, waiting for replies."""
        self._state = State.BUS
        self.request.start(b"", None, remote=True)

    def _sent(self, _t_s: float) -> None:
        self._unsent = False

    @property
    def has_unsent(self) -> bool:
        """True if the last frame has not got through: no acknowledge, errors, a full bus."""
        return self._unsent

    @property
    def failure(self) -> str:
        """What to say of a frame that did not get through: errors, or never a gap (p.87)."""
        failed = self._node.tec or self._node.is_bus_off
        return "CAN ERROR" if failed else "BUS BUSY"

    def drop_unsent(self) -> None:
        """Give up a frame that did not get through."""
        self._unsent = False
        if self._node.pending_frames:
            self._node.withdraw()

    def reaches_bus(self, protocol: Protocol) -> bool:
        """True if a frame of `protocol` would be acknowledged by someone.

        A controller that errors have driven off the bus is started again by the next request.
        """
        if self._node.is_bus_off:
            self._node.recover()
            return False
        return (
            self.can_wired
            and protocol.bitrate_bps == self.bus.bitrate_bps
            and self.bus.is_acknowledged(self._node)
        )

    def connected(self, protocol: Protocol) -> None:
        """A search has found `protocol`: keep it, and store it if the memory is on."""
        self.protocol.active = True
        if self.settings.memory_on:
            self.memory.protocol = protocol.number
            self.memory.auto = self.protocol.auto
        self._event("protocol", protocol.name)

    def listen(self, handler: FrameHandler | None) -> None:
        """Hand accepted frames to `handler` from now on."""
        protocol = self.protocol.current
        extended = protocol is not None and protocol.extended
        self._extended = extended
        self._code, self._mask = self.settings.acceptance(extended)
        self._monitoring = False
        self._frame_handler = handler

    def monitor_frames(self, handler: FrameHandler) -> None:
        """Hand every frame of the protocol's identifier length to `handler`, until a character."""
        self.listen(handler)
        self._monitoring = True
        self._node.set_listen_only(self.settings.silent)
        self._state = State.BUS

    def _stop_listening(self) -> None:
        self._frame_handler = None
        self._monitoring = False
        if self._node.listen_only:
            self._node.set_listen_only(False)

    def wait(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call `action` in `delay_s` seconds unless the request ends or waits anew before."""
        self._bus_wait.start(delay_s, action)

    def _on_frame(self, frame: CanFrame, t_s: float) -> None:
        handler = self._frame_handler
        if handler is None or frame.is_extended is not self._extended or not self.can_wired:
            return
        if self._monitoring or frame.arbitration_id & self._mask == self._code:
            self.last_data = frame.data
            handler(frame)

    # -- characters to the host ------------------------------------------------------------------
    @property
    def line_end(self) -> str:
        """CR, or CR LF after `AT L1`."""
        return "\r\n" if self.settings.linefeeds else "\r"

    def print_lines(self, lines: list[str]) -> bool:
        """Queue lines of bus data for the next flush.

        Returns False when the adapter locked up, or the transmit buffer cannot hold them: then the
        lines are lost, BUFFER FULL is printed and the prompt returns.
        """
        if self._state is not State.BUS:
            return False
        end = self.line_end
        text = end.join(lines) + end
        direction = self.line.to_host
        waiting_s = max(0.0, direction.free_at_s - self.env.now)
        waiting_bytes = waiting_s * self.line.baud / BITS_PER_BYTE
        if waiting_bytes + len(self._out) + len(text) > self.profile.tx_buffer_bytes:
            self._event("buffer full", "")
            self.finish("BUFFER FULL")
            return False
        self._write_text(text)
        return True

    def write_line(self, text: str) -> None:
        """Send a line without a prompt."""
        self._write_text(text + self.line_end)
        self.flush()

    def finish(self, text: str | None = None) -> None:
        """End the command: print `text` if there is any, and the prompt; then read on."""
        self._stop_listening()
        self._bus_wait.stop()
        end = self.line_end
        self._write_text(f"{end}>" if text is None else f"{text}{end}{end}>")
        self.flush()
        self._state = State.READY
        if self._held:
            self._read_lines()

    def flush(self) -> None:
        """Send what was printed, in one piece."""
        if not self._out:
            return
        data = bytes(self._out)
        self._out.clear()
        self._transmit(data)

    def _write_text(self, text: str) -> None:
        self._out += text.encode("latin-1")

    def _event(self, kind: str, detail: str) -> None:
        if self._on_event is not None:
            self._on_event(self.env.now, kind, detail)

    # -- baud rate -------------------------------------------------------------------------------
    def try_baud(self, baud: int, greeting: str) -> None:
        """`AT BRD`: negotiate another rate."""
        self._state = State.HANDSHAKE
        self._handshake.start(baud, greeting)

    def set_baud(self, baud: int) -> None:
        """Let the UART run at `baud` from now on."""
        if baud != self.line.baud:
            self.line.baud = baud
            self._event("baud", str(baud))


def _st_action(elm: Elm327, args: tuple[str, ...]) -> str | None:
    return actions.st_command(elm, args[0])
