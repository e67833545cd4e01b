"""A car's bus in virtual time, and an interface on it: `CanPort` with its wire replaced."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import simpy

from server.can.frame import EXTENDED, ID_MASK, CanFrame, Wanted
from server.can.options import PortOptions
from server.errors import LinkLost
from server.obd.can.backend import CanObd
from server.obd.can.options import CanObdOptions
from sim.can.bus import CanBus
from sim.can.frame import CanFrame as SimFrame
from sim.ecu import build_ecus
from tests.sim.ecu.conftest import VIN, HandSetCar

__all__ = ["VIN", "CanBench", "Script", "ScriptedEcu"]

NOW_NS = 1_700_000_000_000_000_000
ECU_S = 0.010
BITMAPS = {0x00: 0x9838_8001, 0x20: 0x0000_2001, 0x40: 0x4000_0000}
"""Of the scripted ECU: 01 04 05 0B 0C 0D 11 20; 33 40; 42."""


class SimWire:
    """An interface whose time is the bus's: to wait is to let the world go on.

    Attributes:
        sent: frames, lost ones too.
    """

    def __init__(self, bench: CanBench) -> None:
        self._bench = bench
        self._env = bench.env
        self._inbox: list[CanFrame] = []
        self._node = bench.bus.attach("gateway", self._heard)
        self.sent: list[CanFrame] = []

    def _heard(self, frame: SimFrame, _t_s: float) -> None:
        flag = EXTENDED if frame.is_extended else 0
        heard = CanFrame(frame.arbitration_id | flag, bytes(frame.data))
        if not self._bench.lose(heard):
            self._inbox.append(heard)

    def receive(self, timeout_s: float, wanted: Wanted) -> list[CanFrame]:
        env, end_s = self._env, self._env.now + timeout_s
        while not self._inbox and env.peek() <= end_s:
            env.step()
            self._check()
        if not self._inbox and env.now < end_s:
            env.run(until=end_s)
        self._check()
        frames, self._inbox = self._inbox, []
        return [frame for frame in frames if frame.can_id in wanted]

    def send(self, frame: CanFrame) -> None:
        self._check()
        self.sent.append(frame)
        if not self._bench.lose(frame):
            self._node.send(SimFrame(frame.id, frame.data, is_extended=frame.is_extended))

    def accept(self, wanted: Wanted) -> None:
        pass

    def close(self) -> None:
        self._bench.is_closed = True

    def _check(self) -> None:
        if self._bench.dead:
            raise LinkLost("the interface went away")


def _lose_nothing(_frame: CanFrame) -> bool:
    return False


class CanBench:
    """A bus, and a gateway's back end on it.

    Attributes:
        lose: called with each frame from and to the gateway; True loses it.
        dead: whether the interface is gone.
        counts: the link's counters.
        wire: of the last back end.
    """

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env)
        self.lose: Callable[[CanFrame], bool] = _lose_nothing
        self.dead = False
        self.is_closed = False
        self.counts: Counter[str] = Counter()
        self.wire: SimWire

    # -- a clock -----------------------------------------------------------------------------------
    def now_ns(self) -> int:
        return NOW_NS + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return round(self.env.now * 1e9)

    def monotonic_s(self) -> float:
        return self.env.now

    def sleep(self, duration_s: float) -> None:
        if duration_s > 0:
            self.env.run(until=self.env.now + duration_s)

    # -- what is on the bus ------------------------------------------------------------------------
    def plug(self) -> SimWire:
        """Make the wire of a `CanPort`."""
        self.wire = SimWire(self)
        return self.wire

    def car(self) -> HandSetCar:
        """Put the world's ECUs on the bus, at 10 ms."""
        car = HandSetCar()
        build_ecus(
            self.env, self.bus, car, lambda name: random.Random(name), VIN,
            response_time_s=(ECU_S, ECU_S),
        )  # fmt: skip
        return car

    def backend(self, protocol: str | None = None, **options: object) -> CanObd:
        """Make a back end on this bus; not connected."""
        settings = CanObdOptions(PortOptions("virtual", "bench"), **options)  # type: ignore[arg-type]
        return CanObd(settings, self, protocol, self.counts)

    def connected(self, **options: object) -> CanObd:
        """Make one that has found the car and its PIDs."""
        backend = self.backend(**options)
        backend.connect()
        backend.supported([0x0C, 0x0D, 0x42])
        return backend

    def queue(self, can_id: int, data: str, after_s: float = 0.0) -> None:
        """Let somebody else send a frame."""
        if not hasattr(self, "_other"):
            self._other = self.bus.attach("other", lambda _frame, _t_s: None)
        frame = SimFrame(can_id & ID_MASK, bytes.fromhex(data), is_extended=bool(can_id & EXTENDED))
        timer = self.env.timeout(after_s)
        timer.callbacks.append(lambda _event: self._other.send(frame))


Script = Callable[[bytes], list[tuple[float, str]] | None]
"""Request -> frames as hex with the seconds before each; None: the normal answer."""


class ScriptedEcu:
    """An ECU that says exactly what a test wants, frame by frame.

    Attributes:
        asked: requests heard: True for one to all, and the message.
        asked_s: when.
        flows: flow control frames heard.
        after_flow: frames that it sends when it hears the first of them.
        several: how many PIDs it takes in a question.
    """

    def __init__(self, bench: CanBench, *, request_id: int = 0x7E0, is_extended: bool = False):
        self.asked: list[tuple[bool, bytes]] = []
        self.asked_s: list[float] = []
        self.flows: list[bytes] = []
        self.after_flow: list[tuple[float, str]] = []
        self.several = 6
        self.script: Script = lambda _request: None
        self._bench = bench
        self._is_extended = is_extended
        self._functional_id = 0x18DB33F1 if is_extended else 0x7DF
        self._request_id = request_id
        self._response_id = request_id + 8
        if is_extended:
            swapped = (request_id & 0xFF) << 8 | request_id >> 8 & 0xFF
            self._response_id = request_id & ~0xFFFF | swapped
        self._node = bench.bus.attach("ecu", self._heard)

    def _heard(self, frame: SimFrame, _t_s: float) -> None:
        if frame.is_extended != self._is_extended:
            return
        if frame.arbitration_id not in (self._functional_id, self._request_id):
            return
        data = bytes(frame.data)
        if data[0] >> 4 == 3:
            self.flows.append(data)
            self._say(self.after_flow)
            return
        request = data[1 : 1 + data[0]]
        self.asked_s.append(self._bench.env.now)
        self.asked.append((frame.arbitration_id == self._functional_id, request))
        frames = self.script(request)
        self._say(self.normal(request) if frames is None else frames)

    def normal(self, request: bytes) -> list[tuple[float, str]]:
        """Answer as a good ECU does: RPM 1726, SPEED 64, voltage 14.123."""
        values = {0x0C: "1AF8", 0x0D: "40", 0x42: "372B", 0x05: "7B", 0x11: "30", 0x0B: "64"}
        if request[0] == 9:
            self.after_flow = [(0.0, "2144585847414B44"), (0.0, "22444B3132333435")]
            return [(ECU_S, "1014490201574630")]
        if len(request) == 2 and request[1] in BITMAPS:
            return [(ECU_S, f"0641{request[1]:02X}{BITMAPS[request[1]]:08X}00")]
        pids = [pid for pid in request[1 : 1 + self.several] if pid in values]
        answer = "41" + "".join(f"{pid:02X}{values[pid]}" for pid in pids)
        if not pids:
            return []
        if len(answer) <= 14:
            return [(ECU_S, f"{len(answer) // 2:02X}{answer}".ljust(16, "0"))]
        rest = answer[12:]
        self.after_flow = [
            (0.0, f"2{1 + i // 14:X}{rest[i : i + 14]}".ljust(16, "0"))
            for i in range(0, len(rest), 14)
        ]
        return [(ECU_S, f"10{len(answer) // 2:02X}{answer[:12]}")]

    def _say(self, frames: list[tuple[float, str]]) -> None:
        at_s = 0.0
        for wait_s, data in frames:
            at_s += wait_s
            frame = SimFrame(self._response_id, bytes.fromhex(data), is_extended=self._is_extended)
            timer = self._bench.env.timeout(at_s)
            timer.callbacks.append(lambda _event, frame=frame: self._node.send(frame))
