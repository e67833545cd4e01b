"""Bus load, window by window."""

from __future__ import annotations

import pytest

from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.load import BusLoad, LoadMeter
from tests.sim.can.stations import Line, Station

FRAME = CanFrame(0x14, b"\x01")  # 55 bits


def test_each_window_has_its_own_load() -> None:
    """Two frames of 55 bits in 1000, then none, then one with an error frame of 60 bits."""
    line = Line()
    sender = Station(line.bus, "sender")
    Station(line.bus, "receiver")
    meter = LoadMeter(line.bus)
    sender.send(FRAME)
    sender.send(FRAME)
    line.run_bits(1_000)
    assert meter.take() == BusLoad(0.002, 2, 0, pytest.approx(11.0), 0.0)
    line.run_bits(1_000)
    assert meter.take() == BusLoad(0.002, 0, 0, 0.0, 0.0)
    line.disturb(ErrorKind.FORM)
    sender.send(FRAME)
    line.run_bits(1_000)
    load = meter.take()
    assert (load.frames, load.errors) == (1, 1)
    assert (load.busy_pct, load.error_pct) == (pytest.approx(5.5), pytest.approx(6.0))


def test_window_without_length_is_empty() -> None:
    """Taken twice in one instant a meter gives nothing, and divides by nothing."""
    meter = LoadMeter(Line().bus)
    assert meter.take() == BusLoad(0.0, 0, 0, 0.0, 0.0)


def test_saturated_bus_is_busy_but_for_its_intermissions() -> None:
    """Frames of 55 bits and pauses of 3 make 94.8 %."""
    line = Line()
    sender = Station(line.bus, "sender")
    Station(line.bus, "receiver")
    for _ in range(200):
        sender.send(FRAME)
    meter = LoadMeter(line.bus)
    line.run_bits(58 * 100)
    assert meter.take().busy_pct == pytest.approx(100 * 55 / 58, abs=0.1)
