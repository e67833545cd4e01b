"""python-can's client of socketcand, with what fails in production put right.

    server: < hi >                  client: < open can0 >
            < ok >                          < rawmode >
            < ok >
            < frame 123 1700000000.123456 1122334455 >      < send 123 3 11 22 33 >
            < error 004 1700000000.123456 >

Messages become frames and frames become messages in python-can, which also sends and shuts down.
What is put right (python-can 4.6.1, read in its source and measured) stands with each method.
"""

from __future__ import annotations

import re
import select
import socket
from collections import Counter, deque

import can
from can.interfaces.socketcand import socketcand

from server.can.frame import EXTENDED, Wanted
from server.can.options import PortOptions
from server.clock import Clock
from server.errors import LinkLost

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 1.0
"""Longest wait for one answer of the handshake."""
SEND_TIMEOUT_S = 1.0
READ_BYTES = 65_536
LONGEST_MESSAGE = 4096
"""A message without an end that is longer is no message: a frame has 60 characters."""

# A server whose machine or network is gone sends no end: found after 5 + 3 * 2 s.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))

_MESSAGE = re.compile(
    r"< (frame|error) ([0-9A-Fa-f]{1,8} \d{1,12}\.\d{1,9})(?= )((?: ?[0-9A-Fa-f]{2})*) *>"
)


class SocketcandBus(socketcand.SocketCanDaemonBus):
    """A connection to a socketcand server, in raw mode; made open.

    Raises:
        LinkLost: no server, or none that opens the channel.
    """

    def __init__(self, options: PortOptions, clock: Clock, counters: Counter[str]) -> None:
        # The constructor is not python-can's: that one tries a refused connection again without a
        # pause for 10 s at full load, and waits two minutes for a machine that is not there. These
        # two attributes are what its `send` and `shutdown` need.
        self._SocketCanDaemonBus__socket = self._link = _connected(options)
        self._SocketCanDaemonBus__tcp_tune = False
        self._options = options
        self._clock = clock
        self._counters = counters
        self._text = ""
        self._messages: deque[can.Message] = deque()
        self.wanted = Wanted()
        self.channel = options.channel
        self.channel_info = options.name
        try:
            self._expect("< hi >", "a greeting")
            for request in (f"< open {options.channel} >", "< rawmode >"):
                self._tcp_send(request)
                self._expect("< ok >", f"< ok > to {request}")
        except BaseException:
            self._link.close()
            raise
        self._take_text()  # frames that came together with the last answer
        can.BusABC.__init__(self, options.channel)

    def _expect(self, wanted: str, expected: str) -> None:
        """Wait for an answer: python-can waits for ever, and wants it in one piece."""
        deadline_s = self._clock.monotonic_s() + ANSWER_TIMEOUT_S
        while ">" not in self._text and len(self._text) <= LONGEST_MESSAGE:
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0 or not select.select([self._link], [], [], left_s)[0]:
                break
            self._read()
        end = self._text.find(">") + 1
        found = self._text[:end].strip() if end else repr(self._text[:40])
        if found != wanted:
            found = found if self._text else "silence"
            raise LinkLost(f"expected {expected} from {self._options.name}, found {found}")
        self._text = self._text[end:]

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        """Give a message; at the end of the connection python-can gives None at once, for ever.

        It would also take the first byte for all data where a server puts spaces between bytes, and
        stumble over one bad message again and again.
        """
        if not self._messages and select.select([self._link], [], [], timeout)[0]:
            self._read()
            self._take_text()
        return (self._messages.popleft() if self._messages else None), False

    def _read(self) -> None:
        data = self._link.recv(READ_BYTES)
        if not data:
            raise LinkLost(f"the server of {self._options.name} closed the connection")
        self._text += data.decode("ascii", "replace")

    def _take_text(self) -> None:
        end = self._text.rfind(">") + 1
        whole, self._text = self._text[:end], self._text[end:]
        found = _MESSAGE.findall(whole)
        malformed = whole.count(">") - len(found)
        if len(self._text) > LONGEST_MESSAGE:
            self._text = ""
            malformed += 1
        self._counters["frames_malformed"] += malformed
        convert = socketcand.convert_ascii_message_to_can_message
        for left, (kind, head, data) in enumerate(found, 1 - len(found)):
            # The last one passes: who waits in recv() shall return, and its stamp says how late
            # what came is.
            if left and kind == "frame" and _can_id(head) not in self.wanted:
                self._counters["frames_unwanted"] += 1
                continue
            self._messages.append(convert(f"< {kind} {head} {data.replace(' ', '')} >"))

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a data frame; python-can makes one of a remote one, too."""
        if msg.is_remote_frame or len(msg.data) > 8:
            raise ValueError(f"socketcand sends data frames of 8 bytes at most, found {msg}")
        super().send(msg, timeout)  # type: ignore[no-untyped-call]


def _can_id(head: str) -> int:
    identifier = head.partition(" ")[0]
    return int(identifier, 16) | (EXTENDED if len(identifier) != 3 else 0)


def _connected(options: PortOptions) -> socket.socket:
    place = (options.host, options.port)
    try:
        link = socket.create_connection(place, CONNECT_TIMEOUT_S)
    except OSError as error:
        raise LinkLost(
            f"expected a socketcand server at {options.host}:{options.port}, found: "
            f"{(error.strerror or str(error) or type(error).__name__).lower()} (does it run?)"
        ) from error
    link.settimeout(SEND_TIMEOUT_S)  # of sends; reads come after a select
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        if hasattr(socket, option):  # named otherwise elsewhere
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return link
