"""A port of the loopback that is listened on while the world's clock runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from rig.errors import RigError
from rig.walltime.clock import WallClock

LOOPBACK = "127.0.0.1"


class PortBusyError(RigError):
    """The TCP port cannot be listened on."""


class Listener:
    """Hands each client that comes to a door.

    Args:
        clock: watches the descriptor.
        port: to listen on; 0 takes any that is free, and is then replaced by it.
        on_client: gets each client's socket, which does not block, and its port.
        option: what the port is called in messages.
    """

    def __init__(
        self,
        clock: WallClock,
        port: int,
        on_client: Callable[[socket.socket, int], None],
        *,
        option: str,
    ) -> None:
        self.port = port
        self._clock = clock
        self._on_client = on_client
        self._option = option
        self._server: socket.socket | None = None

    def open(self) -> None:
        """Listen.

        Raises:
            PortBusyError: it cannot be listened on.
        """
        try:
            self._server = socket.create_server((LOOPBACK, self.port))
        except OSError as error:
            raise PortBusyError(
                f"{self._option} {self.port}: expected a port to listen on, found: "
                f"{os.strerror(error.errno or 0)}; try another, or 0 for any"
            ) from error
        self._server.setblocking(False)
        self.port = self._server.getsockname()[1]
        self._clock.watch_port(self._server.fileno(), self._accept)

    def close(self) -> None:
        """Listen no more; twice does no harm."""
        if self._server is not None:
            self._clock.unwatch_port(self._server.fileno())
            self._server.close()
            self._server = None

    def _accept(self) -> None:
        assert self._server is not None
        try:
            client, address = self._server.accept()
        except OSError:  # it has gone already, or there are no descriptors left
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_client(client, address[1])
