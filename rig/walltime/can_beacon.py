"""The discovery beacon of socketcand: tells clients on this machine which buses there are.

Source: linux-can/socketcand, doc/protocol.md ("Service discovery") and src/beacon.c. It goes to the
loopback's broadcast address alone: no other machine hears it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from rig.walltime.clock import WallClock
from rig.walltime.listener import LOOPBACK

LOOPBACK_BROADCAST = "127.255.255.255"
DISCOVERY_PORT = 42000
PERIOD_S = 2.0  # "no longer than three seconds"


class CanBeacon:
    """Says where a daemon is until it is closed.

    Args:
        clock: of the world.
        port: of the daemon, on the loopback.
        buses: names of what it serves.
        to_port: where clients listen.
    """

    def __init__(
        self, clock: WallClock, port: int, buses: Sequence[str], *, to_port: int = DISCOVERY_PORT
    ) -> None:
        names = "".join(f"<Bus name={quoteattr(bus)}/>" for bus in buses)
        self._text = (
            f'<CANBeacon name="telerig" type="SocketCAN" description="a modelled car">'
            f"<URL>can://{LOOPBACK}:{port}</URL>{names}</CANBeacon>"
        ).encode()
        self._clock = clock
        self._to = LOOPBACK_BROADCAST, to_port
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setblocking(False)
        self._say()

    def close(self) -> None:
        """Fall silent; twice does no harm."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, _event: object = None) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(OSError):  # nobody has to hear it
            self._socket.sendto(self._text, self._to)
        self._clock.env.timeout(PERIOD_S).callbacks.append(self._say)
