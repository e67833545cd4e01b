"""A board in provisioning behind a real HTTP server on loopback."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.firmware.provisioning.board import Rig

MS_PER_REQUEST = 300


@dataclass
class Exchange:
    """One request and its answer."""

    endpoint: str
    request: bytes
    status: int
    answer: bytes


@dataclass
class DeviceServer:
    """The board's server.

    Attributes:
        rig: the board.
        port: of the server.
        exchanges: all that was said.
        mangle: changes an answer on its way; None as answer: the connection is closed instead.
    """

    rig: Rig = field(default_factory=Rig)
    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    mangle: Callable[[Exchange], bytes | None] = lambda exchange: exchange.answer
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def handle(self, connection: int, cookie: bytes, path: str, body: bytes) -> Any:
        """Let the board answer; its time goes on a little with each request."""
        with self.lock:
            board = self.rig.board
            board.requests.append((connection, cookie, path, body))
            self.rig.poll(MS_PER_REQUEST)
            return board.replies.pop(connection)


@contextmanager
def serving(rig: Rig | None = None) -> Iterator[DeviceServer]:
    """Run the server of a board."""
    device = DeviceServer(rig or Rig())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            cookie = self.headers.get("Cookie", "").encode()
            reply = device.handle(next(device.numbers), cookie, self.path, body)
            exchange = Exchange(self.path[1:], body, reply.status, reply.body)
            device.exchanges.append(exchange)
            answer = device.mangle(exchange)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    device.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield device
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
