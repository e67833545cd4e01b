"""The radio's API over TCP: one client at a time, the newest one.

Source: firmware, src/mesh/api/ServerAPI.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.meshtastic.phone import PhoneApi
from sim.serial_line import Receiver, SerialLine

if TYPE_CHECKING:
    from sim.meshtastic.radio import Radio

TCP_PORT = 4403
WINDOW_BYTES = 65536


class TcpConnection(SerialLine):
    """One connection: a byte pipe as a serial line is, without pace.

    The host's end: `attach_host(receive, closed)`, `feed(data)`, and `hang_up()` when the client is
    gone. What was fed before `hang_up` still arrives: a client that says one thing and leaves is
    heard. While the radio hangs, what the client sends is kept as TCP's window keeps it.
    """

    def __init__(self, radio: Radio) -> None:
        super().__init__(radio.env, "tcp", paced=False, frame_s=0.0)
        self._closing = False
        self._held = bytearray()

    def attach_host(self, receive: Receiver, closed: Callable[[], None] | None = None) -> None:
        """`receive(data)` takes what the radio sends; `closed()` tells that it hung up."""
        super().attach_host(receive)
        if closed is not None:
            self.on_hang_up.append(closed)

    def feed(self, data: bytes) -> None:
        """Bytes that the client sent; what a hung radio's window does not hold is lost."""
        if self.stalled:
            self._held += data[: WINDOW_BYTES - len(self._held)]
        else:
            super().feed(data)

    def resume(self) -> None:
        """The radio takes bytes again, and what was kept first."""
        super().resume()
        held = bytes(self._held)
        self._held.clear()
        self.feed(held)

    def hang_up(self) -> None:
        """The client is gone."""
        if not self._closing:
            self._closing = True
            callbacks = self.env.timeout(0.0).callbacks  # behind what is on its way
            assert callbacks is not None
            callbacks.append(lambda _event: self.drop())

    def drop(self) -> None:
        """The radio closes the connection: what is on its way is lost."""
        self._closing = True
        super().hang_up()


class TcpSide:
    """Where clients connect; port 4403 of the radio."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._connection: TcpConnection | None = None
        self.api: PhoneApi | None = None

    def connect(self) -> TcpConnection | None:
        """Open a connection; None if nobody listens (the radio is off, boots, or is frozen).

        A connection that is open is closed: the firmware serves the newest client alone.
        """
        radio = self._radio
        if not radio.running or radio.frozen:
            return None
        if self._connection is not None:
            self._connection.hang_up()  # what it said just before is done all the same
        connection = TcpConnection(radio)
        api = PhoneApi(radio, connection, serial=False)
        self._connection, self.api = connection, api
        connection.on_hang_up.append(lambda: self._closed(api))
        return connection

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.drop()

    def stall(self) -> None:
        """Take no more bytes from the client."""
        if self._connection is not None:
            self._connection.stall()

    def resume(self) -> None:
        """Take bytes again."""
        if self._connection is not None:
            self._connection.resume()

    def _closed(self, api: PhoneApi) -> None:
        api.close()
        if self.api is api:
            self._connection = self.api = None
