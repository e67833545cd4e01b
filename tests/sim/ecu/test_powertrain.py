"""ECM and TCM with the real vehicle behind them."""

from __future__ import annotations

import random

import simpy

from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.ecu import PIDS, build_ecus
from sim.vehicle import FOCUS_ST, Accelerate, Drive, Idle, KeyOff, Vehicle
from sim.vehicle.state import VehicleState


def test_real_drive_is_measured_as_it_is() -> None:
    """Over a drive each sampled byte is the encoded truth of its instant."""
    env = simpy.Environment()
    bus = CanBus(env)
    drive = Drive([Idle("idle", 5.0), Accelerate("go", 10.0, 100.0), KeyOff("off", 5.0)])
    vehicle = Vehicle(FOCUS_ST, drive, random.Random(1))
    samples: list[tuple[float, int, bytes, VehicleState]] = []
    build_ecus(
        env, bus, vehicle, lambda name: random.Random(name), FOCUS_ST.vin,
        on_sample=lambda t_s, _ecu, pid, data, state: samples.append((t_s, pid, data, state)),
    )  # fmt: skip
    tester = bus.attach("tester", lambda frame, t_s: None)

    def ask() -> object:
        while True:
            for pid in (0x0C, 0x0D, 0x10):
                tester.send(CanFrame(0x7DF, bytes((2, 1, pid, 0, 0, 0, 0, 0))))
                yield env.timeout(0.1)

    env.process(ask())  # type: ignore[arg-type]
    env.run(until=20.0)
    assert len(samples) >= 190
    for t_s, pid, data, state in samples:
        assert abs(state.t_s - t_s) < 1e-9
        truth, value = PIDS[pid].truth(state), PIDS[pid].decode(data)
        assert truth is not None
        assert value is not None
        assert abs(truth - value) <= PIDS[pid].resolution * 0.51
    speeds = [PIDS[0x0D].decode(data) for _t, pid, data, _state in samples if pid == 0x0D]
    assert max(value for value in speeds if value is not None) > 60
