"""A device with a TCP server of its own, on a port of the loopback: each client gets a connection.

Who is served and who is sent away is the device's decision: it opens a pipe for a client, or none,
and closes pipes that it no longer wants.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable

from rig.walltime.brake import PIECE_BYTES, Brake
from rig.walltime.clock import WallClock
from rig.walltime.listener import Listener
from sim.serial_line import SerialLine

BACKLOG_LIMIT_BYTES = 65536  # for a client that does not read; what is more than this is lost
MOST_PIECES = 256  # read at once of a client that is about to be sent away

Connect = Callable[[], "SerialLine | None"]
"""Opens a connection to the device; None where it refuses."""


class PipeDoor:
    """Listens from `open()` to `close()`; hands each client to the device.

    Args:
        clock: watches the descriptors.
        port: to listen on; 0 takes any that is free, and is then replaced by it.
        connect: the device; without one (yet) clients are sent away.
        option: what the port is called in messages.
    """

    def __init__(
        self,
        clock: WallClock,
        port: int = 0,
        connect: Connect | None = None,
        *,
        option: str = "TCP port",
    ) -> None:
        self.connect = connect
        self._clock = clock
        self._listener = Listener(clock, port, self._take, option=option)
        self._clients: dict[_Client, None] = {}

    def open(self) -> None:
        """Listen.

        Raises:
            PortBusyError: it cannot be listened on.
        """
        self._listener.open()

    @property
    def port(self) -> int:
        """Where it is reached."""
        return self._listener.port

    def close(self) -> None:
        """Send all clients away and listen no more."""
        for client in list(self._clients):
            client.close()
        self._listener.close()

    def refused(self, client_port: int) -> None:
        """Hook: the device does not want this client."""

    def forget(self, client: _Client) -> None:
        """A client has gone."""
        self._clients.pop(client, None)

    def _take(self, peer: socket.socket, port: int) -> None:
        for client in list(self._clients):
            client.hear_out()  # the device may send it away for the new one
        pipe = None if self.connect is None else self.connect()
        if pipe is None:
            peer.close()
            self.refused(port)
            return
        self._clients[_Client(self, self._clock, peer, pipe)] = None


class _Client:
    """One connection: bytes in, bytes out.

    What a client has said is heard to its end, even when nothing can be written to it any more.
    """

    def __init__(
        self, door: PipeDoor, clock: WallClock, peer: socket.socket, pipe: SerialLine
    ) -> None:
        self._door = door
        self._clock = clock
        self._peer = peer
        self._pipe = pipe
        self._brake = Brake(clock, pipe)
        self._backlog = bytearray()
        self._room = -1
        self._deaf = self._closed = False
        self._heard = 0
        pipe.attach_host(self._deliver)
        pipe.on_hang_up.append(self.close)
        pipe.on_stall.append(self._stall)
        pipe.on_resume.append(self._resume)
        if not pipe.stalled:
            self._resume()

    def close(self) -> None:
        """End it, from either side; twice does no harm."""
        if not self._closed:
            self._closed = True
            self._forget_room()
            self._stall()
            self._peer.close()
            self._door.forget(self)
            self._pipe.hang_up()

    def hear_out(self) -> None:
        """Read what has come already, unless the device takes nothing now."""
        for _ in range(MOST_PIECES):
            before = self._heard
            if not self._closed and not self._pipe.stalled:
                self._read()
            if self._heard == before:
                return

    def _stall(self) -> None:
        self._brake.forget(self._peer.fileno())
        self._clock.unwatch_port(self._peer.fileno())

    def _resume(self) -> None:
        if not self._closed:
            self._clock.watch_port(self._peer.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = self._peer.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard += len(data)
            self._pipe.feed(data)
            if self._pipe.paced:
                self._brake.look(self._peer.fileno(), self._read)
        else:
            self.close()

    def _deliver(self, data: bytes) -> None:
        if self._deaf or self._closed or len(self._backlog) > BACKLOG_LIMIT_BYTES:
            return
        if self._backlog:
            self._backlog += data
            self._write()
            return
        sent = self._send(data)
        if sent < len(data):
            self._backlog += data[sent:]
            self._keep_on()

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._peer.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._deaf = True
            self._backlog.clear()
            return len(data)  # nobody misses it

    def _write(self) -> None:
        sent = self._send(self._backlog)
        del self._backlog[:sent]
        self._keep_on()

    def _keep_on(self) -> None:
        """Write the rest as soon as there is room; the device may want to know of it."""
        self._pipe.unread(len(self._backlog))
        if self._backlog and self._room < 0 and not self._closed:
            # A number of its own: the clock watches the other one for what the client says.
            self._room = os.dup(self._peer.fileno())
            self._clock.watch_port(self._room, self._write, select.POLLOUT)
        elif not self._backlog:
            self._forget_room()

    def _forget_room(self) -> None:
        if self._room >= 0:
            self._clock.unwatch_port(self._room)
            os.close(self._room)
            self._room = -1
