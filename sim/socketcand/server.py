"""The daemon: hands buses to any number of clients.

Source: linux-can/socketcand, doc/protocol.md; where the text leaves something open, its C sources.
Differs from the daemon: half a command waits for its rest (the daemon ends the connection); an
unknown command before `open` is not answered with an error and then `< ok >` (a slip there);
`< rtr … >` and `< sendrtr … >` are served as the text has them; error frames are told in raw mode,
as the text has it (the daemon never asks the kernel for them); a client that sends faster than the
bus carries is made to wait (as with a long enough txqueuelen).
Not covered: CAN FD, extended ISO-TP addresses, new bit timings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import simpy

from sim.can.frame import CanFrame
from sim.can.interface import CanInterface
from sim.socketcand.client import Client
from sim.socketcand.pipe import ClientPipe
from sim.socketcand.text import raw_text, stamp_text

TCP_PORT = 29536
MOST_CLIENTS = 64
EventListener = Callable[[int, str, Mapping[str, Any]], None]


class SocketcandServer:
    """Where clients connect: `connect()` gives each a pipe, as `rig.walltime.pipe_door` wants it.

    A client that does not read loses frames when its buffers are full, counted; it disturbs no
    other one.

    Args:
        env: the world's clock.
        interfaces: the buses that a client may open; names of at most 16 characters.
        epoch_ns: UTC nanoseconds at env time 0, for the frames' times.
        on_event: called as on_event(client number, what, details): connected, opened, left,
            refused, overflow (of its buffer), caught up, garbage, isotp.

    Attributes:
        counters: sent_frames (to clients), dropped_frames (clients did not read), received_frames
            (of clients), refused_frames (the controller did not take them), malformed, unknown,
            garbage, clients, refused_clients.
    """

    def __init__(
        self,
        env: simpy.Environment,
        interfaces: Iterable[CanInterface],
        *,
        epoch_ns: int = 0,
        on_event: EventListener | None = None,
    ) -> None:
        self.env = env
        self.interfaces: dict[str, CanInterface] = {}
        self.counters: Counter[str] = Counter()
        self.on_event = on_event
        self._epoch_us = epoch_ns // 1000
        self._clients: dict[Client, None] = {}
        self._overflowing: dict[Client, int] = {}
        self._refusing: set[Client] = set()
        self._stamp_s = -1.0
        self._stamp = ""
        self._last_frame: CanFrame | None = None
        self._last_s = -1.0
        self._last_text = ""
        self._down = False
        for interface in interfaces:
            if not 0 < len(interface.name) <= 16 or interface.name.split() != [interface.name]:
                raise ValueError(
                    f"name of a CAN interface: expected 1-16 characters, found {interface.name!r}"
                )
            self.interfaces[interface.name] = interface

    @property
    def clients(self) -> tuple[Client, ...]:
        """Who is connected."""
        return tuple(self._clients)

    def connect(self) -> ClientPipe | None:
        """Open a connection; None while the daemon is down, or has too many."""
        if self._down or len(self._clients) >= MOST_CLIENTS:
            self.counters["refused_clients"] += 1
            return None
        self.counters["clients"] += 1
        client = Client(self, self.counters["clients"])
        self._clients[client] = None
        self.tell(client, "connected", {})
        return client.pipe

    def go_down(self) -> None:
        """The daemon ends, or its host vanishes: every connection breaks, none is accepted."""
        self._down = True
        for client in self.clients:
            client.pipe.hang_up()

    def come_up(self) -> None:
        """It is there again."""
        self._down = False

    # -- used by clients -------------------------------------------------------------------------
    def stamp(self, time_s: float) -> str:
        """An instant of the world since 1970, as text; made once for all frames of it."""
        if time_s != self._stamp_s:
            self._stamp_s = time_s
            # Halves are decided by the whole nanosecond, which a record keeps, too.
            self._stamp = stamp_text(self._epoch_us + (round(time_s * 1e9) + 500) // 1000)
        return self._stamp

    def raw_text(self, frame: CanFrame, time_s: float) -> str:
        """A frame in raw mode's words, made once for all clients."""
        if frame is not self._last_frame or time_s != self._last_s:
            self._last_frame, self._last_s = frame, time_s
            self._last_text = raw_text(frame, self.stamp(time_s))
        return self._last_text

    def tell(self, client: Client, kind: str, detail: Mapping[str, Any]) -> None:
        """Let whoever listens know."""
        if self.on_event is not None:
            self.on_event(client.number, kind, detail)

    def dropped(self, client: Client) -> None:
        """A client did not read, and a frame for it was dropped."""
        self.counters["dropped_frames"] += 1
        if client not in self._overflowing:
            self._overflowing[client] = client.queue.dropped_frames
            self.tell(client, "overflow", {"reason": "the client does not read"})

    def caught_up(self, client: Client) -> None:
        """A client reads again."""
        before = self._overflowing.pop(client, None)
        if before is not None:
            lost = client.queue.dropped_frames - before + 1
            self.tell(client, "caught up", {"dropped_frames": lost})

    def refused(self, client: Client) -> None:
        """The controller did not take what a client wanted to send."""
        self.counters["refused_frames"] += 1
        if client not in self._refusing:
            self._refusing.add(client)
            self.tell(client, "not sent", {"reason": "the controller is off the bus, or full"})

    def sent(self, client: Client) -> None:
        """The controller takes a client's frames."""
        self.counters["received_frames"] += 1
        self._refusing.discard(client)

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self._clients.pop(client, None)
        self._overflowing.pop(client, None)
        self._refusing.discard(client)
        self.counters["sent_frames"] += client.queue.sent_frames
        detail = {
            "sent_frames": client.queue.sent_frames,
            "dropped_frames": client.queue.dropped_frames,
        }
        self.tell(client, "left", detail)
