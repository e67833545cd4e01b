"""The OBD link over CAN: the same plan, readings and reasons as with an ELM327."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from server.catalogue import by_name
from server.clock import SystemClock
from server.config_section import Where
from server.errors import LinkLost
from server.obd.link import ObdLink, ObdOptions
from tests.server.links.conftest import Collector, Report
from tests.server.obd.can.can_bench import VIN, CanBench, ScriptedEcu

WHERE = Where("gateway.toml", ("links", "obd"))
RPM, SPEED, MAP, BARO, BOOST, VOLTAGE = (
    by_name(name).id
    for name in (
        "RPM", "SPEED", "INTAKE_PRESSURE", "BAROMETRIC_PRESSURE", "BOOST", "CONTROL_MODULE_VOLTAGE",
    )
)  # fmt: skip


def parse(plan: dict[str, float | str], channel: str = "bench", **more: object) -> ObdOptions:
    """Options with a plan out of names and rates."""
    entries = [{"signal": name, "rate_hz": rate} for name, rate in plan.items()]
    can = {"interface": "virtual", "channel": channel}
    return ObdLink.parse("obd", {"kind": "obd", "can": can, "plan": entries, **more}, WHERE)


class Drive:
    """A link on a bench, run without a thread."""

    def __init__(self, bench: CanBench, options: ObdOptions) -> None:
        self.bench = bench
        self.sink = Collector()
        self.report = Report()
        self.link = ObdLink("obd", options, sink=self.sink, clock=bench, report=self.report)

    def run(self, for_s: float) -> None:
        """Let the link connect, if it has not, and ask for so long."""
        end_s = self.bench.env.now + for_s
        if not self.link._questions:
            self.link._connect()
        while self.bench.env.now < end_s:
            self.link._step()


def test_the_plan_becomes_readings(bench: CanBench) -> None:
    """Rates are kept, values are the car's, the car is named, and the link is up."""
    bench.car()
    drive = Drive(bench, parse({"RPM": 20, "SPEED": 5, "BOOST": 2}))
    drive.run(5.0)
    assert drive.report.vins == [VIN]
    assert drive.report.states == [("up", "")]
    assert len(drive.sink.values(RPM)) == pytest.approx(95, abs=3)
    assert len(drive.sink.values(SPEED)) == pytest.approx(24, abs=2)
    assert set(drive.sink.values(SPEED)) == {108.0}
    assert drive.sink.values(BOOST) == pytest.approx([(83 - 101) * 0.1450377377] * 9, abs=1e-9)
    assert drive.link.counters["readings"] == len(drive.sink.readings)


def test_as_fast_as_possible_is_one_ecu_time_each(bench: CanBench) -> None:
    """`max` for two PIDs: both in each question, one after the other."""
    bench.car()
    drive = Drive(bench, parse({"RPM": "max", "SPEED": "max"}))
    drive.run(1.0)
    drive.sink.readings.clear()
    drive.run(5.0)
    assert len(drive.sink.values(RPM)) == pytest.approx(5.0 / 0.0106, rel=0.05)
    assert len(drive.sink.values(RPM)) == len(drive.sink.values(SPEED))


def test_pids_that_the_car_lacks_are_reported(bench: CanBench) -> None:
    """The bitmap says no to OIL_TEMP."""
    bench.car()
    drive = Drive(bench, parse({"RPM": 5, "MAX_MAF": 1}))
    drive.run(2.0)
    assert drive.report.states == [("up", "no answer to MAX_MAF")]
    assert set(drive.link.stale_s) == {RPM}


def test_a_pid_that_never_answers_is_demoted(bench: CanBench, ecu: ScriptedEcu) -> None:
    """Promised by the bitmap and silent: asked five times, then rarely; the others go on."""
    drive = Drive(bench, parse({"RPM": 10, "ENGINE_LOAD": 10}))
    drive.run(1.5)
    assert drive.link.counters["no_data.ENGINE_LOAD"] == 5
    drive.run(3.5)  # once a second later, once two seconds after that
    assert drive.link.counters["no_data.ENGINE_LOAD"] == 7
    assert drive.link.counters["demoted"] == 1
    assert ("up", "no answer to ENGINE_LOAD") in drive.report.states
    asked = sum(request == b"\x01\x0c" for _functional, request in ecu.asked)
    drive.run(5.0)
    more = sum(request == b"\x01\x0c" for _functional, request in ecu.asked) - asked
    assert more == pytest.approx(50, abs=1)
    assert drive.link._backend.most_at_once == 6


def test_a_car_gone_silent_loses_the_link(bench: CanBench, ecu: ScriptedEcu) -> None:
    """The same reason as with an adapter, after the same time."""
    drive = Drive(bench, parse({"RPM": 5, "SPEED": 5}, silence_s=3.0))
    drive.run(2.0)
    ecu.script = lambda request: []
    begun_s = bench.env.now
    with pytest.raises(LinkLost) as caught:
        drive.run(20.0)
    assert str(caught.value).startswith("expected a reading each 3 s, found none: the last answer")
    assert str(caught.value).endswith("was NO DATA (ignition off?)")
    assert bench.env.now - begun_s < 4.0


def test_a_line_that_stalls_demotes_nothing(bench: CanBench) -> None:
    """No answer to anything says nothing of a PID: all have their rates as soon as it is over."""
    bench.car()
    drive = Drive(bench, parse({"RPM": 10, "SPEED": 10, "MAF": 5, "COOLANT_TEMP": 1}))
    drive.run(2.0)
    bench.lose = lambda frame: True
    drive.run(4.0)
    bench.lose = lambda frame: False
    drive.sink.readings.clear()
    drive.run(5.0)
    assert drive.link.counters["demoted"] == 0
    assert len(drive.sink.values(RPM)) == pytest.approx(50, abs=4)
    assert len(drive.sink.values(SPEED)) == pytest.approx(50, abs=4)


def test_a_pid_that_noise_has_demoted_is_back_soon(bench: CanBench, ecu: ScriptedEcu) -> None:
    """It answered no question of ten, others did: it has its rate again seconds after that."""
    drive = Drive(bench, parse({"RPM": 10, "SPEED": 10}))
    drive.run(1.0)
    script = ecu.script
    ecu.script = lambda request: [] if request[-1:] == b"\x0d" else script(request)
    drive.run(5.0)
    assert drive.link.counters["demoted"] == 1
    ecu.script = script
    drive.run(4.5)
    drive.sink.readings.clear()
    drive.run(5.0)
    assert len(drive.sink.values(SPEED)) == pytest.approx(50, abs=4)


def test_a_lossy_bus_costs_little(bench: CanBench) -> None:
    """With one frame in fifty lost, 95 % of the planned readings come, and only true ones."""
    bench.car()
    drive = Drive(bench, parse({"RPM": 10, "SPEED": 10, "COOLANT_TEMP": 1, "MAF": 5}))
    drive.run(1.0)
    numbers = iter(range(10**6))
    bench.lose = lambda frame: next(numbers) % 50 == 0
    drive.sink.readings.clear()
    drive.run(20.0)
    assert len(drive.sink.values(RPM)) > 190
    assert set(drive.sink.values(RPM)) == {2487.25}
    assert drive.report.states == [("up", "")]


def test_the_identifiers_are_searched_once(bench: CanBench) -> None:
    """The next attempt begins with 29 bit; after a failure the search begins anew."""
    ScriptedEcu(bench, request_id=0x18DA10F1, is_extended=True)
    options = parse({"RPM": 5})
    Drive(bench, options).run(1.0)
    assert options.last_protocol.number == "29"
    Drive(bench, options).run(1.0)
    assert bench.wire.sent[0].is_extended
    bench.lose = lambda frame: True
    with pytest.raises(LinkLost, match="18DB33F1"):
        Drive(bench, options).run(1.0)
    assert options.last_protocol.number is None


def test_a_dead_interface_loses_the_link_while_nothing_is_due(bench, ecu) -> None:
    """A plan of one question in ten seconds sees it within a nap."""
    drive = Drive(bench, parse({"RPM": 0.1}))
    drive.run(1.0)
    bench.dead = True
    begun_s = bench.env.now
    with pytest.raises(LinkLost, match="went away"):
        drive.run(20.0)
    assert bench.env.now - begun_s < 1.0


# -- with threads, through python-can --------------------------------------------------------------
ANSWERS = {
    "0100": "0641000018000100",
    "010C": "04410C1AF8000000",
    "010D": "03410D4000000000",
    "010C0D": "06410C1AF80D4000",
}


@pytest.fixture
def channel() -> Iterator[str]:
    """A car on a virtual bus of python-can, in a thread."""
    can = pytest.importorskip("can", reason="python-can (extra can) is not installed")
    stop = threading.Event()
    bus = can.Bus(interface="virtual", channel="obd-link", ignore_config=True)

    def serve() -> None:
        while not stop.is_set():
            message = bus.recv(0.05)
            if message is not None:
                asked = bytes(message.data[1 : 1 + message.data[0]]).hex().upper()
                if asked in ANSWERS:
                    data = bytes.fromhex(ANSWERS[asked])
                    bus.send(can.Message(arbitration_id=0x7E8, data=data, is_extended_id=False))

    thread = threading.Thread(target=serve)
    thread.start()
    yield "obd-link"
    stop.set()
    thread.join()
    bus.shutdown()


async def test_a_link_reads_through_python_can_and_stops(channel: str, sink, report) -> None:
    """In its thread, with the machine's clock, until it is cancelled."""
    options = parse({"RPM": "max", "SPEED": "max"}, channel)
    link = ObdLink("obd", options, sink=sink, clock=SystemClock(), report=report)
    task = asyncio.create_task(link.run())
    for _ in range(1000):
        if len(sink.values(SPEED)) >= 20:
            break
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 2.0)
    assert set(sink.values(RPM)) == {1726.0}
    assert set(sink.values(SPEED)) == {64.0}
    assert report.states == [("up", "")]
    assert not link._backend._port.is_open
