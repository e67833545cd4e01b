"""Fixtures: a real nats-server on a free port of loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

START_WAIT_S = 20.0


class NatsServer:
    """A nats-server that can be killed and started again on its port.

    Args:
        options: further words of its command line.

    Attributes:
        port: of loopback.
        url: for [instances] bus.
    """

    def __init__(self, *options: str) -> None:
        program = shutil.which("nats-server")
        if program is None:
            pytest.skip("nats-server is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._command = [program, "-a", "127.0.0.1", "-p", str(self.port), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; return when it listens."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        due_s = time.monotonic() + START_WAIT_S
        while True:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "nats-server does not start"
            assert time.monotonic() < due_s, "nats-server does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as the kernel does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


@pytest.fixture
def nats_server() -> Iterator[NatsServer]:
    """A server that listens, and is gone after the test."""
    server = NatsServer()
    try:
        server.start()
        yield server
    finally:
        server.kill()
