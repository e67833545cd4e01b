"""A TCP door to a PostgreSQL server that listens on a Unix socket alone."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

READ_BYTES = 65536
PIECE_BYTES = 700  # at most, where replies arrive in pieces
PIECES = 40  # a reply's first pieces are small, the rest comes as it comes
PORT_OF_SOCKET = 5432


class TcpForwarder:
    """Forwards connections to 127.0.0.1 to the server of `url`; use it as a context manager.

    Args:
        url: of a server that is reached by a socket's folder, as the embedded one is.
        pieces: replies arrive in pieces of random sizes, as over a slow network.
    """

    def __init__(self, url: str, *, pieces: bool = False) -> None:
        self._parts = urlsplit(url)
        (folder,) = parse_qs(self._parts.query)["host"]
        self._server = f"{folder}/.s.PGSQL.{PORT_OF_SOCKET}"
        self._pieces = pieces
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()

    def url(self, name: str, user: str = "postgres") -> str:
        """The URL of a database of the server, over TCP."""
        host, port = self._listener.getsockname()
        return f"postgresql://{user}@{host}:{port}/{name}"

    def cut(self) -> None:
        """Cut every connection that is open."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            self._start(_forward, client, server, False)
            self._start(_forward, server, client, self._pieces)


def _forward(source: socket.socket, target: socket.socket, pieces: bool) -> None:
    draw = random.SystemRandom()
    with contextlib.suppress(OSError):
        while data := source.recv(READ_BYTES):
            for _ in range(PIECES if pieces else 0):
                size = draw.randint(1, PIECE_BYTES)
                target.sendall(data[:size])
                data = data[size:]
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
