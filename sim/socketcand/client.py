"""One client of the daemon: its commands in, its frames out, one mode at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sim.can.interface import CanInterface, CanSocket
from sim.socketcand.modes import MODES, Mode, SendingMode
from sim.socketcand.pipe import ClientPipe
from sim.socketcand.queue import OutgoingQueue
from sim.socketcand.text import read_one_send

if TYPE_CHECKING:
    from sim.socketcand.server import SocketcandServer

Argument = TypeVar("Argument")

HI = "< hi >"
OK = "< ok >"
ECHO = "< echo >"
UNKNOWN = "< error unknown command >"
NO_SUCH_BUS = "< error could not open bus >"
LONGEST_COMMAND = 8290  # MAXLEN of socketcand.h: a message of 4095 bytes in hexadecimal, and more
LONGEST_SEND = 64
MOST_INPUT_BYTES = 1 << 20  # for a host end that goes on feeding while it is asked to wait
# python-can wants each "< ok >" alone in its buffer. Frames wait so long behind the last one, or
# until the client speaks; the real daemon sends at once, and on a full bus that client then fails.
SETTLE_S = 0.05


class Client:
    """Serves one connection until either side closes it. Whatever comes, it ends nothing else.

    Attributes:
        number: counted from 1.
        mode: what the client chose; None before it opened a bus.
        malformed, unknown: commands that could not be read, that there are not.
    """

    def __init__(self, server: SocketcandServer, number: int) -> None:
        self.server = server
        self.env = server.env
        self.number = number
        self.pipe = ClientPipe(server.env, f"socketcand-{number}")
        self.queue = OutgoingQueue(server.env, self.pipe)
        self.interface: CanInterface | None = None
        self.mode: Mode | None = None
        self.malformed = self.unknown = 0
        self._sending: SendingMode | None = None
        self._input = bytearray()
        self._greeted = False
        self._reading = False
        self._settling = False
        self._stalled = False
        self._closed = False
        self.pipe.attach_device(self._receive)
        self.pipe.on_hang_up.append(self._left)
        self.pipe.on_read.append(self._client_read)
        self._after(0.0, self._greet)

    # -- what modes use --------------------------------------------------------------------------
    def say(self, text: str) -> None:
        """Answer a command."""
        self.queue.say(text)

    def tell(self, kind: str, **detail: Any) -> None:
        """Let whoever listens know."""
        self.server.tell(self, kind, detail)

    def open_socket(self, **options: Any) -> CanSocket:
        """Open a socket on the client's bus, and read on when it has room again."""
        assert self.interface is not None
        socket = self.interface.open(**options)
        socket.on_room = self.read_on
        return socket

    def stamp(self, time_s: float) -> str:
        """An instant of the world, as text."""
        return self.server.stamp(time_s)

    def read_on(self) -> None:
        """What stood in the way of the next command is gone."""
        if self._input and not self._reading:
            self._read()

    def close(self) -> None:
        """End the connection, from the daemon's side."""
        if not self._closed:
            self.queue.release()
            self.pipe.hang_up()

    # -- the connection --------------------------------------------------------------------------
    def _greet(self) -> None:
        if not self._closed and not self._greeted:
            self._greeted = True
            self.say(HI)

    def _left(self) -> None:
        """The pipe is gone, by whomever."""
        if not self._closed:
            self._closed = True
            if self.mode is not None:
                self.mode.close()
            self.server.forget(self)

    def _client_read(self) -> None:
        self.queue.flush()
        self.server.caught_up(self)
        self.read_on()

    def _receive(self, data: bytes) -> None:
        mode = self._sending
        if mode is not None and not self._input and len(data) <= LONGEST_SEND:
            frame = read_one_send(data)
            if frame is not None and not self._settling and not self._must_wait():
                mode.send_frame(frame)  # what clients do most, without any detour
                return
        room = MOST_INPUT_BYTES - len(self._input)
        self._input += data if len(data) <= room else data[:room]
        self._greet()
        if not self._reading:
            self._read()

    def _read(self) -> None:
        """Do the commands that are there, as long as none has to wait."""
        self._reading = True
        try:
            while not self._closed and self._input:
                if self._must_wait():
                    self._stalled = True
                    self.pipe.stall()
                    return
                command = self._next_command()
                if command is None:
                    break
                self._do(command)
        finally:
            self._reading = False
        if self._stalled and not self._closed:
            self._stalled = False
            self.pipe.resume()

    def _must_wait(self) -> bool:
        return self.queue.is_full or (self.mode is not None and self.mode.is_busy)

    def _next_command(self) -> str | None:
        """Take `< … >` off the input; None if there is none, or not all of it."""
        data = self._input
        start = data.find(b"<")
        if start < 0:
            if data.strip():
                self.server.counters["garbage"] += 1
                self.tell("garbage", bytes=len(data))
                self.close()  # as the daemon does, which takes it for the end of the stream
            data.clear()
            return None
        end = data.find(b">", start)
        if end < 0:
            if len(data) - start > LONGEST_COMMAND:
                self.server.counters["garbage"] += 1
                self.tell("garbage", bytes=len(data))
                self.close()
            return None
        command = data[start : end + 1].decode("ascii", "replace")
        del data[: end + 1]
        return command

    # -- commands --------------------------------------------------------------------------------
    def _do(self, command: str) -> None:
        if self._settling:
            self._settle()
        if self._sending is not None and command.startswith("< send "):
            self._try(self._sending.send, command)
            return
        words = command[1:-1].split()
        if self.mode is None:
            self._open(command, words)
            return
        make = MODES.get(command)
        if make is not None and not isinstance(self.mode, make):
            self._enter(make)
        elif command == ECHO:
            self.say(ECHO)
        else:
            self._command(command, words)

    def _command(self, command: str, words: list[str]) -> None:
        """Let the mode do it; the daemon wants one space behind the bracket."""
        assert self.mode is not None
        action: Callable[[list[str]], None] | None = None
        if words and command.startswith(f"< {words[0]}"):
            action = self.mode.commands.get(words[0])
        if action is None:
            self.unknown += 1
            self.server.counters["unknown"] += 1
            if self.mode.answers_unknown:
                self.say(UNKNOWN)
            return
        self._try(action, words[1:])

    def _try(self, action: Callable[[Argument], None], argument: Argument) -> None:
        try:
            action(argument)
        except (ValueError, IndexError):  # the daemon logs it, and says nothing
            self.malformed += 1
            self.server.counters["malformed"] += 1

    def _open(self, command: str, words: list[str]) -> None:
        if command.startswith("< open ") and command.endswith(" >") and len(words) == 2:
            interface = self.server.interfaces.get(words[1])
            if interface is not None:
                self.interface = interface
                self._set_mode(MODES["< bcmmode >"])
                self.say(OK)
                self.tell("opened", bus=interface.name)
                return
        elif len(words) > 2 and words[0] in self.server.interfaces and words[1] in ("B", "C"):
            # The interface is up, so the kernel refuses new bit timings and control modes.
            self._refuse(f"< error configuring interface {words[0]} >", command)
            return
        self._refuse(NO_SUCH_BUS, command)

    def _refuse(self, answer: str, command: str) -> None:
        self.server.counters["refused_clients"] += 1
        self.say(answer)
        self.tell("refused", command=command[:60])
        self.close()

    def _enter(self, make: Callable[[Client], Mode]) -> None:
        assert self.mode is not None
        self.mode.close()
        self.say(OK)
        self.queue.hold()
        self._settling = True
        self._set_mode(make)
        mode = self.mode

        def over() -> None:
            if self.mode is mode and self._settling:
                self._settle()

        self._after(SETTLE_S, over)

    def _set_mode(self, make: Callable[[Client], Mode]) -> None:
        self.mode = make(self)
        self._sending = self.mode if isinstance(self.mode, SendingMode) else None

    def _settle(self) -> None:
        self._settling = False
        self.queue.release()

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        self.env.timeout(delay_s).callbacks.append(lambda _event: action())
