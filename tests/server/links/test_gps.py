"""The GPS link on a PTY, with real pyserial and real pynmea2."""

from __future__ import annotations

import asyncio
import datetime
import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import by_name
from server.clock import SystemClock
from server.config_section import Where
from server.errors import ConfigError, LinkLost
from server.links.gps import GpsLink, GpsOptions, readings_of
from server.links.nmea import Fix
from server.links.nmea_lines import checksum

LAT, LON, ALT, SPEED, SATS = (
    by_name(name).id for name in ("LAT", "LON", "ALT", "GPS_SPEED", "SATS")
)
WHERE = Where("gateway.toml", ("links", "gps"), {("links", "gps"): 7})


class Later(SystemClock):
    """Durations are those that a test says."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


def line(body: str) -> bytes:
    """A sentence with checksum and line end."""
    return b"$%s*%02X\r\n" % (body.encode(), checksum(body.encode()))


def burst(second: int, status: str = "A", course: str = "84.4") -> bytes:
    """RMC and GGA of 2025-03-18 17:19:`second`, west of Greenwich."""
    quality = int(status == "A")
    return line(
        f"GNRMC,1719{second}.00,{status},4404.1,N,12118.8,W,10.0,{course},180325,,,{status}"
    ) + line(f"GNGGA,1719{second}.00,4404.1,N,12118.8,W,{quality},12,0.91,1147.2,M,-21.3,M,,")


def make(port: str, sink, report, **options) -> GpsLink:
    """A link with short times."""
    return GpsLink(
        "gps", GpsOptions(port, **options), sink=sink, clock=SystemClock(), report=report
    )


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


@pytest.mark.promise("D06")
async def test_a_fix_becomes_readings_at_its_utc_time(receiver, sink, report) -> None:
    """All values of an epoch carry the epoch's instant; the link is up; west is negative."""
    link = make(receiver.path, sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: link._port.is_open)
    receiver.send(burst(26))
    await until(lambda: sink.readings)
    receiver.send(burst(27))
    await until(lambda: len(sink.batches) == 2)
    await stop(task)
    at = datetime.datetime(2025, 3, 18, 17, 19, 26, tzinfo=datetime.UTC)
    assert {reading.time_ns for reading in sink.batches[0]} == {int(at.timestamp()) * 10**9}
    assert sink.values(LON) == [pytest.approx(-121.313333)] * 2
    assert sink.values(SPEED) == [pytest.approx(18.52)] * 2
    assert sink.values(SATS) == [12.0] * 2
    assert report.states == [("up", "")]
    assert link.counters["epochs"] == 2


async def test_no_fix_degrades_and_stores_nothing(receiver, sink, report) -> None:
    """Void epochs are counted and reported, and a fix brings the link up again."""
    link = make(receiver.path, sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: link._port.is_open)
    receiver.send(burst(26, "V") + burst(27, "V"))
    await until(lambda: link.counters["epochs_no_fix"] == 2)
    assert sink.readings == []
    receiver.send(burst(28))
    await until(lambda: sink.readings)
    await stop(task)
    assert report.states == [("degraded", "no fix"), ("up", "")]


async def test_without_an_epoch_all_that_was_told_is_stale(receiver, sink, report) -> None:
    """Noise instead of epochs: speed and altitude are as old as the position, and it says so."""
    link = make(receiver.path, sink, report, stale_s=0.3)
    task = asyncio.create_task(link.run())
    await until(lambda: link._port.is_open)
    receiver.send(burst(26) + burst(27))
    await until(lambda: ("degraded", "no epoch for 0.3 s") in report.states)
    assert {LAT, LON, ALT, SPEED, SATS} <= set(link.stale_s)
    assert set(link.stale_s.values()) == {0.3}
    receiver.send(burst(28) + burst(29))
    await until(lambda: report.states[-1] == ("up", ""))
    await stop(task)


async def test_garbage_is_counted_and_survived(receiver, sink, report) -> None:
    """Noise, a wrong checksum, an impossible time and a flood cost nothing but themselves."""
    link = make(receiver.path, sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: link._port.is_open)
    receiver.send(
        bytes(range(256)) + b"$GNRMC,1719*00\r\n" + line("GNRMC,250000.00,A") + b"x" * 3000
    )
    receiver.send(burst(26) + burst(27))
    await until(lambda: sink.readings)
    await stop(task)
    assert link.counters["sentences_bad_checksum"] == 1
    assert link.counters["sentences_bad_field"] == 1
    assert link.counters["noise_bytes"] > 3000


async def test_an_unplugged_receiver_loses_the_link(receiver, sink, report) -> None:
    """A hang-up ends `run()` with the port and the cause."""
    link = make(receiver.path, sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: link._port.is_open)
    receiver.unplug()
    with pytest.raises(LinkLost, match=r"ttyGPS went away"):
        await asyncio.wait_for(task, 5)


async def test_a_replugged_receiver_is_read_again(receiver, sink, report) -> None:
    """A new link object reads the port that came back under the same name."""
    receiver.unplug()
    with pytest.raises(LinkLost, match=r"expected a serial port at .*No such file"):
        await make(receiver.path, sink, report).run()
    receiver.plug()
    link = make(receiver.path, sink, report)
    task = asyncio.create_task(link.run())
    await until(lambda: link._port.is_open)
    receiver.send(burst(26) + burst(27))
    await until(lambda: sink.readings)
    await stop(task)


async def test_a_busy_port_is_refused(receiver, sink, report) -> None:
    """Two readers on one port would each get half of the bytes."""
    first = make(receiver.path, sink, report)
    task = asyncio.create_task(first.run())
    await until(lambda: first._port.is_open)
    with pytest.raises(LinkLost, match="another program holds it"):
        await make(receiver.path, sink, report).run()
    await stop(task)


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b"", "not one byte"),
        (b"\xf3\x9e" * 40, "baud 9600 wrong"),
        (line("GPGSA,A,3,20,16,,,,,,,,,,,1.64,0.98,1.31"), "none of them RMC, GGA or GNS"),
    ],
)
def test_silence_loses_the_link_with_its_cause(sent, cause, sink, report) -> None:
    """No byte, no sentence and no position are told apart."""
    clock = Later()
    link = GpsLink("gps", GpsOptions("/dev/ttyX"), sink=sink, clock=clock, report=report)
    link.take(sent)
    clock.now_s = 5.1
    with pytest.raises(LinkLost, match=cause):
        link.take(b"")


def test_a_flood_is_told_from_silence(sink, report) -> None:
    """After epochs, bytes without any position and no bytes at all are named differently."""
    for noise, cause in (
        (b"", "found silence"),
        (b"#" * 900, "900 bytes without a whole position"),
    ):
        clock = Later()
        link = GpsLink("gps", GpsOptions("/dev/ttyX"), sink=sink, clock=clock, report=report)
        link.take(burst(26) + burst(27))
        clock.now_s = 1.0
        link.take(noise)
        clock.now_s = 8.0
        with pytest.raises(LinkLost, match=cause):
            link.take(b"")


def test_damaged_sentences_do_not_hold_a_position_up(sink, report) -> None:
    """What a position still waits for got lost, and so did all that came since: the line is never
    quiet, and no later epoch begins."""
    clock = Later()
    link = GpsLink("gps", GpsOptions("/dev/ttyX"), sink=sink, clock=clock, report=report)
    link.take(burst(26) + burst(27))
    rmc, gga = burst(28).splitlines(True)
    clock.now_s = 1.0
    link.take(rmc)
    link.take(gga.replace(b"4404", b"4405"))
    told_s = []
    for step in range(1, 12):
        clock.now_s = 1.0 + 0.1 * step
        link.take(burst(29).replace(b"4404", b"4405"))
        if len(sink.batches) == 3:
            told_s.append(clock.now_s)
    assert told_s[:1] == [pytest.approx(1.9)]
    assert len(sink.batches) == 3


def test_a_value_out_of_range_is_left_out() -> None:
    """An altitude of 90 km is no altitude; the rest of the fix is kept."""
    counters: Counter[str] = Counter()
    fix = Fix(1, 2, lat_deg=44.0, lon_deg=-121.0, alt_m=90_000.0, speed_kph=10.0)
    assert [reading.signal for reading in readings_of(fix, counters)] == [LAT, LON, SPEED]
    assert counters["values_rejected"] == 1


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([burst(26), burst(27)]))))
def test_any_bytes_never_raise(chunks: list[bytes]) -> None:
    """The whole chain takes anything, and stores only what the sentences said."""
    batches: list = []

    class Silent:
        def up(self, reason: str = "") -> None: ...
        def degraded(self, reason: str) -> None: ...
        def vehicle(self, vin: str) -> None: ...

    link = make("/dev/null", batches.append, Silent(), silence_s=3600.0)
    link._epoch_s = link.clock.monotonic_s()
    for chunk in chunks:
        link.take(chunk)
    for batch in batches:
        for reading in batch:
            assert reading.signal != LON or reading.value == pytest.approx(-121.313333)


def test_options_are_parsed() -> None:
    """A complete table, and the defaults of a short one."""
    options = GpsLink.parse(
        "gps",
        {"port": "/dev/ttyUSB0", "baud": 115200, "stale_s": 1, "oldest_date": "2024-05-01"},
        WHERE,
    )
    assert (options.baud, options.stale_s) == (115200, 1.0)
    assert options.oldest_date == datetime.date(2024, 5, 1)
    assert GpsLink.parse("gps", {"port": "/dev/ttyUSB0"}, WHERE) == GpsOptions("/dev/ttyUSB0")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "port"),
        ({"port": "/dev/x", "baud": "fast"}, "baud"),
        ({"port": "/dev/x", "bauds": 9600}, "did you mean 'baud'"),
        ({"port": "/dev/x", "oldest_date": "yesterday"}, "a date like 2020-01-01"),
    ],
)
def test_wrong_options_name_the_key(table: dict, message: str) -> None:
    """Absent, wrong and unknown keys are refused with file and line."""
    with pytest.raises(ConfigError, match=message) as caught:
        GpsLink.parse("gps", table, WHERE)
    assert str(caught.value).startswith("gateway.toml:7")


async def test_signals_that_are_due_are_declared(sink, report) -> None:
    """Latitude and longitude from the start; the rest when it was told, for some never do."""
    link = make("/dev/null", sink, report, stale_s=2.0, silence_s=math.inf)
    assert link.stale_s == {LAT: 2.0, LON: 2.0}
    link.take(burst(10))
    link.take(burst(11))  # the first burst ends when the second one begins
    assert {LAT, LON, ALT, SPEED, SATS} <= set(link.stale_s)


def test_each_sentence_has_its_own_rate(sink, report) -> None:
    """Altitude each two seconds: three of them make it overdue; without a fix it is at once."""
    link = make("/dev/null", sink, report, stale_s=3.0, silence_s=math.inf)
    for second in range(10, 15):
        link.take(burst(second) if second % 2 == 0 else burst(second).splitlines(True)[0])
    assert (link.stale_s[LAT], link.stale_s[ALT], link.stale_s[SPEED]) == (3.0, 6.0, 3.0)
    link.take(burst(15, "V"))
    assert link.stale_s[ALT] == 3.0


def test_what_a_receiver_leaves_out_is_no_fault(sink, report) -> None:
    """At rest it tells no course. A sentence that does not come is another matter."""
    link = make("/dev/null", sink, report, stale_s=3.0, silence_s=math.inf)
    heading = by_name("GPS_HEADING").id
    for second in range(10, 13):
        link.take(burst(second))
    assert not link.absent
    link.take(burst(13, course="") + burst(14, course=""))
    assert set(link.absent) == {heading}
    link.take(burst(15).splitlines(True)[0] + burst(16).splitlines(True)[0])
    assert not link.absent
