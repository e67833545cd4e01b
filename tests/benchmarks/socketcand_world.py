"""The far side of the socketcand benchmark, in a process of its own.

`python -m tests.benchmarks.socketcand_world blast FRAMES` — a bus without frame times and the door
of the world: FRAMES are sent as soon as the client says so, as fast as it reads them.
`… echo` — the same with a node that answers 0x7DF at once.
`… bus FRAMES` — a saturated bus at 500 kbit/s.
`… trivial-blast FRAMES`, `… trivial-echo` — a Python server without a model: the same bytes.
Prints the TCP port.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

from rig.walltime.clock import WallClock
from rig.walltime.pipe_door import PipeDoor
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.interface import CanInterface
from sim.socketcand.server import SocketcandServer

ASK, ANSWER, START = 0x7DF, 0x7E8, 0x001
BURST_FRAMES = 200  # fewer than a node takes
CONTENTS = 4096  # different ones, as the values of a car repeat themselves too
PERIOD_S = 0.0005
NUMBER = b"\x00\x00\x01\x02"
TEXT = b"< frame 100 1700000000.123456 %08X00000102 >"


class World:
    """A bus, its door, and one node."""

    def __init__(self, frames: int, *, paced: bool) -> None:
        self.clock = WallClock()
        self.bus = CanBus(self.clock.env, paced=paced)
        self.server = SocketcandServer(self.clock.env, [CanInterface(self.bus, "can0")])
        self.door = PipeDoor(self.clock, 0, self.server.connect)
        self.node = self.bus.attach("ecu", self._hear)
        self._paced = paced
        self._left = frames
        self._number = 0

    def run(self) -> None:
        """Serve until the process is ended."""
        self.door.open()
        print(self.door.port, flush=True)
        self.clock.run()

    def _hear(self, frame: CanFrame, _time_s: float) -> None:
        if frame.arbitration_id == ASK:
            self.node.send(CanFrame(ANSWER, frame.data))
        elif frame.arbitration_id == START:
            self._send()

    def _send(self, _event: object = None) -> None:
        """Send a burst, unless the client has not read the last ones."""
        reads = not any(client.queue.is_full for client in self.server.clients)
        if reads:
            for _ in range(min(self._left, BURST_FRAMES)):
                data = (self._number % CONTENTS).to_bytes(4, "big") + NUMBER
                if not self.node.send(CanFrame(0x100, data)):
                    break
                self._left -= 1
                self._number += 1
        if self._left:
            pause_s = PERIOD_S if self._paced or not reads else 1e-6
            self.clock.env.timeout(pause_s).callbacks.append(self._send)


def trivial(frames: int) -> None:
    """Answer the handshake, then blast, or reply."""
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    while True:
        client, _address = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"< hi >")
        with contextlib.suppress(OSError):
            _serve(client, frames)


def _serve(client: socket.socket, frames: int) -> None:
    """Speak the protocol, no more."""
    text = ""
    while data := client.recv(4096):
        text += data.decode()
        *commands, text = text.split(">")
        for command in commands:
            words = command.strip("< ").split()
            if words[0] != "send":
                client.sendall(b"< ok >")
            elif int(words[1], 16) == ASK:
                reply = bytes([int(word, 16) for word in words[3:]]).hex().upper()
                client.sendall(f"< frame {ANSWER:03X} {time.time():.6f} {reply} >".encode())
            elif int(words[1], 16) == START:
                for first in range(0, frames, BURST_FRAMES):
                    burst = range(first, min(frames, first + BURST_FRAMES))
                    client.sendall(b"".join(TEXT % (number % CONTENTS) for number in burst))


def main() -> None:
    """Be what the first word says."""
    mode, frames = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if mode.startswith("trivial"):
        trivial(frames)
    else:
        World(frames, paced=mode == "bus").run()


if __name__ == "__main__":
    main()
