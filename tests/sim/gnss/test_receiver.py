"""A receiver on its line: epochs, cold start, outages, a line too slow, input of any kind."""

from __future__ import annotations

import datetime
import hashlib
import math
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.gnss import HOT, PROFILES, GnssError, Motion, Satellite, SkyView, System
from sim.gnss.commands import ubx_frame
from sim.gnss.fields import NS_PER_S, sentence

NAMES = sorted(PROFILES)


def test_epochs_stand_on_the_utc_grid(bench: Any) -> None:
    """At 10 Hz the truth is taken at exact tenths of UTC although the world began at .037."""
    stand = bench("ublox_m8", rate_hz=10.0, epoch_ns=1_760_000_000_037_000_000, power_on=False)
    stand.run(2.0)
    assert len(stand.epochs) == 20
    for t_s, _, fix in stand.epochs:
        assert fix.time_ns % 100_000_000 == 0
        assert fix.time_ns == 1_760_000_000_037_000_000 + round(t_s * 1e9)


def test_fix_is_what_the_wire_says(bench: Any) -> None:
    """`on_epoch` reports each fix in the very digits of RMC and GGA."""
    stand = bench("ublox_m8").run(30.5)
    pairs = list(zip(stand.epochs, stand.named("RMC"), stand.named("GGA"), strict=True))
    assert len(pairs) == 30
    for (_, _, fix), rmc, gga in pairs:
        fields, gga_fields = rmc.split(","), gga.split(",")
        assert fields[1] == datetime.datetime.fromtimestamp(
            fix.time_ns / NS_PER_S, datetime.UTC
        ).strftime("%H%M%S.00")
        assert fix.valid is (fields[2] == "A")
        assert fix.lat_deg == pytest.approx(
            int(fields[3][:2]) + float(fields[3][2:]) / 60, abs=1e-12
        )
        assert fix.lon_deg == pytest.approx(
            int(fields[5][:3]) + float(fields[5][3:]) / 60, abs=1e-12
        )
        assert fix.speed_mps == pytest.approx(float(fields[7]) * 1852 / 3600, abs=1e-12)
        assert fix.course_deg == float(fields[8])
        assert (fix.satellites, fix.hdop) == (int(gga_fields[7]), float(gga_fields[8]))
        assert fix.alt_m == float(gga_fields[9])


@pytest.mark.parametrize("name", NAMES)
def test_error_is_metres_and_slow(bench: Any, name: str) -> None:
    """A fix is off by less than 15 m, and by about the same a second later."""
    stand = bench(name, seed=5).run(200.0)
    offsets = [
        ((fix.lat_deg - truth.lat_deg) * 111_200.0, (fix.lon_deg - truth.lon_deg) * 71_000.0)
        for _, truth, fix in stand.epochs
    ]
    assert 0.05 < max(math.hypot(*offset) for offset in offsets) < 15.0
    steps = [math.dist(a, b) for a, b in pairwise(offsets)]
    assert max(steps) < 3.0


@pytest.mark.parametrize("name", NAMES)
def test_cold_start(bench: Any, name: str) -> None:
    """First nothing, then time, then date, then a position 20 s after power-up; never 0, 0."""
    stand = bench(name, cold_start_s=20.0).run(25.5)
    fixes = [fix for _, _, fix in stand.epochs]
    assert fixes[0] is None
    valid = [fix is not None and fix.valid for fix in fixes]
    assert valid == sorted(valid)
    first_t_s = stand.epochs[valid.index(True)][0]
    assert first_t_s == pytest.approx(20.0, abs=1.01)
    rmcs = [line.split(",") for line in stand.named("RMC")]
    for fields, good in zip(rmcs, valid, strict=True):
        assert fields[2] == ("A" if good else "V")
        assert bool(fields[3]) is good
    known = [(bool(f[1]), bool(f[9])) for f in rmcs]
    if PROFILES[name].family == "mtk":
        assert rmcs[0][9] == "060180"  # its clock begins with GPS week 0
    else:
        assert known[0] == (False, False)
        assert (True, False) in known
    assert known == sorted(known)


def test_tunnel(bench: Any) -> None:
    """No position in the tunnel, time and date go on, and it is back a few seconds after it."""
    stand = bench("ublox_m8")
    stand.receiver.add_outage(20.0, 50.0, "tunnel")
    stand.run(70.5)
    valid = {round(t_s): fix.valid for t_s, _, fix in stand.epochs}
    assert all(valid[t] for t in range(1, 20))
    assert not any(valid[t] for t in range(20, 51))
    assert all(valid[t] for t in range(55, 70))
    dark = [line for line in stand.named("RMC") if ",V,,,,," in line]
    assert len(dark) >= 31
    assert all(line.split(",")[1] and line.split(",")[9] == "091025" for line in dark)
    assert "99.99" in stand.named("GGA")[30]


def test_canyon(bench: Any) -> None:
    """Between houses there are fewer satellites, a worse HDOP and a larger error."""
    open_sky, canyon = bench("ublox_m9", seed=4), bench("ublox_m9", seed=4)
    canyon.receiver.add_outage(0.0, 300.0, "canyon")

    def figures(stand: Any) -> tuple[float, float]:
        fixes = [(truth, fix) for _, truth, fix in stand.run(300.0).epochs if fix.valid]
        assert fixes
        errors = [abs(fix.lat_deg - truth.lat_deg) * 111_200.0 for truth, fix in fixes]
        return sum(fix.hdop for _, fix in fixes) / len(fixes), sum(errors) / len(errors)

    (hdop, error_m), (canyon_hdop, canyon_error_m) = figures(open_sky), figures(canyon)
    assert canyon_hdop > 1.5 * hdop
    assert canyon_error_m > 1.5 * error_m


def test_a_sky_of_ones_own(bench: Any) -> None:
    """A given sky decides: three satellites are no fix, five are."""

    def sky(t_s: float) -> SkyView:
        count = 5 if t_s > 10.0 else 3
        return SkyView(
            tuple(
                Satellite(System.GPS, n + 1, 15.0 + 17.0 * n, 100.0 * n, 40.0) for n in range(count)
            )
        )

    stand = bench("mt3339", sky=sky).run(30.5)
    assert [fix.valid for _, _, fix in stand.epochs][8] is False
    assert stand.epochs[-1][2].valid
    assert stand.epochs[-1][2].satellites == 5


# -- the line ------------------------------------------------------------------
@pytest.mark.parametrize(("baud", "low_s", "high_s"), [(9600, 0.75, 1.0), (115_200, 0.09, 0.15)])
def test_the_line_decides_when_the_last_sentence_comes(
    bench: Any, baud: int, low_s: float, high_s: float
) -> None:
    """An M8's epoch of 800 bytes is complete 0.8 s late at 9600 baud; RMC is there first."""
    stand = bench("ublox_m8", baud=baud).run(10.5)
    for number in range(4, 9):
        at = [t_s - number for t_s, data in stand.arrivals if f"0853{20 + number}.00" in str(data)]
        assert at[0] < 0.16
        assert low_s < at[-1] < high_s


def test_ublox_on_a_slow_line_drops_sentences(bench: Any) -> None:
    """At 10 Hz and 9600 baud whole sentences are lost, the rest lags by the transmit buffer."""
    stand = bench("ublox_m8", rate_hz=10.0, baud=9600).run(60.0)
    counters = stand.receiver.counters
    assert counters["dropped_sentences"] > 0.8 * counters["sentences"]
    assert all(line.startswith("$") and line[-3] == "*" for line in stand.lines)
    assert any("txbuf alloc" in line for line in stand.lines)
    last_s, data = [(t, d) for t, d in stand.arrivals if b"RMC" in d][-1]
    time_s = float(data.split(b",")[1][4:]) + 60 * int(data.split(b",")[1][2:4])
    lag_s = last_s - (time_s - (53 * 60 + 20))
    assert 2.0 < lag_s < 4.5


@pytest.mark.parametrize("name", ["mt3339", "sirf"])
def test_older_chips_on_a_slow_line_skip_epochs(bench: Any, name: str) -> None:
    """At 5 Hz and 4800 baud whole epochs are left out; those that come are fresh and complete."""
    stand = bench(name, rate_hz=5.0, baud=4800).run(30.0)
    assert stand.receiver.counters["skipped_epochs"] > 60
    skipped = sum(fix is None for _, _, fix in stand.epochs)
    assert skipped == stand.receiver.counters["skipped_epochs"]
    assert len(stand.named("RMC")) == pytest.approx(len(stand.named("GGA")), abs=1)
    for t_s, data in stand.arrivals:
        if b"GGA" in data:
            time_s = float(data.split(b",")[1][4:]) - 20.0
            assert t_s - time_s % 60.0 < 0.5


def test_rmc_and_gga_alone_fit_at_five_hertz(bench: Any) -> None:
    """155 bytes an epoch: 9600 baud carries 5 Hz, which the full set does not."""
    stand = bench("ublox_m8", rate_hz=5.0, baud=9600, sentences=("RMC", "GGA")).run(60.0)
    assert stand.receiver.counters["dropped_sentences"] == 0
    assert {line[3:6] for line in stand.lines} == {"TXT", "RMC", "GGA"}


def test_a_usb_stick_sends_an_epoch_at_once(bench: Any) -> None:
    """One write per epoch; the same bytes as sentence by sentence."""
    burst, single = bench("ublox_m8_usb").run(5.9), bench("ublox_m8").run(5.9)
    assert burst.raw == single.raw
    assert len(burst.arrivals) == 1 + len(burst.epochs)


# -- what the host writes ------------------------------------------------------
def test_commands_change_rate_sentences_and_baud(bench: Any) -> None:
    """The usual set-up of an MTK takes effect from the next epoch on, and is acknowledged."""
    stand = bench("mt3339", baud=9600).run(5.0)
    stand.line.feed(sentence("PMTK251,115200"))
    stand.line.feed(sentence("PMTK314,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"))
    stand.line.feed(sentence("PMTK220,100"))
    stand.run(20.0)
    assert stand.line.baud == 115_200
    assert stand.receiver.rate_hz == 10.0
    assert "$PMTK001,220,3*30" in stand.lines
    late = [data for t_s, data in stand.arrivals if t_s > 10.0]
    assert len(late) == pytest.approx(200, abs=4)
    assert {data[3:6] for data in late} == {b"RMC", b"GGA"}


def test_ubx_rate_is_acknowledged(bench: Any) -> None:
    """UBX-CFG-RATE to 5 Hz is answered with ACK-ACK among the sentences."""
    stand = bench("ublox_m8").run(5.0)
    stand.line.feed(ubx_frame(0x06, 0x08, bytes((200, 0, 1, 0, 1, 0))))
    stand.run(10.0)
    assert stand.receiver.rate_hz == 5.0
    assert ubx_frame(0x05, 0x01, b"\x06\x08") in stand.raw


def test_a_rate_that_the_chip_has_not_is_refused(bench: Any) -> None:
    """SiRF has no 10 Hz: by argument an error with the range, by command no change."""
    with pytest.raises(GnssError, match=r"sirf: expected 0\.1-5 Hz, got 10"):
        bench("sirf", rate_hz=10.0)
    stand = bench("mt3339").run(2.0)
    stand.line.feed(sentence("PMTK220,20"))
    stand.run(4.0)
    assert stand.receiver.rate_hz == 1.0
    assert any(line.startswith("$PMTK001,220,2") for line in stand.lines)


def test_unknown_profile(bench: Any) -> None:
    """The message lists the profiles."""
    with pytest.raises(GnssError, match=r"expected one of ublox_m8.*got 'ublox_m7'"):
        bench("ublox_m7")


def test_restart(bench: Any) -> None:
    """After a cold restart by command the banner comes again and the fix is gone for 35 s."""
    stand = bench("mt3339").run(10.5)
    stand.line.feed(sentence("PMTK104"))
    stand.run(60.5)
    assert stand.lines.count("$PMTK011,MTKGPS*08") == 2
    valid = {round(t_s): bool(fix and fix.valid) for t_s, _, fix in stand.epochs}
    assert valid[10]
    assert not any(valid[t] for t in range(11, 45))
    assert valid[47]
    stand.receiver.restart(HOT)
    stand.run(64.5)
    assert stand.epochs[-1][2].valid


# gpsd's probes as facts name them, and what a shell or a modem tool would write.
PROBES = (
    b"$PASHQ,RID*28\r\n",
    b"@F0.3=1*67\r\n",
    b"\xa0\xa2\x00\x02\x84\x00\x00\x84\xb0\xb3",
    b"\x10\xfe\x00\x02\x10\x03",
    b"\xb5\x62\x0a\x04\x00\x00\x0e\x34",
    b"AT\r\r\n+++",
    b"$" * 3000,
    bytes(range(256)) * 20,
)


@pytest.mark.parametrize("name", NAMES)
def test_probes_change_nothing(bench: Any, name: str) -> None:
    """gpsd's vendor probes and plain garbage cost no epoch and alter no sentence."""
    quiet, probed = bench(name).run(10.0), bench(name)
    for index, probe in enumerate(PROBES):
        probed.run(1.0 + index)
        probed.line.feed(probe)
    probed.run(10.0)
    answers = {"ublox": b"\xb5\x62", "mtk": b"PMTK001", "sirf": b"\0"}[PROFILES[name].family]
    kept = b"".join(data for _, data in probed.arrivals if answers not in data)
    assert kept == quiet.raw
    assert probed.receiver.counters["ignored_bytes"] > 5000


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NAMES), st.lists(st.binary(max_size=80), max_size=10))
def test_any_input_is_survived(bench: Any, name: str, pieces: list[bytes]) -> None:
    """Whatever is written, every epoch is still measured."""
    stand = bench(name, paced=False)
    for piece in pieces:
        stand.line.feed(piece)
    stand.run(3.5)
    assert stand.receiver.counters["epochs"] == 3


MOTIONS = st.builds(
    Motion,
    st.floats(-90.0, 90.0),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.lists(MOTIONS, min_size=4, max_size=4))
def test_any_motion_is_survived(bench: Any, name: str, motions: list[Motion]) -> None:
    """Jumps over the globe and absurd speeds give void epochs at worst; lines stay well-formed."""
    stand = bench(name, motion=lambda t_s: motions[int(t_s) % 4])
    stand.receiver.add_outage(2.0, 3.0, "canyon")
    stand.run(4.9)
    for line in stand.lines:
        assert line.startswith("$")
        assert len(line) <= 90
    for fields in (line.split(",") for line in stand.named("RMC")):
        assert len(fields) == (14 if PROFILES[name].nmea_41 else 13)


def test_a_broken_motion_is_an_error_of_the_world(bench: Any) -> None:
    """NaN is not put on the wire: the run ends with a message that shows the motion."""
    with pytest.raises(GnssError, match="expected finite numbers"):
        bench("ublox_m8", motion=lambda t_s: Motion(math.nan, 0.0)).run(3.0)


# -- midnight and determinism -----------------------------------------------------
def test_midnight_of_a_leap_day(bench: Any) -> None:
    """Time and date roll over together at the end of 29 February 2028."""
    eve = datetime.datetime(2028, 2, 29, 23, 59, 57, tzinfo=datetime.UTC)
    stand = bench("ublox_m8", epoch_ns=int(eve.timestamp()) * NS_PER_S).run(5.5)
    stamps = [(line.split(",")[1], line.split(",")[9]) for line in stand.named("RMC")]
    assert stamps == [
        ("235958.00", "290228"),
        ("235959.00", "290228"),
        ("000000.00", "010328"),
        ("000001.00", "010328"),
        ("000002.00", "010328"),
    ]
    assert stand.named("ZDA")[2].startswith("$GNZDA,000000.00,01,03,2028,")


def test_same_seed_same_bytes(bench: Any) -> None:
    """Bytes and arrival times depend on the seed alone; another seed gives others."""

    def trace(seed: int) -> str:
        stand = bench("ublox_m9", seed=seed, rate_hz=5.0, cold_start_s=5.0)
        stand.receiver.add_outage(20.0, 30.0, "canyon")
        return hashlib.sha256(repr(stand.run(60.0).arrivals).encode()).hexdigest()

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_a_look_at_the_sky_changes_no_error(bench: Any) -> None:
    """The error has draws of its own: with the same DOP other satellites give the same errors."""

    def sky(first: int) -> Any:
        return lambda t_s: SkyView(
            tuple(Satellite(System.GPS, first + n, 20.0 + 10 * n, 75.0 * n, 40.0) for n in range(6))
        )

    one, two = bench("mt3339", sky=sky(1)), bench("mt3339", sky=sky(11))
    assert [fix for _, _, fix in one.run(20.0).epochs] == [
        fix for _, _, fix in two.run(20.0).epochs
    ]
    assert one.raw != two.raw


def test_motion_is_asked_in_the_order_of_time(bench: Any) -> None:
    """The truth is sampled once per epoch, at instants that only grow."""
    asked: list[float] = []

    def motion(t_s: float) -> Motion:
        asked.append(t_s)
        return Motion(50.0, 7.0)

    bench("ublox_m9", rate_hz=25.0, motion=motion, baud=921_600).run(10.0)
    assert asked == sorted(set(asked))
    assert len(asked) == pytest.approx(248, abs=2)


def test_seeds_give_plausible_skies(bench: Any) -> None:
    """Every one of thirty seeds gives fixes all the time under an open sky."""
    for seed in random.Random(0).sample(range(10_000), 30):
        stand = bench("sirf", seed=seed).run(5.0)
        assert all(fix.valid for _, _, fix in stand.epochs)
