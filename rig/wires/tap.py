"""A real serial place behind a PTY: bytes pass both ways, and somebody is told of each.

    tap = Tap("obd", "/dev/serial/by-id/usb-FTDI...", baud=38400, path=folder / "obd",
              on_bytes=lambda time_ns, to_host, data: ...)
    tap.start()     # TapError: the port is not there, busy, or not ours to open
    ...             # any client opens tap.path
    tap.close()

The tap serves in a thread of its own and calls back in that thread. It never holds more than
`LIMIT_BYTES` in either direction: what a client does not read is lost and counted, as with a real
port; a client that writes faster than the port takes meets a full buffer. A PTY tells the rate that
its client sets, which the port then gets; it has no DTR, RTS, parity or character size (Linux
keeps none), so of these only "hang up" (rate 0) is passed on. When the device goes, the client gets
EIO and the path vanishes; when it is back, so is the path, with another PTY behind it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.wires.errors import TapError
from rig.wires.real_port import PortGone, RealPort, is_url
from rig.wires.speed import read_speed, write_speed

LIMIT_BYTES = 65536  # what a USB adapter's driver buffers for a host that does not read
READ_BYTES = 4096
LOOK_S = 0.02  # how often a port that no client has open is looked at
RATE_LOOK_S = 0.05  # how often a client that does not write is asked for its rate
RETRY_S = 0.2  # how often a device that went is looked for
JOIN_S = 5.0

OnBytes = Callable[[int, bool, bytes], None]
OnEvent = Callable[[int, str, Mapping[str, Any]], None]


@dataclass(slots=True)
class TapCounters:
    """What passed.

    Attributes:
        to_host_bytes, to_device_bytes: as told to `on_bytes`.
        unheard_bytes: of those to the host, what came while no client had the port open.
        lost_bytes: of those to the host, what a client left unread beyond `LIMIT_BYTES`.
        gone: how often the device went.
    """

    to_host_bytes: int = 0
    to_device_bytes: int = 0
    unheard_bytes: int = 0
    lost_bytes: int = 0
    gone: int = 0


class Tap:
    """Passes bytes between a real port and whoever opens `path`.

    Args:
        name: of the link, for threads and messages.
        place: a device path, a URL of pyserial, or host:port.
        baud: the rate until a client sets another one.
        path: symbolic link under which the client finds its PTY.
        on_bytes: `(UTC ns, to_host, data)`: from the device when read, to it when handed over.
        on_event: `(UTC ns, kind, detail)`: "opened" and "closed" (a client), "baud",
            "baud_refused", "gone", "back".
    """

    def __init__(
        self,
        name: str,
        place: str,
        *,
        baud: int,
        path: Path,
        on_bytes: OnBytes,
        on_event: OnEvent | None = None,
    ) -> None:
        self.name = name
        self.place = place
        self.path = path
        self.baud = baud
        self.counters = TapCounters()
        self._on_bytes = on_bytes
        self._on_event = on_event or (lambda _time_ns, _kind, _detail: None)
        self._port: RealPort | None = None
        self._master = -1
        self._client = False  # has the PTY open
        self._to_client = bytearray()
        self._to_device = bytearray()
        self._rate_looked_s = 0.0
        self._poller = select.poll()
        self._awaited: tuple[int, ...] = ()
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"tap {name}", daemon=True)

    @property
    def connected(self) -> bool:
        """False while the device is away."""
        return self._port is not None

    def start(self) -> None:
        """Open the port, offer the PTY, and serve.

        Raises:
            TapError: one of the two cannot be had.
        """
        self._port = RealPort(self.place, self.baud)
        try:
            self._offer()
        except OSError as error:
            self._port.close()
            raise TapError(
                f"{self.path}: expected to offer a PTY there, found: {error.strerror}; "
                "name another path"
            ) from error
        self._thread.start()

    def close(self) -> None:
        """Take the PTY away and let the port go; may be called again."""
        if self._wake < 0:
            return
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)
        os.close(self._wake)
        self._wake = -1

    # -- the PTY -----------------------------------------------------------------------------------
    def _offer(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)  # a cooked one would echo the device's bytes back to it
        write_speed(slave, self.baud)  # gpsd sets a receiver to the rate that it finds here
        device = os.ttyname(slave)
        os.close(slave)  # without a client what the device says is lost, and no news later
        os.set_blocking(self._master, False)
        with contextlib.suppress(FileNotFoundError):
            if self.path.is_symlink():
                self.path.unlink()
        self.path.symlink_to(device)

    def _withdraw(self) -> None:
        """Hang up: a client that waits gets EIO."""
        self.path.unlink(missing_ok=True)
        os.close(self._master)
        self._master = -1
        self._client = False
        self._to_client.clear()
        self._to_device.clear()

    # -- the thread --------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            while not self._stopping:
                port = self._port
                if port is None:
                    self._look_for_device()
                    continue
                try:
                    self._serve(port)
                except PortGone as error:
                    self._lose(port, error)
        finally:
            if self._master >= 0:
                self._withdraw()
            if self._port is not None:
                self._port.close()

    def _lose(self, port: RealPort, error: PortGone) -> None:
        self.counters.gone += 1
        self._port = None
        port.close()
        self._withdraw()
        self._tell("gone", reason=error.strerror or str(error))

    def _look_for_device(self) -> None:
        look = select.poll()
        look.register(self._wake, select.POLLIN)
        look.poll(int(RETRY_S * 1000))
        if self._stopping or (not is_url(self.place) and not os.path.exists(self.place)):
            return
        with contextlib.suppress(TapError, OSError):
            port = RealPort(self.place, self.baud)
            try:
                self._offer()
            except OSError:
                port.close()
                raise
            self._port = port
            self._tell("back")

    def _serve(self, port: RealPort) -> None:
        """Pass bytes until the end.

        Raises:
            PortGone: the device went.
        """
        while not self._stopping:
            ready = dict(self._poll(port).poll(self._patience_ms()))
            self._look_at_client(ready.get(self._master, 0))
            if ready.get(self._master, 0) & select.POLLIN:
                self._from_client(port)
            events = ready.get(port.descriptor, 0)
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._from_device(port)
            if self._to_device and events & select.POLLOUT:
                self._push(port)
            if self._to_client:
                self._deliver(b"")
            if not self._client:
                self._look_for_client()
            elif time.monotonic() - self._rate_looked_s > RATE_LOOK_S:
                self._mirror_rate(port)

    def _poll(self, port: RealPort) -> select.poll:
        """Return what waits for just the things that are awaited now; mostly the one of before."""
        device = select.POLLIN | (select.POLLOUT if self._to_device else 0)
        client = 0 if len(self._to_device) >= READ_BYTES else select.POLLIN
        client |= select.POLLOUT if self._to_client else 0
        awaited = (port.descriptor, device, self._master, client if self._client else -1)
        if awaited != self._awaited:
            self._awaited = awaited
            self._poller = select.poll()
            self._poller.register(self._wake, select.POLLIN)
            self._poller.register(port.descriptor, device)
            if self._client:  # without one POLLHUP would make every poll return at once
                self._poller.register(self._master, client)
        return self._poller

    def _patience_ms(self) -> int:
        return round((RATE_LOOK_S if self._client else LOOK_S) * 1000)

    # -- the client --------------------------------------------------------------------------------
    def _look_at_client(self, events: int) -> None:
        if self._client and events & select.POLLHUP and not events & select.POLLIN:
            self._client = False
            self.counters.lost_bytes += len(self._to_client)
            self._to_client.clear()
            self._tell("closed")

    def _look_for_client(self) -> None:
        look = select.poll()
        look.register(self._master, select.POLLIN)
        events = look.poll(0)
        # What a client wrote that is gone again still counts: POLLIN beside POLLHUP.
        if not events or not events[0][1] & select.POLLHUP or events[0][1] & select.POLLIN:
            self._client = True
            self._rate_looked_s = 0.0
            self._tell("opened")

    def _mirror_rate(self, port: RealPort) -> None:
        self._rate_looked_s = time.monotonic()
        baud = read_speed(self._master)
        if baud == self.baud:
            return
        before, self.baud = self.baud, baud
        if not baud:
            port.set_ready(False)
            self._tell("baud", baud=0)
            return
        if not before:
            port.set_ready(True)
        refused = port.set_baud(baud)
        self._tell("baud_refused" if refused else "baud", baud=baud, **_set(reason=refused))

    def _from_client(self, port: RealPort) -> None:
        self._mirror_rate(port)  # bytes go out at the rate that was set before them
        try:
            data = os.read(self._master, READ_BYTES)
        except OSError:  # EAGAIN, or EIO between two clients
            return
        self._to_device += data
        self._push(port)

    def _push(self, port: RealPort) -> None:
        taken = port.write(self._to_device)
        if taken:
            data = bytes(self._to_device[:taken])
            del self._to_device[:taken]
            self.counters.to_device_bytes += taken
            self._on_bytes(time.time_ns(), False, data)

    # -- the device --------------------------------------------------------------------------------
    def _from_device(self, port: RealPort) -> None:
        data = port.read()
        if not data:
            return
        time_ns = time.time_ns()
        self.counters.to_host_bytes += len(data)
        if self._client:
            self._deliver(data)
        else:
            self.counters.unheard_bytes += len(data)
        self._on_bytes(time_ns, True, data)  # the client first: this may take a while

    def _deliver(self, data: bytes) -> None:
        self._to_client += data
        with contextlib.suppress(OSError):  # EAGAIN: full; EIO: it goes just now
            written = os.write(self._master, self._to_client)
            del self._to_client[:written]
        excess = len(self._to_client) - LIMIT_BYTES
        if excess > 0:
            del self._to_client[LIMIT_BYTES:]
            self.counters.lost_bytes += excess

    def _tell(self, kind: str, **detail: Any) -> None:
        self._on_event(time.time_ns(), kind, detail)


def _set(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}
