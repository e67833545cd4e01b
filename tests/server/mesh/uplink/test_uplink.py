"""The uplink as a whole, against a base that decodes what it hears."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from server.catalogue import by_name
from server.mesh.air.airtime import PRESETS
from server.mesh.uplink.hello import Greeting
from server.mesh.uplink.plan import UplinkSettings
from server.mesh.uplink.uplink import DUTY_PAUSE_FIRST_S, TOO_LARGE, Level, Uplink
from server.wire import air
from server.wire.codec.packet import Header
from tests.server.mesh.uplink.uplink_world import NODE, START_NS, Loop, reading, seqs

LAT, LON, RPM = by_name("LAT").id, by_name("LON").id, by_name("RPM").id
FEW = {"RPM": 1.0, "SPEED": 1.0, "LAT": 1.0, "LON": 1.0, "COOLANT_TEMP": 1.0}
MANY = {"RPM": 1.0, "LAT": 1.0, "LON": 1.0, **dict.fromkeys(("MAF", "GPS_SPEED", "FUEL_RATE"), 1.0)}
TRACK = {"RPM": 1.0, "LAT": 1.0, "LON": 1.0}


def driving(time_s: float) -> dict[str, float]:
    """Give what a car reads that goes along, in whole steps of its sensors."""
    noise = random.Random(round(time_s))
    speed = 60 + 30 * math.sin(time_s / 20)
    return {
        "RPM": round(4 * speed * 35) / 4,
        "SPEED": float(round(speed)),
        "LAT": (312_000_000 + round(time_s * 900 + noise.gauss(0, 30))) / 6e6,
        "LON": (60_000_000 + round(time_s * 500 + noise.gauss(0, 30))) / 6e6,
        "COOLANT_TEMP": 90.0,
        "ENGINE_LOAD": noise.randrange(50, 200) * 20 / 51,
        "THROTTLE_POS": noise.randrange(50, 200) * 20 / 51,
        "MAF": noise.randrange(1000, 3000) / 100,
        "INTAKE_PRESSURE": float(noise.randrange(40, 180)),
        "FUEL_RATE": noise.randrange(20, 400) / 20,
        "GPS_SPEED": noise.randrange(20000, 40000) * 0.001852,
        "ALT": noise.randrange(100, 130) / 10,
        "TIMING_ADVANCE": noise.randrange(0, 60) / 2,
        "CONTROL_MODULE_VOLTAGE": noise.randrange(13800, 14200) / 1000,
    }


def loop(rates_hz: dict[str, float] = FEW, **settings: object) -> Loop:
    """Make a vehicle and a base."""
    world = {key: settings.pop(key) for key in ("preset", "knows_profile") if key in settings}
    made = UplinkSettings.of(rates_hz=rates_hz, profile="none", **settings)  # type: ignore[arg-type]
    return Loop(made, driving, **world)  # type: ignore[arg-type]


def check(world: Loop) -> int:
    """Compare every reading at the base with what was offered; give how many there are."""
    signals = {signal.id: signal for signal in world.uplink.profile.signals}
    hello = world.base.hello
    assert hello is not None
    start_s = (hello.utc_ms - START_NS // 1_000_000) / 1000
    for (row, signal), steps in world.base.readings.items():
        value = world.offered[round(start_s + row), signal]
        assert signals[signal].value(steps) == pytest.approx(value, abs=1e-9)
    return len(world.base.readings)


def test_every_reading_arrives_as_it_was() -> None:
    """With airtime to spare nothing is left out, and every value is the sensor's own."""
    world = loop()
    world.run(400)
    assert set(world.levels) == {"all"}
    assert check(world) >= 5 * (400 - 40)
    assert world.uplink.counters["readings_shed"] == 0
    assert world.base.voids == 0


def test_the_same_calls_give_the_same_messages() -> None:
    """Nothing depends on a clock or on chance."""
    runs = []
    for _ in range(2):
        world = loop(MANY)
        world.loss = 0.2
        world.run(300)
        runs.append([(at, message.payload) for at, message in world.sent])
    assert runs[0] == runs[1]


def test_a_row_waits_about_flush_s_while_there_is_airtime() -> None:
    """Packets of a calm drive on a fast preset are not held back to fill."""
    world = loop(preset="SHORT_FAST", flush_s=10.0)
    world.run(100)
    data = [at for at, message in world.sent if message.kind == "data"]
    assert max(later - sooner for sooner, later in pairwise(data)) <= 12


def test_payloads_fit_into_what_the_radio_takes() -> None:
    """231 bytes to all; 219 where each message is encrypted for one."""
    for is_direct, most in ((False, air.BROADCAST_BYTES), (True, air.DIRECT_BYTES)):
        world = loop(MANY, is_direct=is_direct)
        world.run(200)
        sizes = [len(message.payload) for _, message in world.sent]
        assert most - 12 < max(sizes) <= most


def test_every_packet_stands_alone() -> None:
    """Whatever was lost, what arrives can be read."""
    world = loop(MANY)
    world.loss = 0.5
    world.run(600)
    kinds = {
        Header(message.payload[air.DATA_BYTES :]).kind
        for _, message in world.sent
        if message.kind == "data"
    }
    assert kinds == {0}
    assert world.base.bad == 0
    assert check(world) > 0


@pytest.mark.parametrize("preset", ["LONG_FAST", "LONG_SLOW", "MEDIUM_SLOW"])
def test_the_budget_is_kept_and_used(preset: str) -> None:
    """More readings than airtime: the share is used, beside what was saved at first."""
    world = loop(MANY, preset=preset, duty_cycle_pct=3.0)
    world.run(900)
    assert 2.0 < world.airtime_pct(since_s=300) < 4.0
    assert world.airtime_pct() < 5.0


def test_position_goes_first_when_airtime_is_scarce() -> None:
    """Six signals, room for half: nearly all positions arrive, of the others a part."""
    world = loop(MANY, duty_cycle_pct=4.0)
    world.run(600)
    rows = [row for row, signal in world.base.readings if signal == LAT]
    others = [row for row, signal in world.base.readings if signal == RPM]
    assert len(rows) > 0.8 * 600
    assert 0 < len(others) < 0.7 * len(rows)
    assert Level.RANKED.value in world.levels
    check(world)


def test_the_ladder_goes_down_and_up_again() -> None:
    """A busy channel takes signals away, then the position; a free one gives all back."""
    world = loop(MANY)
    world.run(30)
    world.utilisation_pct = 37.0
    world.run(300)
    assert world.levels[-1] in ("position", "sparse")
    world.utilisation_pct = 45.0
    world.run(150)
    assert world.levels[-1] == "silent"
    assert world.airtime_pct(since_s=world.now_s - 50) == 0.0
    world.utilisation_pct = 10.0
    world.run(150)
    assert {"position", "ranked"} & set(world.levels[-150:])
    assert max(map(list(Level).index, map(Level, world.levels[-60:]))) <= 1


def test_alarms_go_at_once() -> None:
    """The row with the alarm is sent as soon as it is closed, and the position with it."""
    world = loop(alarms=["COOLANT_TEMP > 115"], flush_s=600.0)
    hot = {"COOLANT_TEMP": 116.0}
    world.values = lambda time_s: {**driving(time_s), **(hot if time_s >= 40 else {})}
    world.run(60)
    urgent = [at for at, message in world.sent if message.is_urgent]
    assert len(urgent) == 1
    assert 41.0 <= urgent[0] <= 42.0
    assert world.uplink.counters["alarms"] == 1
    ids = {signal for row, signal in world.base.readings}
    assert {LAT, LON, by_name("COOLANT_TEMP").id} <= ids


def test_alarms_go_on_a_busy_channel_and_when_nothing_is_left() -> None:
    """One frame on credit; a change is an alarm too."""
    world = loop(alarms=["SPEED"], flush_s=600.0)
    world.values = lambda time_s: {**driving(time_s), "SPEED": 50.0 if time_s < 200 else 51.0}
    world.utilisation_pct = 60.0
    world.run(190)
    quiet = len(world.sent)
    world.run(20)
    assert [message.is_urgent for _, message in world.sent[quiet:]] == [True]


def test_a_drive_out_of_range_is_sent_again() -> None:
    """Ten minutes unheard: what was packed then comes later, and nothing is given up."""
    world = loop()
    world.run(120)
    world.hears_vehicle = world.hears_base = False
    world.run(600)
    world.hears_vehicle = world.hears_base = True
    world.run(900)
    assert world.uplink.counters["given_up"] == 0
    assert world.uplink.counters["resent"] > 0
    assert world.uplink.unconfirmed <= 2
    assert check(world) >= 5 * (1620 - 80)


def test_new_rows_go_on_while_old_packets_come_again() -> None:
    """Half of the income is for each: the position is never held back by the past."""
    world = loop(MANY)
    world.hears_vehicle = world.hears_base = False
    world.run(900)
    world.hears_vehicle = world.hears_base = True
    world.run(400)
    recent = {row for row, signal in world.base.readings if signal == LAT and row > 1000}
    assert len(recent) > 150
    assert world.uplink.counters["resent"] >= 3


def test_hours_out_of_range_leave_a_track() -> None:
    """Full detail at first, then the position, then each tenth one, which lasts."""
    world = loop(TRACK, preset="SHORT_FAST", flush_s=5.0)
    world.hears_vehicle = world.hears_base = False
    world.run(6000)
    assert world.levels[100] == "all"
    assert world.levels[-1] == "sparse"
    assert world.levels.index("position") < world.levels.index("sparse")
    assert 96 <= world.uplink.unconfirmed <= air.MOST_BACK + 1
    world.hears_vehicle = world.hears_base = True
    world.ack_each_s = 20.0
    world.run(600)
    assert world.uplink.unconfirmed < 10
    assert world.levels[-1] == "all"
    check(world)


def test_back_tells_the_base_what_never_comes() -> None:
    """Beyond 128 numbers the oldest is given up, and the base can stop waiting for it."""
    world = loop(TRACK, preset="SHORT_TURBO", alarms=["RPM"], flush_s=1.0)  # an alarm each second
    world.hears_vehicle = False
    world.run(200)
    world.hears_vehicle = True
    world.ack_each_s = 10.0
    world.values = lambda time_s: {**driving(time_s), "RPM": 800.0}
    world.run(300)
    assert 0 < world.base.voids <= world.uplink.counters["given_up"]
    assert world.uplink.unconfirmed < 30


def test_a_hello_comes_first_and_when_it_is_asked_for() -> None:
    """It is repeated while nobody answers, and answers a question within a minute."""
    world = loop()
    world.hears_base = False
    world.run(700)
    assert world.kinds()[0] == "hello"
    assert world.kinds().count("hello") == 3
    world.hears_base = True
    world.base.asks = air.WANT_HELLO
    before = world.base.hellos
    world.run(130)
    assert world.base.hellos - before >= 2


def test_a_cold_profile_is_sent_when_it_is_asked_for() -> None:
    """In some parts, between data; from then on the base can read all that it missed."""
    world = loop(knows_profile=False)
    world.run(600)
    assert world.uplink.counters["profile_parts"] >= 1
    assert world.base.profile is not None
    assert world.base.profile.hash == world.uplink.profile.hash
    assert not world.uplink.wants_profile
    assert check(world) > 5 * 500


def test_a_trained_profile_is_not_sent() -> None:
    """It must be on both sides; the link says so."""
    world = Loop(UplinkSettings.of(), driving, knows_profile=False)
    world.run(200)
    assert "profile" not in world.kinds()
    assert world.uplink.wants_profile
    world.base.profile = world.uplink.profile
    world.run(300)
    assert not world.uplink.wants_profile


def test_a_refused_packet_is_sent_later() -> None:
    """The duty cycle of the radio is used up: nothing is lost, and it is left alone for a while."""
    world = loop()
    world.run(100)
    world.refusal = 9
    world.run(40)
    assert world.uplink.is_at_limit
    refused = world.uplink.counters["duty_refused"]
    assert refused == 1
    world.refusal = 0
    sent = len(world.sent)
    world.run(round(DUTY_PAUSE_FIRST_S) - 45)
    assert len(world.sent) == sent
    world.run(300)
    assert not world.uplink.is_at_limit
    assert check(world) >= 5 * (440 - 60)


def test_refusals_that_go_on_make_longer_pauses() -> None:
    """A radio at its limit is asked less and less often, at last each ten minutes."""
    world = loop(TRACK)
    world.refusal = 9
    world.run(3600)
    assert 6 <= world.uplink.counters["duty_refused"] <= 10


def test_a_packet_that_no_radio_takes_is_given_up() -> None:
    """Too large: the same again would be refused again."""
    world = loop()
    world.run(30)
    world.refusal = TOO_LARGE
    world.run(60)
    world.refusal = 0
    assert world.uplink.counters["given_up"] >= 1
    world.run(200)
    assert world.uplink.unconfirmed <= 3  # what went since the last acknowledgement


def test_a_full_queue_of_the_radio_holds_everything_back() -> None:
    """With few places free only alarms go; with none nothing does; rows are packed meanwhile."""
    world = loop(alarms=["SPEED > 1000"])
    world.run(60)
    before = len(world.sent)
    world.queue_free = 0
    world.run(200)
    world.queue_free = 2
    world.run(50)
    assert len(world.sent) == before
    world.queue_free = 16
    world.run(300)
    assert check(world) >= 5 * (610 - 60)


def test_the_radio_is_given_no_more_than_it_can_send_soon() -> None:
    """What waits is kept here, where something newer can still go before it."""
    world = loop()
    world.queue_free = 0
    world.run(400)
    world.queue_free = 16
    world.run(1)
    longest_s = PRESETS["LONG_FAST"].airtime_us(255) / 1e6
    at_once_s = sum(message.airtime_s for at, message in world.sent if at == world.now_s)
    assert at_once_s <= 2 * longest_s
    world.run(200)
    assert seqs(world.sent)[0] > min(seqs(world.sent))  # the newest went first


def test_a_clock_that_is_put_back_begins_a_new_stream() -> None:
    """Rows cannot be numbered backwards; the base learns the new start by a HELLO."""
    world = loop()
    world.run(100)
    boot = world.uplink.boot
    world.clock_offset_s = -3600.0
    world.run(5)
    assert world.uplink.boot != boot
    assert world.uplink.stream != boot & 255
    world.run(60)
    assert world.base.hello is not None
    assert world.base.hello.boot == world.uplink.boot
    assert world.uplink.counters["streams"] == 2


def test_a_clock_that_jumps_ahead_leaves_rows_out() -> None:
    """An hour without a call costs nothing and stops nothing."""
    world = loop()
    world.run(60)
    rows = world.uplink.counters["rows"]
    world.now_s += 3600.0
    world.run(60)
    assert world.uplink.counters["rows"] - rows < 700
    assert max(row for row, _ in world.base.readings) > 3600


def test_what_is_read_late_after_a_pause_is_in_its_row() -> None:
    """Stood still for 20 s, the gateway reads in many pieces what has piled up at its ports."""
    world = loop()
    world.run(60)
    late = world.uplink.counters["readings_late"]
    paused_s, world.now_s = world.now_s, world.now_s + 20.0
    for second in range(20):
        world.send()
        batch = [reading(name, paused_s + second, value)
                 for name, value in driving(paused_s + second).items()]  # fmt: skip
        for one in batch:
            world.offered[round(paused_s + second), one.signal] = one.value
        world.uplink.offer(batch)
    world.run(60)
    assert check(world) >= 5 * (140 - 40)
    assert world.uplink.counters["readings_late"] == late


def test_who_is_seldom_called_still_closes_its_rows() -> None:
    """A row is held once, not at each call."""
    world = loop()
    for _ in range(30):
        world.run(1)
        world.now_s += 9.0
    assert world.uplink.counters["rows"] > 260
    assert check(world)


def test_vehicles_with_the_same_clock_do_not_speak_at_once() -> None:
    """Twelve that started together: rows close, packets end and resends go at other instants."""
    settings = UplinkSettings.of(rates_hz=TRACK, profile="none")
    firsts, packets, resends = set(), set(), set()
    for boot in range(1, 13):
        world = Loop(settings, driving, preset="SHORT_FAST", boot=boot)
        firsts.add(round(world.uplink.wait_s(START_NS, 0.0), 1))
        world.ack_each_s = 0
        world.run(40)
        packets.add(next(at for at, message in world.sent if message.kind == "data"))
        world.hears_vehicle = False
        world.run(50)
        world.hears_vehicle = True
        acked_s = world.now_s
        world.uplink.take(world.base.ack(), acked_s)
        world.run(12)
        resends.add(next(at - acked_s for at, message in world.sent if message.is_again))
    assert len(firsts) >= 5
    assert len(packets) >= 4
    assert len(resends) >= 5


def test_a_parked_car_is_silent() -> None:
    """Without readings there are no packets, only a HELLO now and then."""
    world = loop()
    world.run(60)
    world.values = lambda _time_s: {}
    world.run(60)
    sent = len(world.sent)
    world.run(1000)
    assert [message.kind for _, message in world.sent[sent:]] in ([], ["hello"])


def test_acknowledgements_of_others_change_nothing() -> None:
    """Another vehicle's, another start's, one for numbers that were never sent, garbage."""
    world = loop()
    world.hears_base = False
    world.run(100)
    uplink, waiting = world.uplink, world.uplink.unconfirmed
    assert waiting > 0
    stream = uplink.stream
    assert not uplink.take(air.Acks([air.Ack(NODE + 1, stream, 0, 99, 0)]).to_bytes(), 100.0)
    assert uplink.take(air.Acks([air.Ack(NODE, stream ^ 1, 0, 1, 0)]).to_bytes(), 100.0)
    assert uplink.take(air.Acks([air.Ack(NODE, stream, 0, 99, 0)]).to_bytes(), 100.0)
    assert not uplink.take(b"\x18", 100.0)
    assert not uplink.take(air.Hello(1, 0, 0, bytes(8)).to_bytes(), 100.0)
    assert (uplink.unconfirmed, uplink.acked_s) == (waiting, None)


def test_a_base_that_knows_another_start_gets_a_hello() -> None:
    """After a restart of the vehicle's gateway the base speaks of the old stream for a while."""
    world = loop()
    world.hears_base = False
    world.run(100)
    before = world.kinds().count("hello")
    stale = air.Acks([air.Ack(NODE, world.uplink.stream ^ 1, 0, 40, 0)])
    world.uplink.take(stale.to_bytes(), world.now_s)
    world.run(2)
    assert world.kinds().count("hello") == before + 1


def test_nothing_is_sent_before_there_is_a_radio() -> None:
    """Rows are packed all the same, and go when it is there."""
    uplink = Uplink(UplinkSettings.of(rates_hz=FEW, profile="none"), 5, NODE)
    for second in range(120):
        values = driving(float(second)).items()
        uplink.offer([reading(name, float(second), value) for name, value in values])
        now_ns = START_NS + (second + 1) * 1_000_000_000
        assert uplink.next(now_ns, second + 1.0) is None
    assert uplink.counters["rows"] > 100
    assert uplink.unconfirmed > 0
    uplink.radio("SHORT_FAST", region_duty_pct=10.0)
    first = uplink.next(START_NS + 121_000_000_000, 121.0)
    assert first is not None
    assert first.kind == "hello"
    with pytest.raises(ValueError, match="LONG_FAST"):
        uplink.radio("LONGFAST", region_duty_pct=10.0)


def test_a_profile_is_not_sent_twice_for_one_question() -> None:
    """The base asks until it has all parts; a question that crossed the last one is an old one."""
    greeting = Greeting(UplinkSettings.of(rates_hz={"RPM": 1.0}).profile, 5, is_trained=False)
    greeting.heard(air.WANT_PROFILE, 10.0)
    parts = 0
    while greeting.part(231) is not None:
        greeting.part_sent(12.0)
        parts += 1
    assert parts == 1
    greeting.heard(air.WANT_PROFILE, 20.0)
    assert greeting.part(231) is None
    greeting.heard(air.WANT_PROFILE, 33.0)
    assert greeting.part(231) is not None
