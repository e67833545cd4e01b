"""Binary messages carry the fix of the sentences, as pyubx2 reads them."""

from __future__ import annotations

import datetime
import io
import math
from collections import Counter, defaultdict
from typing import Any

import pynmea2
import pytest
import pyubx2
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.gnss import PROFILES, Motion
from sim.gnss.commands import ubx_frame
from sim.gnss.ubx_chip import M8_UBX, M9_UBX
from sim.gnss.ubx_nav import NAV_IDS
from sim.route import COURSES

GPS_START = datetime.datetime(1980, 1, 6, tzinfo=datetime.UTC)
LEAP = datetime.timedelta(seconds=18)
NAMES = ("ublox_m8", "ublox_m9")
IDS = {name: number for number, name in NAV_IDS.items()}


def _drive(t_s: float) -> Motion:
    course = COURSES["nordschleife"]
    place = course.at(t_s * 30.0)
    return Motion(*course.to_geodetic(place), 30.0, place.heading_deg)


def _ask(stand: Any, *names: str, every: int = 1) -> None:
    for name in names:
        stand.line.feed(ubx_frame(0x06, 0x01, bytes((0x01, IDS[name], every))))


def _read(raw: bytes) -> list[Any]:
    """All messages, both protocols; anything that is not well formed is an error."""
    reader = pyubx2.UBXReader(
        io.BytesIO(raw),
        quitonerror=pyubx2.ERR_RAISE,
        protfilter=pyubx2.NMEA_PROTOCOL | pyubx2.UBX_PROTOCOL,
    )
    return [message for _, message in reader]


def _by_name(raw: bytes) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for message in _read(raw):
        found[message.identity].append(message)
    return found


def _lap(bench: Any, name: str) -> Any:
    """Cold start and a tunnel with every binary message beside the sentences."""
    chip = PROFILES[name].ubx
    assert chip is not None
    stand = bench(name, motion=_drive, cold_start_s=10.0, seed=3, power_on=False)
    stand.receiver.add_outage(30.0, 40.0, "tunnel")
    _ask(stand, *chip.messages)
    return stand.run(60.5)


def _time(message: Any) -> datetime.datetime:
    return datetime.datetime(
        message.year, message.month, message.day,
        message.hour, message.min, message.second, tzinfo=datetime.UTC,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_nothing_binary_unless_asked(bench: Any, name: str) -> None:
    """Out of the box a receiver speaks NMEA alone."""
    assert b"\xb5\x62" not in bench(name).run(20.0).raw


@pytest.mark.parametrize("name", NAMES)
def test_every_message_comes_with_every_epoch(bench: Any, name: str) -> None:
    """pyubx2 accepts every frame, in the chip's order, and EOE is the last of its epoch."""
    chip = PROFILES[name].ubx
    assert chip is not None
    stand = _lap(bench, name)
    messages = [m for m in _read(stand.raw) if m.identity.startswith("NAV-")]
    counts = Counter(message.identity for message in messages)
    assert set(counts) == set(chip.messages)
    assert set(counts.values()) == {len(stand.epochs)} == {61}
    epoch = [message for message in messages if message.iTOW == messages[-1].iTOW]
    assert tuple(message.identity for message in epoch) == chip.messages


@pytest.mark.parametrize("name", NAMES)
def test_pvt_is_the_fix(bench: Any, name: str) -> None:
    """Place, time, speed and validity of NAV-PVT are those that the receiver told as its fix."""
    stand = _lap(bench, name)
    pvts = _by_name(stand.raw)["NAV-PVT"]
    fixed = 0
    for (_, truth, fix), pvt in zip(stand.epochs, pvts, strict=True):
        valid = bool(fix and fix.valid)
        assert (pvt.fixType, pvt.gnssFixOk) == ((3, 1) if valid else (0, 0))
        assert pvt.validTime == (fix is not None)
        if fix is None or not valid:
            assert pvt.hAcc == 0xFFFFFFFF
            assert pvt.numSV == 0
            continue
        fixed += 1
        assert pvt.lat == pytest.approx(fix.lat_deg, abs=0.51e-7)
        assert pvt.lon == pytest.approx(fix.lon_deg, abs=0.51e-7)
        assert pvt.hMSL / 1000 == pytest.approx(fix.alt_m, abs=0.051)
        assert pvt.height - pvt.hMSL == 47_000
        assert pvt.gSpeed / 1000 == pytest.approx(fix.speed_mps, abs=0.002)
        assert math.hypot(pvt.velN, pvt.velE) == pytest.approx(pvt.gSpeed, abs=1.5)
        assert pvt.headMot == pytest.approx(fix.course_deg, abs=0.0051)
        assert pvt.numSV >= fix.satellites
        at_s = _time(pvt).timestamp() + pvt.nano / 1e9
        assert at_s == pytest.approx(fix.time_ns / 1e9, abs=1e-6)
        assert truth.alt_m - pvt.hMSL / 1000 == pytest.approx(0.0, abs=6 * pvt.vAcc / 1000)
    assert fixed > 35


@pytest.mark.parametrize("name", NAMES)
def test_all_messages_of_an_epoch_agree(bench: Any, name: str) -> None:
    """Time, place, speed, dilutions and satellites are the same wherever they stand."""
    found = _by_name(_lap(bench, name).raw)
    gga = [pynmea2.parse(str(line.serialize(), "ascii").strip()) for line in found["GNGGA"]]
    for index, pvt in enumerate(found["NAV-PVT"]):
        if not pvt.gnssFixOk:
            continue
        gps = found["NAV-TIMEGPS"][index]
        weeks = datetime.timedelta(weeks=gps.week, milliseconds=gps.iTOW)
        assert GPS_START + weeks - LEAP == _time(pvt)
        assert (gps.towValid, gps.weekValid, gps.leapSValid, gps.leapS) == (1, 1, 1, 18)
        place = found["NAV-POSLLH"][index]
        assert (place.lat, place.lon, place.hAcc) == (pvt.lat, pvt.lon, pvt.hAcc)
        ned = found["NAV-VELNED"][index]
        assert ned.gSpeed == pytest.approx(pvt.gSpeed / 10, abs=0.51)
        ecef = found["NAV-VELECEF"][index]
        speed_cmps = math.hypot(ecef.ecefVX, ecef.ecefVY, ecef.ecefVZ)
        assert speed_cmps == pytest.approx(ned.speed, abs=1.5)
        dop = found["NAV-DOP"][index]
        assert dop.hDOP == pytest.approx(float(gga[index].horizontal_dil), abs=0.006)
        assert dop.hDOP == pytest.approx(math.hypot(dop.nDOP, dop.eDOP), abs=0.02)
        assert dop.gDOP == pytest.approx(math.hypot(dop.pDOP, dop.tDOP), abs=0.02)
        assert dop.pDOP == pvt.pDOP
        sats = found["NAV-SAT"][index]
        used = [getattr(sats, f"svUsed_{n:02d}") for n in range(1, sats.numSvs + 1)]
        assert sum(used) == pvt.numSV
        assert found["NAV-STATUS"][index].gpsFixOk == 1
        utc = found["NAV-TIMEUTC"][index]
        assert (utc.hour, utc.min, utc.sec, utc.validUTC) == (pvt.hour, pvt.min, pvt.second, 1)


def test_the_place_on_earth_axes(bench: Any) -> None:
    """NAV-POSECEF and NAV-SOL point where the ellipsoid of WGS84 has the fix."""
    found = _by_name(_lap(bench, "ublox_m8").raw)
    pvt, ecef, sol = (found[name][-1] for name in ("NAV-PVT", "NAV-POSECEF", "NAV-SOL"))
    x, y, z = ecef.ecefX / 100, ecef.ecefY / 100, ecef.ecefZ / 100
    assert math.degrees(math.atan2(y, x)) == pytest.approx(pvt.lon, abs=1e-6)
    # Bowring's formula: latitude and height from the axes, to a millimetre near the ground.
    a, b = 6_378_137.0, 6_356_752.314245
    flat = math.hypot(x, y)
    theta = math.atan2(z * a, flat * b)
    up = z + (a * a - b * b) / b * math.sin(theta) ** 3
    lat = math.atan2(up, flat - (a * a - b * b) / a * math.cos(theta) ** 3)
    assert math.degrees(lat) == pytest.approx(pvt.lat, abs=2e-7)
    normal = a / math.sqrt(1 - (1 - b * b / a / a) * math.sin(lat) ** 2)
    assert flat / math.cos(lat) - normal == pytest.approx(pvt.height / 1000, abs=0.03)
    assert (sol.ecefX, sol.ecefY, sol.ecefZ) == (ecef.ecefX, ecef.ecefY, ecef.ecefZ)
    assert (sol.gpsFix, sol.gpsfixOK, sol.numSV) == (3, 1, pvt.numSV)


def test_svinfo_lists_the_satellites_of_sat(bench: Any) -> None:
    """The older list of an M8 has the same satellites, GLONASS numbered from 65."""
    found = _by_name(_lap(bench, "ublox_m8").raw)
    old, new = found["NAV-SVINFO"][-1], found["NAV-SAT"][-1]
    assert old.numCh == new.numSvs > 10
    offsets = {0: 0, 6: 64}
    for n in range(1, new.numSvs + 1):
        gnss, number = getattr(new, f"gnssId_{n:02d}"), getattr(new, f"svId_{n:02d}")
        assert getattr(old, f"svid_{n:02d}") == number + offsets[gnss]
        for field in ("cno", "elev", "azim", "svUsed"):
            assert getattr(old, f"{field}_{n:02d}") == getattr(new, f"{field}_{n:02d}")


def test_leap_seconds(bench: Any) -> None:
    """NAV-TIMELS tells 18 s, and that the last change lies in the past."""
    last = _by_name(_lap(bench, "ublox_m9").raw)["NAV-TIMELS"][-1]
    assert (last.currLs, last.lsChange, last.validCurrLs) == (18, 0, 1)
    assert last.timeToLsEvent < 0
    assert (last.dateOfLsGpsWn, last.dateOfLsGpsDn) == (1929, 7)


def test_before_the_first_fix_nothing_is_claimed(bench: Any) -> None:
    """During a cold start date and time are flagged invalid, no satellite and no place is given."""
    found = _by_name(_lap(bench, "ublox_m8").raw)
    first = found["NAV-PVT"][0]
    assert (first.validDate, first.validTime, first.fullyResolved) == (0, 0, 0)
    assert (first.lat, first.lon, first.hMSL) == (0, 0, 0)
    assert found["NAV-SAT"][0].numSvs == 0
    assert found["NAV-DOP"][0].pDOP == 99.99
    assert found["NAV-STATUS"][0].ttff == 0
    assert found["NAV-STATUS"][-1].ttff > 9000


def test_in_a_tunnel_the_last_place_stands(bench: Any) -> None:
    """The position is the last one and flagged, the clock runs on."""
    pvts = _by_name(_lap(bench, "ublox_m9").raw)["NAV-PVT"]
    lost = next(n for n, pvt in enumerate(pvts) if n > 20 and not pvt.gnssFixOk)
    assert (pvts[lost + 3].lat, pvts[lost + 3].lon) == (pvts[lost - 1].lat, pvts[lost - 1].lon)
    assert pvts[lost + 3].invalidLlh == 1
    assert (pvts[lost].validDate, pvts[lost].gSpeed) == (1, 0)


def test_heading_is_held_at_standstill(bench: Any) -> None:
    """Below walking pace the sentence has no course, NAV-PVT the last one."""

    def brake(t_s: float) -> Motion:
        return Motion(50.0, 7.0, 100.0, 10.0 if t_s < 5.0 else 0.0, 123.0)

    stand = bench("ublox_m8", motion=brake)
    _ask(stand, "NAV-PVT")
    pvts = _by_name(stand.run(20.5).raw)["NAV-PVT"]
    assert stand.epochs[-1][2].course_deg is None
    assert pvts[-1].headMot == pytest.approx(123.0, abs=2.0)
    assert pvts[-1].headMot == pvts[-5].headMot


def test_climb(bench: Any) -> None:
    """A road that rises by 2 m a second is a velocity of -2 m/s down."""
    stand = bench("ublox_m8", motion=lambda t_s: Motion(50.0, 7.0, 100.0 + 2.0 * t_s, 20.0, 0.0))
    _ask(stand, "NAV-PVT")
    assert _by_name(stand.run(10.5).raw)["NAV-PVT"][-1].velD == -2000


def test_intervals(bench: Any) -> None:
    """Asked for each third epoch, a message comes each third epoch; with 0 no more."""
    stand = bench("ublox_m8", power_on=False)
    _ask(stand, "NAV-PVT", every=3)
    stand.run(30.5)
    assert len(_by_name(stand.raw)["NAV-PVT"]) == 11  # epochs 0, 3, ..., 30
    _ask(stand, "NAV-PVT", every=0)
    stand.run(60.5)
    assert len(_by_name(stand.raw)["NAV-PVT"]) == 11


def test_a_poll_is_answered_once(bench: Any) -> None:
    """NAV-PVT asked for without an interval comes with the next epoch, and once."""
    stand = bench("ublox_m8").run(5.2)
    stand.line.feed(ubx_frame(0x01, IDS["NAV-PVT"], b""))
    found = _by_name(stand.run(12.0).raw)
    assert len(found["NAV-PVT"]) == 1
    assert _time(found["NAV-PVT"][0]).timestamp() == stand.epochs[5][2].time_ns / 1e9


def test_the_port_decides_what_leaves(bench: Any) -> None:
    """With the output mask of CFG-PRT at UBX the sentences stop, at NMEA the messages."""
    port = bytes.fromhex("01000000d0080000009600000700")
    stand = bench("ublox_m8", baud=38400).run(3.5)
    _ask(stand, "NAV-PVT")
    stand.line.feed(ubx_frame(0x06, 0x00, port + b"\1\0" + bytes(4)))
    before = len(stand.run(3.9).arrivals)
    stand.run(10.0)
    only = _read(b"".join(data for _, data in stand.arrivals[before:]))
    assert {message.identity for message in only} == {"NAV-PVT"}
    stand.line.feed(ubx_frame(0x06, 0x00, port + b"\2\0" + bytes(4)))
    before = len(stand.run(10.5).arrivals)
    stand.run(20.0)
    only = _read(b"".join(data for _, data in stand.arrivals[before:]))
    assert not any(message.identity.startswith("NAV") for message in only)
    assert len(only) > 50


def test_the_line_limits_binary_output_too(bench: Any) -> None:
    """At 9600 baud 960 bytes a second leave whatever is asked for; the rest is dropped whole."""
    stand = bench("ublox_m8", rate_hz=10.0, baud=9600, sentences=("RMC",), power_on=False)
    _ask(stand, "NAV-PVT", "NAV-SAT", "NAV-DOP")
    stand.run(30.0)
    assert len(stand.raw) <= 30 * 960
    assert stand.receiver.counters["dropped_sentences"] > 100
    assert len(_by_name(stand.raw)["NAV-PVT"]) > 5


def test_the_generations_differ() -> None:
    """NAV-SOL and NAV-SVINFO are gone from the M9."""
    assert set(M8_UBX.messages) - set(M9_UBX.messages) == {"NAV-SOL", "NAV-SVINFO"}
    assert set(M8_UBX.messages) == set(NAV_IDS.values())


MOTIONS = st.builds(
    Motion,
    st.floats(-90.0, 90.0),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-60_000.0, 60_000.0),
    st.floats(-600.0, 600.0),
    st.floats(allow_nan=False, allow_infinity=False),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.lists(MOTIONS, min_size=4, max_size=4))
def test_any_motion_fits_its_fields(bench: Any, name: str, motions: list[Motion]) -> None:
    """Poles, jumps and speeds up to the limits of the chip overflow no field."""
    chip = PROFILES[name].ubx
    assert chip is not None
    stand = bench(name, motion=lambda t_s: motions[int(t_s)], paced=False, power_on=False)
    _ask(stand, *chip.messages)
    found = _by_name(stand.run(3.5).raw)
    assert len(found["NAV-PVT"]) == 4
    for pvt in found["NAV-PVT"]:
        assert -90.0 <= pvt.lat <= 90.0
        assert -180.0 <= pvt.lon <= 180.0
