"""The OBD link: plan in, readings out, and every way of ending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.catalogue import by_name
from server.clock import SystemClock
from server.config_section import Where
from server.errors import ConfigError, LinkLost
from server.obd.backend import Trouble
from server.obd.elm import adapter
from server.obd.link import ObdLink, ObdOptions
from server.obd.plan import DEFAULT_PLAN

pytest.importorskip("obd", reason="python-OBD (extra obd) is not installed")

pytestmark = pytest.mark.usefixtures("short_sleeps")
WHERE = Where("gateway.toml", ("links", "obd"), {("links", "obd"): 3})
RPM, SPEED, MAP, BARO, BOOST, OIL = (
    by_name(name).id
    for name in ("RPM", "SPEED", "INTAKE_PRESSURE", "BAROMETRIC_PRESSURE", "BOOST", "OIL_TEMP")
)


def parse(plan: list[dict], **table) -> ObdOptions:
    """Options on protocol 6 with short limits."""
    table = {"port": "/dev/ttyX", "baud": 38400, "protocol": "6", "reply_timeout_s": 1.0} | table
    table = {key: value for key, value in table.items() if value is not None}
    return ObdLink.parse("obd", table | {"plan": plan}, WHERE)


def rated(**rates: float | str) -> list[dict]:
    """A plan from names and rates."""
    return [{"signal": name, "rate_hz": rate} for name, rate in rates.items()]


def make(options: ObdOptions, sink, report) -> ObdLink:
    """A link."""
    return ObdLink("obd", options, sink=sink, clock=SystemClock(), report=report)


async def until(condition: Callable[[], object]) -> None:
    """Wait for the reader's thread."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became true")


async def stop(task: asyncio.Task) -> None:
    """Cancel as the supervisor does."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.promise("D05")
async def test_the_plan_becomes_readings(elm, sink, report) -> None:
    """Each value is stored under its signal, measured when it was received; the car is named."""
    link = make(parse(rated(RPM="max", SPEED=20), port=elm.path), sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: len(sink.values(SPEED)) >= 3)
    await stop(task)
    assert set(sink.values(RPM)) == {1726.0}
    assert set(sink.values(SPEED)) == {64.0}
    assert all(reading.time_ns == reading.received_ns for reading in sink.readings)
    assert report.vins == ["WF0DXXGAKDDK12345"]
    assert report.states == [("up", "")]
    assert link.counters["readings"] == len(sink.readings)


async def test_boost_is_derived_at_each_manifold_reading(elm, sink, report) -> None:
    """BOOST in the plan asks for both pressures, and is their difference in psi at one instant."""
    link = make(parse(rated(BOOST=50), port=elm.path), sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: len(sink.values(BOOST)) >= 2)
    await stop(task)
    assert sink.values(BOOST)[0] == pytest.approx(14.50377)
    for batch in sink.batches:
        assert [reading.signal for reading in batch] in ([BARO], [MAP], [MAP, BOOST])
        assert len({reading.time_ns for reading in batch}) == 1


def test_an_old_barometer_gives_no_boost(sink, report) -> None:
    """A minute after the last barometric pressure there is no boost any more."""

    class Later(SystemClock):
        now_s = 0.0

        def monotonic_s(self) -> float:
            return self.now_s

    clock = Later()
    link = ObdLink("obd", parse(rated(BOOST=1)), sink=sink, clock=clock, report=report)
    link._deliver(link._readings(by_name("BAROMETRIC_PRESSURE"), 100.0))
    for clock.now_s in (59.0, 61.0):
        link._deliver(link._readings(by_name("INTAKE_PRESSURE"), 200.0))
    assert len(sink.values(BOOST)) == 1


def test_a_value_out_of_range_is_rejected(sink, report) -> None:
    """What the catalogue calls impossible is counted, not stored; the ends of the range are
    stored."""
    link = make(parse(rated(RPM=1)), sink, report)
    signal = by_name("ENGINE_LOAD")
    for value in (-1.0, 101.0, 0.0, 100.0000001):
        link._deliver(link._readings(signal, value))
    assert link.counters["values_rejected"] == 2
    assert sink.values(signal.id) == [0.0, 100.0000001]


async def test_pids_that_the_car_lacks_are_not_asked(elm, sink, report) -> None:
    """The bitmap says no to OIL_TEMP: it is reported once and not waited for."""
    link = make(parse(rated(RPM="max", OIL_TEMP=1), port=elm.path), sink, report)
    assert OIL in link.stale_s
    task = asyncio.create_task(link.run())
    await until(lambda: sink.readings)
    await stop(task)
    assert not any(asked.startswith(b"015C") for asked in elm.asked)
    assert report.states == [("up", "no answer to OIL_TEMP")]
    assert set(link.stale_s) == {RPM}


async def test_a_pid_that_never_answers_is_demoted(elm, sink, report) -> None:
    """Promised by the bitmap and silent: asked five times, then rarely, and reported."""
    elm.replies[b"010D"] = b"NO DATA\r\r>"
    link = make(parse(rated(RPM="max", SPEED=100), port=elm.path), sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: link.counters["no_data"] >= 5)
    answered = len(sink.readings)
    await until(lambda: len(sink.readings) > answered + 50)
    assert link.counters["no_data.SPEED"] == 5
    assert ("up", "no answer to SPEED") in report.states
    assert set(link.stale_s) == {RPM}
    # It comes back when it answers: here the 30 s are over at once.
    elm.replies[b"010D"] = b"7E8 03 41 0D 40 \r\r>"
    next(slot for slot in link._schedule.slots if slot.demoted).due_s = 0.0
    await until(lambda: len(sink.values(SPEED)) > 1)
    await stop(task)
    assert report.states[-1] == ("up", "")
    assert set(link.stale_s) == {RPM, SPEED}


async def test_a_car_without_any_planned_pid_is_refused(elm, sink, report) -> None:
    """Nothing to ask is an error with the names."""
    link = make(parse(rated(OIL_TEMP=1), port=elm.path), sink, report)
    with pytest.raises(LinkLost, match="none of the planned PIDs: OIL_TEMP"):
        await asyncio.wait_for(link.run(), 10)


async def test_a_car_gone_silent_loses_the_link(elm, sink, report) -> None:
    """NO DATA for everything is no connection, though the adapter answers (python-OBD#203)."""
    link = make(parse(rated(RPM="max"), port=elm.path, silence_s=1.0), sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: sink.readings)
    elm.replies[b"010C"] = b"NO DATA\r\r>"
    with pytest.raises(LinkLost, match=r"expected a reading each 1 s.*NO DATA"):
        await asyncio.wait_for(task, 10)


async def test_a_lost_link_can_be_made_again(elm, sink, report) -> None:
    """Unplugged and plugged in again, a new link object reads on."""
    options = parse(rated(RPM="max"), port=elm.path)
    task = asyncio.create_task(make(options, sink, report).run())
    await until(lambda: sink.readings)
    elm.unplug()
    with pytest.raises(LinkLost, match="expected a serial port"):
        await asyncio.wait_for(task, 10)
    elm.plug()
    before = len(sink.readings)
    task = asyncio.create_task(make(options, sink, report).run())
    await until(lambda: len(sink.readings) > before)
    await stop(task)


async def test_the_protocol_is_searched_once(elm, sink, report) -> None:
    """The next attempt starts with the protocol found; if that fails, the one after searches."""
    elm.replies |= {b"ATSP0": b"OK\r\r>", b"ATDPN": b"A6\r\r>"}
    options = parse(rated(RPM="max"), port=elm.path, protocol=None)
    for protocol in (b"ATSP0", b"ATTP6"):
        task = asyncio.create_task(make(options, sink, report).run())
        before = len(sink.readings)
        await until(lambda before=before: len(sink.readings) > before)
        await stop(task)
        assert protocol in elm.asked
        elm.asked.clear()
    elm.replies[b"0100"] = b"UNABLE TO CONNECT\r\r>"
    for protocol in (b"ATTP6", b"ATSP0"):
        with pytest.raises(LinkLost, match="with a car behind it"):
            await make(options, sink, report).run()
        assert protocol in elm.asked
        elm.asked.clear()


async def test_cancelling_does_not_wait_for_a_mute_adapter(elm, sink, report) -> None:
    """A stop in the middle of a wait for a reply closes the port and ends the thread."""
    link = make(parse(rated(RPM="max"), port=elm.path, reply_timeout_s=60.0), sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: sink.readings)
    elm.answer = lambda command: None
    await asyncio.sleep(0.05)
    await asyncio.wait_for(stop(task), 2.0)
    assert not link._backend._guard.port.is_open


async def test_bad_replies_are_counted_by_kind(elm, sink, report) -> None:
    """Each kind of trouble has its counter from the start."""
    link = make(parse(rated(RPM="max"), port=elm.path), sink, report)
    assert {trouble.value for trouble in Trouble} <= link.counters.keys()
    task = asyncio.create_task(link.run())
    await until(lambda: sink.readings)
    elm.replies[b"010C"] = b"7E8 04 41 0C 1A \r\r>"
    await until(lambda: link.counters["replies_cut"] >= 2)
    await stop(task)


# -- the configuration -----------------------------------------------------------------------------
def test_options_are_parsed() -> None:
    """Ports, limits and the plan, in their types."""
    options = parse(
        [{"signal": "RPM", "rate_hz": 5}, {"signal": "SPEED", "rate_hz": "max", "weight": 2}],
        fast=False,
    )
    assert options.backend.baud == 38400
    assert options.backend.fast is False
    assert [(e.signal.name, e.rate_hz, e.weight) for e in options.plan] == [
        ("RPM", 5.0, 1.0),
        ("SPEED", None, 2.0),
    ]
    assert ObdLink.parse("obd", {"port": "/dev/x"}, WHERE).plan == DEFAULT_PLAN


def test_planning_boost_plans_both_pressures() -> None:
    """BOOST raises INTAKE_PRESSURE to its rate and adds the barometer if it is not there."""
    names = {e.signal.name: e.rate_hz for e in parse(rated(BOOST=5, INTAKE_PRESSURE=1)).plan}
    assert names == {"INTAKE_PRESSURE": 5.0, "BAROMETRIC_PRESSURE": 0.2}
    names = {
        e.signal.name: e.rate_hz for e in parse(rated(BAROMETRIC_PRESSURE=1, BOOST="max")).plan
    }
    assert names == {"BAROMETRIC_PRESSURE": 1.0, "INTAKE_PRESSURE": None}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([{"signal": "RPMS", "rate_hz": 1}], "did you mean RPM"),
        ([{"signal": "LAT", "rate_hz": 1}], "an OBD signal or BOOST"),
        ([{"signal": "RPM", "rate_hz": "fast"}], '"max"'),
        ([{"signal": "RPM", "rate_hz": 0}], "rate_hz"),
        ([{"signal": "RPM"}], "rate_hz"),
        ([{"signal": "RPM", "rate_hz": 1, "wieght": 2}], "did you mean 'weight'"),
        ([{"signal": "RPM", "rate_hz": 1}, {"signal": "RPM", "rate_hz": 2}], "each signal once"),
    ],
)
def test_a_wrong_plan_names_the_place(plan: list[dict], message: str) -> None:
    """Unknown signals, rates and keys are refused with file and line."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse(plan)
    assert str(caught.value).startswith("gateway.toml:3")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"protocol": "B"}, "protocol"),
        ({"reply_timeout_s": 0}, "reply_timeout_s"),
        ({"port": ""}, "port"),
        ({"ports": "x"}, "did you mean 'port'"),
    ],
)
def test_wrong_options_name_the_key(table: dict, message: str) -> None:
    """Wrong and unknown keys are refused."""
    with pytest.raises(ConfigError, match=message):
        parse([], **table)


def test_a_missing_library_is_a_configuration_error(monkeypatch) -> None:
    """Without the extra, the configuration is refused with what to install."""
    monkeypatch.setattr(adapter, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install 'telerig\[obd\]'"):
        parse([])


def test_signals_go_stale_after_three_periods(sink, report) -> None:
    """Slow signals have longer limits; BOOST is due where both pressures are."""
    link = make(parse(rated(RPM=5, BOOST=1), stale_s=2.0), sink, report)
    assert link.stale_s == {
        RPM: 2.0,
        MAP: 3.0,
        BARO: pytest.approx(15.0),
        BOOST: pytest.approx(15.0),
    }


async def test_a_slow_plan_is_not_silence(elm, sink, report) -> None:
    """With nothing due for longer than `silence_s`, the link waits for three periods."""
    link = make(parse(rated(RPM=0.1), port=elm.path, silence_s=5.0), sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: sink.readings)
    await stop(task)
    assert link._silence_s == pytest.approx(30.0)
