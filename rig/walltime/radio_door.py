"""The API of a modelled radio on a TCP port of the loopback, as radios with Wi-Fi have it."""

from __future__ import annotations

import os
import socket

from rig.device.speaker import Speaker
from rig.walltime.brake import PIECE_BYTES
from rig.walltime.clock import WallClock
from rig.walltime.tcp_door import LOOPBACK, PortBusyError
from sim.meshtastic.radio import Radio
from sim.meshtastic.tcp_side import TcpConnection

BACKLOG_LIMIT_BYTES = 65536  # for a client that does not read; what is more than this is lost
BACKLOG_PERIOD_S = 0.01


class RadioDoor:
    """Lets one client at a time in, the newest; `open()` it, and `close()` it."""

    def __init__(self, clock: WallClock, radio: Radio, port: int, speaker: Speaker) -> None:
        self._clock = clock
        self._radio = radio
        self._speaker = speaker
        self._server: socket.socket | None = None
        self._clients: set[_Client] = set()
        self.port = port

    def open(self) -> None:
        """Listen; `port` is then the true one where it was 0.

        Raises:
            PortBusyError: it cannot be listened on.
        """
        try:
            self._server = socket.create_server((LOOPBACK, self.port))
        except OSError as error:
            raise PortBusyError(
                f"--tcp {self.port}: expected a port to listen on, found: "
                f"{os.strerror(error.errno or 0)}; try another, or 0 for any"
            ) from error
        self._server.setblocking(False)
        self.port = self._server.getsockname()[1]
        self._clock.watch_port(self._server.fileno(), self._accept)

    def close(self) -> None:
        """Send all clients away and listen no more."""
        for client in list(self._clients):
            client.close()
        if self._server is not None:
            self._clock.unwatch_port(self._server.fileno())
            self._server.close()
            self._server = None

    def _accept(self) -> None:
        assert self._server is not None
        try:
            peer, address = self._server.accept()
        except OSError:  # it has gone already, or there are no descriptors left
            return
        connection = self._radio.tcp.connect()
        if connection is None:
            peer.close()
            self._speaker.event("refused", client=address[1], reason="the radio does not listen")
            return
        self._clients.add(_Client(self._clock, peer, connection, self._clients))


class _Client:
    """One connection: bytes in, bytes out.

    What a client has said is heard to its end, even when nothing can be written to it any more.
    """

    def __init__(
        self,
        clock: WallClock,
        peer: socket.socket,
        connection: TcpConnection,
        clients: set[_Client],
    ) -> None:
        self._clock = clock
        self._peer = peer
        self._connection = connection
        self._clients = clients
        self._backlog = bytearray()
        self._retrying = self._deaf = self._closed = False
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clock.watch_port(peer.fileno(), self._read)
        connection.attach_host(self._deliver, self.close)

    def close(self) -> None:
        """End it, from either side."""
        if not self._closed:
            self._closed = True
            self._clock.unwatch_port(self._peer.fileno())
            self._peer.close()
            self._clients.discard(self)
            self._connection.hang_up()

    def _read(self) -> None:
        try:
            data = self._peer.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._connection.feed(data)
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
