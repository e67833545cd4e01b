"""Epochs come out once each, whatever the order of their sentences."""

from __future__ import annotations

import datetime
import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.links.nmea import DATE_FLOOR, EpochAssembler, Fix
from server.links.nmea_lines import SentenceSplitter, checksum, has_checksum
from server.links.nmea_sentence import SentenceError, read_sentence

NS_PER_S = 1_000_000_000
DATA = Path(os.environ.get("TELERIG_DATA", Path(__file__).parents[4] / "shared" / "data")) / "nmea"


def ns(text: str) -> int:
    """UTC nanoseconds of an ISO time."""
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp()) * NS_PER_S


def rmc(
    time: str = "171926.00", date: str = "180325", status: str = "A", lat: str = "4404.1"
) -> str:
    """An RMC sentence's text."""
    return f"GNRMC,{time},{status},{lat},N,12118.8,W,10.0,84.4,{date},,,{status}"


def gga(time: str = "171926.00", quality: int = 1, lat: str = "4404.1", talker: str = "GN") -> str:
    """A GGA sentence's text."""
    return f"{talker}GGA,{time},{lat},N,12118.8,W,{quality},12,0.91,1147.2,M,-21.3,M,,"


VTG = "GNVTG,54.7,T,34.4,M,5.5,N,10.2,K,A"


class Feed:
    """Feeds sentence texts to an assembler, one a millisecond."""

    def __init__(self, assembler: EpochAssembler | None = None) -> None:
        self.assembler = assembler if assembler is not None else EpochAssembler()
        self.now_s = 100.0
        self.fixes: list[Fix] = []

    def __call__(self, *bodies: str) -> list[Fix]:
        """Feed; return the fixes that came out."""
        fixes: list[Fix] = []
        for body in bodies:
            self.now_s += 0.001
            text = body.encode()
            sentence = read_sentence(b"$%s*%02X" % (text, checksum(text)))
            assert sentence is not None
            fixes += self.assembler.add(sentence, self.received_ns, self.now_s)
        self.fixes += fixes
        return fixes

    @property
    def received_ns(self) -> int:
        """The present instant."""
        return round(self.now_s * 1000) * 1_000_000

    def quiet(self, for_s: float) -> list[Fix]:
        """Let time pass without bytes."""
        self.now_s += for_s
        fixes = self.assembler.tick(self.now_s)
        self.fixes += fixes
        return fixes


def test_an_epoch_joins_its_sentences() -> None:
    """Position and motion come from RMC, altitude, dilution and satellites from GGA."""
    feed = Feed()
    assert feed(rmc(), gga()) == []
    (fix,) = feed.quiet(0.3)
    assert fix.refused == ""
    assert fix.time_ns == ns("2025-03-18T17:19:26")
    assert (fix.alt_m, fix.hdop, fix.satellites, fix.heading_deg) == (1147.2, 0.91, 12, 84.4)
    assert fix.speed_kph == pytest.approx(18.52)


@pytest.mark.parametrize("order", [(rmc, gga), (gga, rmc)], ids=["u-blox", "MediaTek"])
def test_a_learnt_epoch_comes_out_with_its_last_sentence(order: tuple) -> None:
    """After one burst the kinds are known: the next fix waits for nothing after the last of
    them."""
    feed = Feed()
    feed(*(make("171926.00") for make in order))
    feed.quiet(0.3)
    assert feed(order[0]("171927.00")) == []
    (fix,) = feed(order[1]("171927.00"))
    assert fix.received_ns == feed.received_ns
    assert fix.time_ns == ns("2025-03-18T17:19:27")


def test_gga_is_never_paired_with_the_rmc_of_another_epoch() -> None:
    """Where RMC comes last, GGA opens the next epoch instead of joining the one before."""
    feed = Feed()
    for second in range(26, 29):
        feed(
            gga(f"1719{second}.00", lat=f"44{second}.0"),
            rmc(f"1719{second}.00", lat=f"44{second}.0"),
        )
    feed(gga("171929.00", lat="4429.0"))
    feed.quiet(1.0)
    assert [round((fix.lat_deg - 44) * 60) for fix in feed.fixes] == [26, 27, 28, 29]
    assert [fix.time_ns // NS_PER_S % 60 for fix in feed.fixes] == [26, 27, 28, 29]
    assert feed.fixes[-1].speed_kph is None  # its RMC never came, and no other is taken


def test_interleaved_epochs_are_kept_apart() -> None:
    """Sentences of two epochs that overlap on a slow line end up in their own."""
    feed = Feed()
    feed(rmc("171926.00"), gga("171926.00"))
    feed(rmc("171926.10"), gga("171926.10"))
    feed(rmc("171926.20", lat="4420.0"))
    fixes = feed(rmc("171926.30", lat="4430.0"), gga("171926.30", lat="4430.0"))
    assert [fix.alt_m for fix in fixes] == [None, 1147.2]
    assert feed(gga("171926.20", lat="4420.0")) == []
    assert feed.assembler.counters["sentences_late"] == 1


def test_a_lost_sentence_delays_and_loses_nothing_else() -> None:
    """Without its GGA an epoch comes out when the next begins; later ones are whole again."""
    feed = Feed()
    feed(rmc("171926.00"), gga("171926.00"), rmc("171927.00"))
    (partial, whole) = feed(rmc("171928.00"), gga("171928.00"))
    assert (partial.alt_m, whole.alt_m) == (None, 1147.2)
    assert partial.speed_kph == pytest.approx(18.52)
    assert feed.assembler.counters["epochs_partial"] == 1


def test_repeated_sentences_change_nothing() -> None:
    """A line that duplicates each sentence gives each fix once."""
    feed = Feed()
    for second in range(26, 30):
        feed(*[rmc(f"1719{second}.00")] * 2, *[gga(f"1719{second}.00")] * 2)
    feed.quiet(0.3)
    assert [fix.time_ns // NS_PER_S % 60 for fix in feed.fixes] == [26, 27, 28, 29]


def test_a_straggler_is_dropped_and_a_clock_set_back_is_not() -> None:
    """A sentence one second older than forgotten epochs is stale; an hour older is a new clock."""
    feed = Feed()
    for tenth in range(8):
        feed(rmc(f"171926.{tenth}0"), gga(f"171926.{tenth}0"))
    assert feed(rmc("171925.50"), gga("171925.50")) == []
    assert feed.assembler.counters["sentences_stale"] == 2
    (fix,) = feed(rmc("161926.00"), gga("161926.00"))
    assert fix.time_ns == ns("2025-03-18T16:19:26")


def test_void_epochs_have_no_position() -> None:
    """Status V, or a quality of 0, makes the whole epoch a refused one."""
    feed = Feed()
    feed(rmc(status="V"), gga(quality=0))
    feed(rmc("171927.00"), gga("171927.00", quality=0))
    feed.quiet(0.3)
    assert [fix.refused for fix in feed.fixes] == ["no fix", "no fix"]
    assert all(fix.lat_deg is None for fix in feed.fixes)
    assert feed.assembler.counters["epochs_no_fix"] == 2


def test_a_cold_start_says_no_time_once_a_burst() -> None:
    """Empty sentences give one refused fix per burst, and no epoch."""
    feed = Feed()
    for _ in range(3):
        feed("GPRMC,,V,,,,,,,,,,N", "GPVTG,,,,,,,,,N", "GPGGA,,,,,,0,00,99.99,,,,,,", "GPZDA,,,,,,")
    assert [fix.refused for fix in feed.fixes] == ["no time"] * 3


def test_gga_without_any_date_is_held_back() -> None:
    """Before RMC or ZDA told the date, a fix has no instant; it is counted and not guessed."""
    feed = Feed()
    feed(gga("171926.00"), gga("171927.00"))
    assert [fix.refused for fix in feed.fixes] == ["no date"] * 2
    assert feed.assembler.counters["epochs_no_date"] == 2
    assert feed(rmc("171928.00"), gga("171928.00"))[0].refused == ""


def test_zda_tells_the_date_where_there_is_no_rmc() -> None:
    """GGA, VTG and ZDA make a whole fix, and ZDA is waited for."""
    feed = Feed()
    zda = "GPZDA,1719{}.00,18,03,2025,,"
    feed(gga("171926.00"), VTG, zda.format(26))
    feed.quiet(0.3)
    assert feed(gga("171927.00"), VTG) == []
    (fix,) = feed(zda.format(27))
    assert fix.time_ns == ns("2025-03-18T17:19:27")
    assert (fix.speed_kph, fix.heading_deg) == (10.2, 54.7)


def test_vtg_before_its_epoch_belongs_to_it() -> None:
    """A receiver that sends VTG first in the burst: the speed is not that of the epoch before."""
    feed = Feed()
    feed(rmc("171925.00"))  # tells the date
    for second in range(30, 36):
        feed.quiet(0.9)
        feed(f"GNVTG,54.7,T,34.4,M,5.5,N,{second}.0,K,A", gga(f"1719{second}.00"))
    feed.quiet(0.3)
    speeds = {fix.time_ns // NS_PER_S % 60: fix.speed_kph for fix in feed.fixes}
    assert speeds[35] == 35.0


def test_the_date_is_carried_over_midnight() -> None:
    """An epoch after midnight whose RMC is lost gets the next day, one before it the same day."""
    feed = Feed()
    feed(rmc("235959.00"), gga("235959.00"), gga("000000.00"), rmc("000001.00", date="190325"))
    feed(gga("000001.00"))
    times = [fix.time_ns for fix in feed.fixes]
    assert times == [ns("2025-03-18T23:59:59") + second * NS_PER_S for second in range(3)]


def test_a_date_is_not_carried_over_hours_of_silence() -> None:
    """Six hours after the last date, a GGA alone has no date any more."""
    feed = Feed()
    feed(rmc("171926.00"), gga("171926.00"))
    feed.quiet(7 * 3600)
    feed(gga("001926.00"))
    assert feed.quiet(0.3)[0].refused == "no date"


def test_a_leap_second_is_an_instant() -> None:
    """23:59:60 is stored at the POSIX instant of the following midnight, and counted."""
    feed = Feed()
    feed(rmc("235959.00", date="311225"), rmc("235960.00", date="311225"))
    feed.quiet(0.3)
    assert [fix.time_ns for fix in feed.fixes] == [
        ns("2025-12-31T23:59:59"),
        ns("2026-01-01T00:00:00"),
    ]
    assert feed.assembler.counters["leap_seconds"] == 1


@pytest.mark.parametrize("rate_hz", [1, 5, 10])
def test_no_epoch_is_lost_around_a_leap_second(rate_hz: int) -> None:
    """At any rate: 23:59:60.8 is before 00:00:00.0, though a day seems to lie between them."""
    feed = Feed()
    steps = [f"{100 * n // rate_hz:02d}" for n in range(rate_hz)]
    for second, date in (
        ("235959", "311225"),
        ("235960", "311225"),
        ("000000", "010126"),
        ("000001", "010126"),
    ):
        for step in steps:
            feed(rmc(f"{second}.{step}", date=date), gga(f"{second}.{step}"))
    feed.quiet(0.3)
    seconds = [
        fix.time_ns // NS_PER_S - ns("2025-12-31T23:59:59") // NS_PER_S for fix in feed.fixes
    ]
    assert seconds == [0] * rate_hz + [1] * (2 * rate_hz) + [2] * rate_hz
    assert feed.assembler.counters["sentences_stale"] == 0


def test_a_straggler_of_a_leap_second_is_stale() -> None:
    """It must not begin an epoch again, nor take a day back."""
    feed = Feed()
    for time in ("235959.80", "235960.00", "235960.20", "235960.40", "235960.60", "235960.80"):
        feed(rmc(time, date="311225"), gga(time))
    feed(rmc("000000.00", date="010126"), gga("000000.00"))
    feed.quiet(0.3)
    count = len(feed.fixes)
    feed(gga("235959.80"), gga("235960.00"))
    assert feed.quiet(0.3) == []
    assert len(feed.fixes) == count
    assert feed.assembler.counters["sentences_stale"] == 2


@pytest.mark.parametrize("weeks", [1024, 2048])
@pytest.mark.parametrize("today", ["2026-05-01", "2026-12-31", "2038-06-01"])
def test_a_week_count_that_rolled_over_is_mended(today: str, weeks: int) -> None:
    """By the gateway's own clock: where both agree but for the weeks, the time is right."""
    feed = Feed()
    feed.now_s = ns(today + "T17:19:26") / NS_PER_S
    told = datetime.date.fromisoformat(today) - datetime.timedelta(weeks=weeks)
    feed(rmc(date=f"{told:%d%m%y}"), gga())
    (fix,) = feed.quiet(0.3)
    if told >= DATE_FLOOR:  # who knows: it may be a recording
        assert fix.time_ns == ns(f"{told}T17:19:26")
    elif told.year < 1980:  # two digits of a year say no such thing
        assert fix.refused
    else:
        assert fix.time_ns == ns(today + "T17:19:26")
        assert fix.lat_deg is not None
        assert feed.assembler.counters["epochs_week_rollover"] == 1


def test_a_week_count_is_mended_over_midnight_too() -> None:
    """The own clock may be a little before or behind: the day before, the day after."""
    for own, told, right in (
        ("2026-05-01T23:59:59", "160906", "2026-05-02"),
        ("2026-05-02T00:00:01", "150906", "2026-05-01"),
    ):
        feed = Feed()
        feed.now_s = ns(own) / NS_PER_S
        feed(rmc("120000.00", date=told), gga("120000.00"))
        assert feed.quiet(0.3)[0].time_ns == ns(right + "T12:00:00")


def test_a_date_that_no_rollover_explains_is_refused() -> None:
    """Five days beside it: one of the two clocks is wrong, and nobody knows which."""
    feed = Feed()
    feed.now_s = ns("2026-05-01T00:00:00") / NS_PER_S
    feed(rmc(date="100906"), gga())
    assert "before 2020-01-01" in feed.quiet(0.3)[0].refused
    assert feed.assembler.counters["epochs_week_rollover"] == 0


@pytest.mark.parametrize("date", ["220899", "060180", "311219"])
def test_a_date_before_the_floor_is_refused(date: str) -> None:
    """A week roll-over (22-08-99) or an unset clock gives no reading, and says which date it
    was."""
    feed = Feed()
    feed(rmc(date=date), gga())
    (fix,) = feed.quiet(0.3)
    assert "before 2020-01-01" in fix.refused
    assert fix.lat_deg is None


def test_the_combined_solution_wins_over_one_constellation() -> None:
    """SiRFstarV sends GPGGA and GLGGA: GLONASS alone does not replace the count of GPS."""
    for order in (("GP", "GL"), ("GL", "GP")):
        feed = Feed()
        feed(
            *(gga(talker=t).replace(",12,", ",08," if t == "GP" else ",02,") for t in order), rmc()
        )
        assert feed.quiet(0.3)[0].satellites == 8


def test_a_pause_inside_the_burst_is_learnt() -> None:
    """A line that pauses 0.3 s in its bursts loses one altitude, not all."""
    feed = Feed()
    for second in range(26, 32):
        feed(rmc(f"1719{second}.00"))
        feed.quiet(0.3)
        feed(gga(f"1719{second}.00"))
        feed.quiet(0.3)
    assert [fix.alt_m for fix in feed.fixes].count(None) == 1


BURST = [rmc(), gga(), VTG, "GPZDA,171926.00,18,03,2025,,"]


@given(st.permutations(BURST), st.booleans())
def test_any_order_of_the_same_sentences_gives_the_same_epoch(
    order: list[str], learnt: bool
) -> None:
    """The fix does not depend on the order of the sentences, learnt or not."""
    feed = Feed()
    if learnt:
        feed(*(body.replace("171926", "171925") for body in BURST))
        feed.quiet(0.3)
    feed(*order)
    feed.quiet(0.3)
    fix = feed.fixes[-1]
    assert len(feed.fixes) == 1 + learnt
    assert fix.time_ns == ns("2025-03-18T17:19:26")
    assert (fix.alt_m, fix.satellites, fix.heading_deg) == (1147.2, 12, 84.4)
    assert fix.lat_deg == pytest.approx(44 + 4.1 / 60)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_any_interleaving_of_neighbour_epochs_keeps_them_apart(
    starts: list[int], random: object
) -> None:
    """However the sentences of up to four epochs are mixed, no fix mixes two of them."""
    tenths = sorted({start % 10 for start in starts})
    bodies = [
        make(f"171926.{tenth}0", lat=f"44{10 + tenth}.0") for tenth in tenths for make in (rmc, gga)
    ]
    random.shuffle(bodies)  # type: ignore[attr-defined]
    feed = Feed()
    feed(*bodies)
    feed.quiet(1.0)
    for fix in feed.fixes:
        tenth = fix.time_ns // 100_000_000 % 10
        assert fix.refused or round((fix.lat_deg - 44) * 60) == 10 + tenth
    times = [fix.time_ns for fix in feed.fixes if not fix.refused]
    assert len(times) == len(set(times))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["RMC", "GGA", "GNS", "VTG", "ZDA"]),
            st.integers(0, 86_399),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_any_sentences_in_any_order_never_raise(events: list[tuple[str, int, bool]]) -> None:
    """Times may jump anywhere: memory stays bounded and nothing raises."""
    assembler = EpochAssembler()
    for index, (kind, second, good) in enumerate(events):
        time = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
        body = {
            "RMC": rmc(time, status="A" if good else "V"),
            "GGA": gga(time, quality=int(good)),
            "GNS": f"GNGNS,{time},4404.1,N,12118.8,W,{'A' if good else 'N'},13,0.9,25.63,11.24,,",
            "VTG": VTG,
            "ZDA": f"GPZDA,{time},18,03,2025,,",
        }[kind].encode()
        sentence = read_sentence(b"$%s*%02X" % (body, checksum(body)))
        assert sentence is not None
        assembler.add(sentence, index, index * 0.05)
        assembler.tick(index * 0.05)
        assert len(assembler._recent) <= 4
    assembler.flush()


# -- recordings of real receivers ------------------------------------------------------------------
def replay(name: str, chunk_bytes: int = 97) -> list[Fix]:
    """Run a recording through the whole chain, in small chunks."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no recording at {path} (TELERIG_DATA names the folder)")
    stream = path.read_bytes()
    splitter = SentenceSplitter()
    assembler = EpochAssembler(date_floor=datetime.date(2000, 1, 1))
    fixes: list[Fix] = []
    for begin in range(0, len(stream), chunk_bytes):
        for raw in splitter.feed(stream[begin : begin + chunk_bytes]):
            if not has_checksum(raw):
                continue
            try:
                sentence = read_sentence(raw)
            except SentenceError:
                continue
            if sentence is not None:
                fixes += assembler.add(sentence, begin, begin * 1e-4)
    return fixes + assembler.flush()


@pytest.mark.parametrize(
    ("name", "weeks"), [("mt3339.log", 0), ("neo-m8n.log", 1024), ("sirfstarv-nmea.log", 0)]
)
def test_a_recording_gives_what_gpsd_decoded(name: str, weeks: int) -> None:
    """Every epoch for which gpsd reports a position has the same one here (gpsd shifts 1024
    weeks)."""
    fixes = {fix.time_ns // NS_PER_S: fix for fix in replay(name) if not fix.refused}
    compared = 0
    for line in (DATA / f"{name}.chk").read_text(errors="replace").splitlines():
        if not line.startswith('{"class":"TPV"'):
            continue
        truth = json.loads(line)
        if "time" not in truth or "lat" not in truth:
            continue
        at = datetime.datetime.fromisoformat(truth["time"].replace("Z", "+00:00"))
        fix = fixes.get(int(at.timestamp()) - weeks * 7 * 86_400)
        assert fix is not None, truth["time"]
        assert fix.lat_deg == pytest.approx(truth["lat"], abs=1e-8)
        assert fix.lon_deg == pytest.approx(truth["lon"], abs=1e-8)
        if "altMSL" in truth and fix.alt_m is not None:
            assert fix.alt_m == pytest.approx(truth["altMSL"], abs=0.21)
        compared += 1
    assert compared >= 20


def test_every_epoch_of_a_ublox_recording_is_a_fix() -> None:
    """72 epochs of a u-blox 8, none lost, none invalid, in order, each with its altitude."""
    fixes = replay("ublox-8.log")
    assert [fix.refused for fix in fixes] == [""] * 72
    assert [b.time_ns - a.time_ns for a, b in pairwise(fixes)] == [NS_PER_S] * 71
    assert all(fix.alt_m is not None for fix in fixes)


def test_a_binary_recording_gives_nothing() -> None:
    """A receiver that talks another protocol (SiRF binary) gives no fix and no error."""
    assert replay("bu303-nofix.log") == []
