"""A socketcand server as small as can be, that can also be mute, refuse, stutter and die."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.server.links.conftest import SerialDevice

HEAD = 'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: Car\n\n'

ENGINE = """BO_ 291 EngineData: 8 Car
 SG_ EngineSpeed : 0|16@1+ (0.25,0) [0|8000] "rpm" Vector__XXX
 SG_ OilTemp : 16|8@1- (1,-40) [0|0] "degC" Vector__XXX
 SG_ Gear : 24|4@1+ (1,0) [0|0] "" Vector__XXX

"""
"""EngineSpeed has a range, Gear a value table (`CHOICES`) with SNA."""
CHOICES = 'VAL_ 291 Gear 0 "Neutral" 1 "First" 15 "SNA" ;\n'
SPEED = """BO_ 292 SpeedData: 8 Car
 SG_ VehicleSpeed : 7|16@0+ (0.01,0) [0|300] "km/h" Vector__XXX

"""
CYCLES = (
    'BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;\nBA_DEF_DEF_ "GenMsgCycleTime" 0;\n'
    'BA_ "GenMsgCycleTime" BO_ 291 100;\n'
)
CAR = HEAD + ENGINE + SPEED + CYCLES + CHOICES

TRUCK = (
    HEAD
    + """BO_ 2364540158 EEC1: 8 Car
 SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|0] "rpm" Car
 SG_ Retarder : 0|2@1+ (1,0) [0|0] "" Car

BO_ 2566844926 CCVS1: 8 Car
 SG_ WheelSpeed : 8|16@1+ (0.00390625,0) [0|250.996] "km/h" Car

BO_ 2348810251 TSC1_brakes: 8 Car
 SG_ Torque : 24|8@1+ (1,-125) [-125|125] "%" Car

BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG";
BA_DEF_DEF_ "VFrameFormat" "J1939PG";
"""
)


def write_dbc(folder: Path, text: str = CAR, name: str = "car.dbc") -> str:
    """Write a database file; give its path."""
    path = folder / name
    path.write_text(text, encoding="cp1252")
    return str(path)


class SocketcandServer:
    """Serves one client after the other, in a thread.

    Args:
        greeting: parts that are sent one after the other; empty: mute.
        answers: to `open` and `rawmode`.

    Attributes:
        port: where it listens on 127.0.0.1.
        said: what clients have sent.
        clients: how many came.
    """

    def __init__(
        self,
        greeting: tuple[str, ...] = ("< hi >",),
        answers: tuple[str, ...] = ("< ok >", "< ok >"),
    ) -> None:
        self._greeting = greeting
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.said = ""
        self.clients = 0
        self.ready = threading.Event()
        self._idle = threading.Event()
        self._client: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.clients += 1
                self._client = client
                self._idle.clear()
                with contextlib.suppress(OSError):
                    self._talk(client)
                self._idle.set()

    def _talk(self, client: socket.socket) -> None:
        for part in self._greeting:
            client.sendall(part.encode())
            time.sleep(0.02)
        answers = list(self._answers)
        while text := client.recv(4096).decode():
            self.said += text
            for _ in range(text.count(">")):
                if answers:
                    client.sendall(answers.pop(0).encode())
                    if not answers:
                        self.ready.set()

    def send(self, text: str) -> None:
        """Send to the client that has gone through the handshake."""
        assert self.ready.wait(30)
        assert self._client is not None
        self._client.sendall(text.encode())

    def frame(self, can_id: int, data: bytes, time_s: float | None = None) -> None:
        """Send a frame, stamped with the clock of this machine."""
        stamp_s = time.time() if time_s is None else time_s
        self.send(f"< frame {can_id:03X} {stamp_s:.6f} {data.hex().upper()} >")

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, with RST if asked for."""
        assert self._client is not None
        self.ready.clear()
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        assert self._idle.wait(30)  # a thread that still reads keeps the connection open
        self._client.close()

    def die(self) -> None:
        """Close everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._client is not None:
            self.hang_up()


def wait_for(condition: Callable[[], object], patience_s: float = 30.0) -> None:
    """Wait for another thread."""
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s, "it never became true"
        time.sleep(0.003)


class Adapter(SerialDevice):
    """An slcan adapter on a PTY: it answers letters, and a test sends frames through it.

    Attributes:
        heard: lines from the host.
        refused: letters that are answered by BEL.
        mute: whether nothing is answered at all.
        status: answer to F.
    """

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self.refused = ""
        self.mute = False
        self.status = "F00"
        self._line = ""
        super().__init__(path)

    def receive(self, data: bytes) -> None:
        """Answer whole lines."""
        *lines, self._line = (self._line + data.decode()).split("\r")
        for line in lines:
            if line:
                self.heard.append(line)
            if not self.mute:
                self.send(self._answer(line).encode())

    def _answer(self, line: str) -> str:
        if line[:1] and line[0] in self.refused:
            return "\a"
        if line == "F":
            return self.status + "\r"
        return {"t": "z", "T": "Z"}.get(line[:1], "") + "\r"
