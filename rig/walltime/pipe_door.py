"""A device with a TCP server of its own, on a port of the loopback: each client gets a connection.

Who is served and who is sent away is the device's decision: it opens a pipe for a client, or none,
and closes pipes that it no longer wants.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from rig.walltime.brake import PIECE_BYTES, Brake
from rig.walltime.clock import WallClock
from rig.walltime.listener import Listener
from sim.serial_line import SerialLine

BACKLOG_LIMIT_BYTES = 65536  # for a client that does not read; what is more than this is lost
BACKLOG_PERIOD_S = 0.01
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
        self._retrying = self._deaf = self._closed = False
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
            self._brake.look(self._peer.fileno(), self._read)
        else:
            self.close()

    def _deliver(self, data: bytes) -> None:
        if self._deaf or self._closed or len(self._backlog) > BACKLOG_LIMIT_BYTES:
            return
        self._backlog += data
        self._write()

    def _write(self) -> None:
        try:
            sent = self._peer.send(self._backlog)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._deaf = True
            self._backlog.clear()
            return
        del self._backlog[:sent]
        if self._backlog and not self._retrying:
            self._retrying = True
            callbacks = self._clock.env.timeout(BACKLOG_PERIOD_S).callbacks
            assert callbacks is not None
            callbacks.append(lambda _event: self._retry())

    def _retry(self) -> None:
        self._retrying = False
        if self._backlog and not self._closed:
            self._write()
