"""An slcan adapter on a PTY, in a process of its own, with a bus that answers or floods.

`python -m tests.benchmarks.slcan_world MODE [FRAMES]` prints the port's path and serves it.

echo     a request is answered at once; nothing is paced
usb      the same at USB's pace: a millisecond each way
bus      FRAMES frames back to back at 500 kbit/s, in wall time, from the moment it is opened
flood    FRAMES frames as fast as the machine can, waiting for the reader alone
trivial  no model at all: each line is answered with fixed text
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
import tty
from collections.abc import Callable

import simpy

from rig.walltime.clock import HastyClock, WallClock
from rig.walltime.pty import PtyPort
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.serial_line import SerialLine
from sim.slcan import PROFILES, SlcanAdapter

FRAME = CanFrame(0x7E8, bytes.fromhex("03410C1AF8000000"))
FULL = CanFrame(0x190, bytes.fromhex("803980408080004B"))
REPLY = b"z\rt7E8803410C1AF8000000\r"
RETRY_S = 0.001
STEPS = 200  # between two looks at what the client has written


class World:
    """The adapter, the bus, and the car's end of it."""

    def __init__(self, *, paced: bool, hasty: bool) -> None:
        self.clock: WallClock = HastyClock(self._is_busy) if hasty else WallClock()
        self.env = self.clock.env
        profile = PROFILES["lawicel_canusb"]
        self.bus = CanBus(self.env)
        self.line = SerialLine(self.env, "can", profile.baud, paced=paced)
        self.on_open: Callable[[], None] = lambda: None
        self.adapter = SlcanAdapter(self.env, self.bus, self.line, profile, on_event=self._event)
        self.car = self.bus.attach("car", lambda _frame, _t_s: None)
        self.port = PtyPort(self.clock, self.line, None)
        print(self.port.device_path, flush=True)

    def _is_busy(self) -> bool:
        return self.adapter.busy or self.car.pending_frames > 0

    def _event(self, _t_s: float, kind: str, _detail: str) -> None:
        if kind == "open":
            self.on_open()

    def echo(self) -> None:
        """Answer each frame of the adapter."""
        self.car.on_frame = lambda _frame, _t_s: self.car.send(FRAME) and None

    def flood(self, count: int, *, heeds_reader: bool) -> None:
        """Send `count` frames back to back."""
        left = count

        def send(_cause: float | simpy.Event = 0.0) -> None:
            nonlocal left
            if not left:
                return
            if heeds_reader and self.line.unread_bytes:
                self.env.timeout(RETRY_S).callbacks.append(send)
                return
            left -= 1
            self.car.send(FULL, send)

        self.on_open = lambda: self.env.timeout(RETRY_S).callbacks.append(send)


def _flat_out(world: World) -> None:
    """Step the world without a look at the wall clock once the channel is open."""
    clock, env = world.clock, world.env
    while not world.adapter.channel.is_open:
        clock.run(env.now + RETRY_S)
    while world.adapter.channel.is_open:
        for _ in range(STEPS):
            if env.peek() == math.inf:
                time.sleep(RETRY_S)  # all is sent
                break
            env.step()
        world.port._pump()


def _trivial() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    request = b""
    while True:
        request += os.read(master, 4096)
        *lines, request = request.split(b"\r")
        if lines:
            os.write(master, b"".join(REPLY if line[:1] == b"t" else b"\r" for line in lines))


def main() -> None:
    """Serve until the process is ended."""
    mode = sys.argv[1]
    if mode == "trivial":
        _trivial()
        return
    world = World(paced=mode in ("usb", "bus"), hasty=mode == "echo")
    if mode in ("echo", "usb"):
        world.echo()
    else:
        world.flood(int(sys.argv[2]), heeds_reader=mode == "flood")
    if mode == "flood":
        _flat_out(world)
    world.clock.run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
