"""Unmodified clients on the adapter's PTY, in wall time: the world in this thread, they in one."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import simpy

from rig.walltime.clock import WallClock
from rig.walltime.pty import PtyPort
from sim.can.frame import CanFrame

LIMIT_S = 20.0
AFTERWARDS_S = 0.02  # for what the client wrote last


def serve(bench: Any, client: Callable[[str], Any], *, limit_s: float = LIMIT_S) -> Any:
    """Run `client(path of the port)` against a bench on a `WallClock`; return what it returns.

    An exception of the client is raised here. The test fails when it takes longer than `limit_s`.
    """
    clock: WallClock = bench.clock
    port = PtyPort(clock, bench.line, None)
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((client(port.device_path), None))
        except BaseException as error:  # noqa: BLE001  handed to the test
            outcome.append((None, error))
        finally:
            time.sleep(AFTERWARDS_S)
            clock.stop()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    clock.run(limit_s)
    thread.join(1.0)
    port.close()
    assert outcome, "the client hangs"
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def broadcast(bench: Any, *frames: CanFrame, period_s: float = 0.005) -> None:
    """Let the car send frames in turn, for ever."""

    def send() -> Iterator[simpy.Event]:
        for frame in itertools.cycle(frames):
            yield bench.env.timeout(period_s)
            bench.car.send(frame)

    bench.env.process(send())
