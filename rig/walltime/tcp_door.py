"""The host end of a serial line on a TCP port of the loopback, as Wi-Fi adapters have it."""

from __future__ import annotations

import socket

from rig.device.speaker import Speaker
from rig.walltime.brake import PIECE_BYTES, Brake
from rig.walltime.clock import WallClock
from rig.walltime.listener import Listener
from sim.serial_line import SerialLine


class TcpDoor:
    """Lets one client at a time in; `open()` it, and `close()` it.

    What the device says while nobody is connected is lost, as on an open cable. What a client does
    not read is lost once the kernel's buffers are full.
    """

    def __init__(self, clock: WallClock, line: SerialLine, port: int, speaker: Speaker) -> None:
        self._clock = clock
        self._line = line
        self._speaker = speaker
        self._brake = Brake(clock, line)
        self._client: socket.socket | None = None
        self._lost_bytes = 0
        self._listener = Listener(clock, port, self._take, option="--tcp")

    def open(self) -> None:
        """Listen; `port` is then the true one where it was 0.

        Raises:
            PortBusyError: it cannot be listened on.
        """
        self._listener.open()

    @property
    def port(self) -> int:
        """Where it is reached."""
        return self._listener.port

    def close(self) -> None:
        """Send the client away and listen no more."""
        self.drop()
        self._listener.close()

    def deliver(self, data: bytes) -> None:
        """Bytes from the device."""
        if self._client is None:
            return
        try:
            sent = self._client.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop()
            return
        if sent < len(data):
            if not self._lost_bytes:
                self._speaker.event("overflow", reason="the client does not read")
            self._lost_bytes += len(data) - sent
        elif self._lost_bytes:
            self._speaker.event("caught up", lost_bytes=self._lost_bytes)
            self._lost_bytes = 0

    def drop(self) -> None:
        """Send the client away, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            self._brake.forget(client.fileno())
            self._clock.unwatch_port(client.fileno())
            client.close()
            self._speaker.event("disconnected", lost_bytes=self._lost_bytes)
            self._lost_bytes = 0

    def _take(self, client: socket.socket, port: int) -> None:
        if self._client is not None:
            client.close()
            self._speaker.event("refused", client=port, reason="another client is connected")
            return
        self._client = client
        self._clock.watch_port(client.fileno(), self._read)
        self._speaker.event("connected", client=port)

    def _read(self) -> None:
        client = self._client
        assert client is not None
        try:
            data = client.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._line.feed(data)
            self._brake.look(client.fileno(), self._read)
        else:
            self.drop()
