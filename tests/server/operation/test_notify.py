"""Signs of life to systemd."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from server.operation.notify import Notifier


def received(listener: socket.socket) -> list[str]:
    """What has come so far."""
    texts = []
    while True:
        try:
            texts.append(listener.recv(4096).decode())
        except BlockingIOError:
            return texts


@pytest.fixture
def listener(tmp_path: Path) -> socket.socket:
    """systemd's end."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(tmp_path / "notify"))
    made.setblocking(False)
    return made


@pytest.mark.promise("O10")
async def test_a_life(listener: socket.socket) -> None:
    """Ready, watchdog again and again, reload, stop; each in systemd's words."""
    env = {
        "NOTIFY_SOCKET": listener.getsockname(),
        "WATCHDOG_USEC": "30000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    notifier = Notifier(env)
    notifier.ready("listening on\nhttp://x")
    await asyncio.sleep(0.05)
    texts = received(listener)
    assert texts[0] == "READY=1\nSTATUS=listening on http://x"
    assert texts.count("WATCHDOG=1") >= 3
    notifier.reloading()
    notifier.ready("again")
    assert received(listener)[-2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    notifier.stopping("bye")
    notifier.close()
    assert received(listener)[-1] == "STOPPING=1\nSTATUS=bye"
    await asyncio.sleep(0.03)
    assert received(listener) == []
    listener.close()


async def test_nobody_asks(listener: socket.socket, tmp_path: Path) -> None:
    """Without systemd nothing is sent and nothing ticks; a dead socket is no error."""
    silent = Notifier({})
    silent.ready("x")
    assert silent._timer is None
    other = Notifier({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "1000",
                      "WATCHDOG_PID": "1"})  # fmt: skip
    other.ready("x")
    assert other._timer is None
    assert received(listener) == ["READY=1\nSTATUS=x"]
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("x")
    Notifier({"NOTIFY_SOCKET": "@telerig-test-none"}).ready("x")
    listener.close()
