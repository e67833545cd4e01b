"""An ECU without a model behind a door without a model: the floor under OBD over CAN.

`python -m tests.benchmarks.can_responder socketcand|slcan [MS]` answers mode 01 requests after so
many milliseconds (0: at once) and prints the TCP port, or the path of the PTY.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import tty
from collections.abc import Callable

VALUES = {0x0C: "1AF8", 0x0D: "40", 0x05: "7B", 0x11: "30", 0x0B: "64", 0x04: "70"}
BITMAP = "064100183B800100"
REPLY_ID = "7E8"
ASKED_IDS = ("7DF", "7E0")


class Ecu:
    """Frames in, frames out, as hex."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._rest: list[str] = []

    def answer(self, data: bytes) -> list[str]:
        """Give the frames that a request is answered with."""
        if data[0] == 0x30:
            rest, self._rest = self._rest, []
            return rest
        request = data[1 : 1 + data[0]]
        if request[:1] != b"\x01":
            return []
        if self._delay_s:
            time.sleep(self._delay_s)
        if request[1] & 0x1F == 0:
            return [BITMAP] if request[1] == 0 else []
        text = "41" + "".join(f"{pid:02X}{VALUES[pid]}" for pid in request[1:] if pid in VALUES)
        if len(text) <= 14:
            return [f"{len(text) // 2:02X}{text}".ljust(16, "0")]
        rest = text[12:]
        self._rest = [
            f"2{1 + i // 14:X}{rest[i : i + 14]}".ljust(16, "0") for i in range(0, len(rest), 14)
        ]
        return [f"10{len(text) // 2:02X}{text[:12]}"]


def serve_socketcand(ecu: Ecu) -> None:
    """One client after the other on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _address = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"< hi >")
        with contextlib.suppress(ConnectionError):
            _serve_client(client, ecu)


def _serve_client(client: socket.socket, ecu: Ecu) -> None:
    text = ""
    while data := client.recv(4096):
        text += data.decode()
        *messages, text = text.split(">")
        for message in messages:
            words = message.strip("< ").split()
            if words[0] != "send":
                client.sendall(b"< ok >")
            elif words[1] in ASKED_IDS:
                for reply in ecu.answer(bytes(int(word, 16) for word in words[3:])):
                    now = f"{time.time():.6f}"
                    client.sendall(f"< frame {REPLY_ID} {now} {reply} >".encode())


def serve_slcan(ecu: Ecu) -> None:
    """A Lawicel adapter that says OK to everything."""
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    text = b""
    while True:
        text += os.read(master, 4096)
        *lines, text = text.split(b"\r")
        for line in lines:
            _slcan_line(line.decode(), ecu, lambda reply: os.write(master, reply.encode()))


def _slcan_line(line: str, ecu: Ecu, write: Callable[[str], int]) -> None:
    if line.startswith("t"):
        write("z\r")
        if line[1:4] in ASKED_IDS:
            for reply in ecu.answer(bytes.fromhex(line[5:])):
                write(f"t{REPLY_ID}8{reply}\r")
    else:
        write({"V": "V1013\r", "N": "NA123\r", "F": "F00\r"}.get(line[:1], "\r"))


if __name__ == "__main__":
    delay_s = float(sys.argv[2]) / 1e3 if len(sys.argv) > 2 else 0.0
    with contextlib.suppress(KeyboardInterrupt):
        {"socketcand": serve_socketcand, "slcan": serve_slcan}[sys.argv[1]](Ecu(delay_s))
