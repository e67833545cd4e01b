"""Signs of life to systemd (sd_notify(3)), without a library: one datagram each.

`Type=notify` units are started when READY=1 comes; with `WatchdogSec=` the unit is killed and
started again where WATCHDOG=1 stays away. It is sent from the event loop, so a loop that hangs is
seen; nothing ticks where systemd has not asked for it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping

WATCHDOG_PART = 3
"""The sign of life comes so many times within the limit."""


class Notifier:
    """Tells the service manager, if there is one.

    Args:
        env: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as the service manager sets them.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._period_s = _watchdog_s(env) / WATCHDOG_PART
        self._timer: asyncio.TimerHandle | None = None

    def ready(self, status: str) -> None:
        """Say that requests are served, in words too; from now on the watchdog is fed."""
        self._send(f"READY=1\nSTATUS={_line(status)}")
        if self._timer is None:
            self._feed()

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        # systemd compares this instant with that of its own order (Type=notify-reload).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Say that the end has begun."""
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def close(self) -> None:
        """End the signs of life."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _feed(self) -> None:
        if self._address and self._period_s:
            self._send("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._feed)

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto(text.encode(), self._address)
        except OSError:
            return  # a service manager that does not listen is no reason to end


def _watchdog_s(env: Mapping[str, str]) -> float:
    text, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdigit()) or (pid and pid != str(os.getpid())):
        return 0.0
    return int(text) / 1e6


def _line(text: str) -> str:
    return text.replace("\n", " ")
