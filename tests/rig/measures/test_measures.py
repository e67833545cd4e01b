from __future__ import annotations

import math

import pytest

from rig.measures.names import find_measure
from rig.record.streams import Stored

RPM, SPEED, LAT, LON, HEADING, BOOST = 12, 13, 1001, 1002, 1005, 2001
EPOCH_NS = 1_700_000_000_000_000_000


def at(seconds):
    return EPOCH_NS + round(seconds * 1e9)


def value(measures, name, phase=None, except_faults=False):
    found = measures.get(name, phase, except_faults)
    return None if found is None else found.value


def test_latency_counts_from_the_sample_and_not_from_the_gateways_time(bench):
    """A gateway that calls the instant of arrival "measured" gains nothing."""
    b = bench()
    b.sample(1.0, "obd", "RPM", 800, 800)
    b.reading(RPM, 800, measured_s=1.04, received_s=1.05)
    m = b.measures()
    assert value(m, "obd.latency.p50") == pytest.approx(50)
    assert value(m, "obd.latency.stored.p50") == pytest.approx(550)
    assert value(m, "obd.latency.published.max") == pytest.approx(150)
    assert m.get("obd.latency.p50").unit == "ms"


def test_percentiles_are_nearest_rank(bench):
    """With 100 latencies of 1 to 100 ms, p99 is the 99th and max the 100th."""
    b = bench()
    for i in range(100):
        b.poll(RPM, [0.1 * i], delay_s=0.001 * (i + 1))
    m = b.measures()
    names = ("p50", "p95", "p99", "max")
    assert [round(value(m, f"obd.latency.{p}"), 6) for p in names] == [50, 95, 99, 100]


def test_a_phase_holds_what_was_measured_in_it(bench):
    """Latency in one phase says nothing about another."""
    b = bench()
    b.poll(RPM, [1, 2, 3], delay_s=0.02)
    b.poll(RPM, [11, 12], delay_s=0.2)
    m = b.measures()
    assert value(m, "obd.latency.max", "calm") == pytest.approx(20)
    assert value(m, "obd.latency.p50", "hard") == pytest.approx(200)
    assert value(m, "obd.latency.max", "no such phase") is None
    assert value(m, "obd.rate", "calm") == pytest.approx(0.3)


def test_faults_can_be_left_out(bench):
    """Only the faults of the link itself, and those of no single link, are left out."""
    b = bench(faults=[["f", "delay", "obd", at(4), at(6)], ["g", "tunnel", "gps", at(0), at(4)]])
    b.poll(RPM, [1, 3], delay_s=0.02)
    b.poll(RPM, [5], delay_s=1.0)
    m = b.measures()
    assert value(m, "obd.latency.max") == pytest.approx(1000)
    assert value(m, "obd.latency.max", None, True) == pytest.approx(20)
    assert value(m, "obd.rate", "calm", True) == pytest.approx(2 / 8)


def test_stored_latency_uses_the_acknowledgement(bench):
    """The commit that is acknowledged counts, not the time that the gateway wrote down."""
    b = bench()
    b.poll(RPM, [1, 2], delay_s=0.0)
    b.writer.stored_at(77, 1, at(1.2))
    b.writer.stored_at(77, 2, at(2.9))
    m = b.measures()
    assert value(m, "obd.latency.stored.max") == pytest.approx(900)
    assert value(m, "obd.latency.stored.p50") == pytest.approx(200)


def test_nothing_received_is_nothing_measured(bench):
    """Without readings there is no latency, fidelity or loss: the limits stay unset."""
    m = bench().measures()
    for name in ("obd.latency.p95", "obd.fidelity.max", "readings.lost", "obd.age.max"):
        assert m.get(name) is None
    assert m.get("no.such.measure") is None


def test_age_grows_while_nothing_is_published(bench):
    """Looked at once a second from the first publication on."""
    b = bench(plan={"obd": {"RPM": 1.0}})
    b.poll(RPM, [1.0, 2.0], delay_s=0.0)  # published at 1.1 and 2.1
    m = b.measures()
    # Looks at 1.1, 2.1, … 19.1: ages 0.1, 0.1, 1.1, … 17.1.
    assert value(m, "obd.age.max") == pytest.approx(17.1)
    assert value(m, "obd.age.p50", "calm") == pytest.approx(3.1)


def test_a_late_old_value_does_not_make_a_signal_older(bench):
    """The newest measured value counts, whatever came last."""
    b = bench()
    b.sample(1.0, "gps", "LAT", 47, 47)
    b.sample(2.0, "gps", "LAT", 47, 47)
    b.reading(LAT, 47, measured_s=2.0, received_s=2.1)
    b.reading(LAT, 47, measured_s=1.0, received_s=2.15, arrived_s=2.3)
    m = b.measures()
    assert value(m, "gps.age.max") == pytest.approx(17.2)  # look at 19.2, measured at 2.0


def test_coverage_follows_the_planned_rate(bench):
    """Half of the planned readings are 50 %, and a surplus makes up for no other signal."""
    b = bench(plan={"obd": {"RPM": 1.0, "SPEED": 1.0}})
    b.poll(RPM, [i * 0.5 for i in range(20)])
    m = b.measures()
    assert value(m, "obd.coverage", "calm") == pytest.approx(50)
    assert value(m, "obd.coverage", "hard") == pytest.approx(0)


def test_coverage_of_a_link_flat_out_is_against_the_samples(bench):
    """Where the plan sets no rate, each sample that the world took is called for."""
    b = bench(plan={"obd": {"RPM": None}})
    b.poll(RPM, [1, 2, 3])
    b.sample(4.0, "obd", "RPM", 800, 800)
    assert value(b.measures(), "obd.coverage") == pytest.approx(75)


def test_gps_coverage_counts_epochs_with_a_fix(bench):
    """An epoch without a fix is not called for; one that was lost on the way is."""
    b = bench(plan={"gps": {"LAT": 1.0}})
    for second in range(4):
        b.sample(second, "gps", "LAT", 47.0, None if second == 0 else 47.0)
    for second in (1, 2):
        b.reading(LAT, 47.0, measured_s=second, received_s=second + 0.1)
    assert value(b.measures(), "gps.coverage") == pytest.approx(100 * 2 / 3)


def test_fidelity_is_in_steps_of_the_resolution(bench):
    """One rpm off is four steps."""
    b = bench()
    b.poll(RPM, [1, 2, 3])
    b.sample(4.0, "obd", "RPM", 900.1, 900)
    b.reading(RPM, 901, measured_s=4.0, received_s=4.03)
    m = b.measures()
    assert value(m, "obd.fidelity.max") == pytest.approx(4)
    assert value(m, "obd.fidelity.rms") == pytest.approx(2)
    assert value(m, "obd.truth_error.max") == pytest.approx(3.6)
    assert m.get("obd.fidelity.max").unit == "step"


def test_a_swapped_sign_is_a_huge_error(bench):
    """A position mirrored at Greenwich is found by fidelity and by position error."""
    b = bench()
    for signal, name, degrees in ((LAT, "LAT", 47.0), (LON, "LON", 8.5)):
        b.sample(1.0, "gps", name, degrees, degrees)
        stored = -degrees if name == "LON" else degrees
        b.reading(signal, stored, measured_s=1.0, received_s=1.1)
    m = b.measures()
    assert value(m, "gps.fidelity.max") == pytest.approx(17e7)
    assert value(m, "gps.position_error.max") > 1e6


def test_heading_errors_wrap(bench):
    """359.99 against 0.01 degrees is 0.02 degrees off."""
    b = bench()
    b.sample(1.0, "gps", "GPS_HEADING", 0.01, 0.01)
    b.reading(HEADING, 359.99, measured_s=1.0, received_s=1.1)
    assert value(b.measures(), "gps.fidelity.max") == pytest.approx(2)


def test_predictions_are_no_measurements(bench):
    """A held value counts neither for fidelity nor for coverage."""
    b = bench(plan={"obd": {"RPM": None}})
    b.poll(RPM, [1])
    b.sample(2.0, "obd", "RPM", 900, 900)
    b.reading(RPM, 800, measured_s=2.0, received_s=2.03, state=2)
    m = b.measures()
    assert value(m, "obd.fidelity.max") == 0
    assert value(m, "obd.coverage") == pytest.approx(50)


def test_position_error_is_in_metres(bench):
    """A ten-thousandth of a degree of latitude is 11.1 m at 47 degrees north."""
    b = bench()
    b.sample(1.0, "gps", "LAT", 47.0, 47.0001)
    b.sample(1.0, "gps", "LON", 8.5, 8.5)
    b.reading(LAT, 47.0001, measured_s=1.004, received_s=1.1)
    b.reading(LON, 8.5, measured_s=1.004, received_s=1.1)
    m = b.measures()
    assert value(m, "gps.position_error.p95") == pytest.approx(11.118, abs=0.002)
    assert value(m, "gps.fidelity.max") == pytest.approx(0)


def test_a_fix_from_a_tunnel_is_invalid(bench):
    """Fixes for epochs without one, or for epochs that never were, are counted."""
    b = bench()
    for second in (1, 2):
        b.sample(second, "gps", "LAT", 47.0, None if second == 2 else 47.0)
    for second in (1.0, 2.0, 2.5):
        b.reading(LAT, 47.0, measured_s=second, received_s=second + 0.1)
    assert value(b.measures(), "gps.invalid") == 2


def test_lost_readings_are_those_missing_in_the_store(bench):
    """Gaps in the numbers count, and so does what was published beyond the last one stored."""
    b = bench()
    for i in range(10):
        b.reading(RPM, 800, measured_s=i, received_s=i + 0.1, store=i not in (0, 4, 9))
    m = b.measures()
    assert value(m, "readings.lost") == 3
    assert value(m, "readings.doubled") == 0


def test_lost_includes_what_was_acknowledged(bench):
    """An acknowledgement of number 5 with three rows in the store is two readings lost."""
    b = bench()
    b.poll(RPM, [1, 2, 3])
    b.writer.stored_at(7, 5, at(4))
    assert value(b.measures(), "readings.lost") == 2


def test_what_waits_is_what_was_published_and_not_committed(bench):
    """Of twelve readings four were committed when the next eight had come; then all are."""
    b = bench()
    b.poll(RPM, range(1, 13))
    for upto, time_s in ((4, 4.5), (12, 12.5)):
        b.writer.stored_at(7, upto, at(time_s))
    m = b.measures()
    assert value(m, "readings.waiting.max") == 8
    assert value(m, "readings.waiting.max", "calm") == 4
    assert value(m, "readings.acknowledged.lost") == 0


def test_a_restart_begins_a_new_count(bench):
    """Numbers that fall back are another boot's, and lose nothing."""
    b = bench()
    b.poll(RPM, [1, 2, 3])
    b.seq = 0
    b.poll(RPM, [11, 12])
    m = b.measures()
    assert value(m, "readings.lost") == 0
    assert value(m, "readings.doubled") == 0


def test_everything_lost_is_counted(bench):
    """A store that is empty has lost all that was published."""
    b = bench()
    for i in range(5):
        b.reading(RPM, 800, measured_s=i, received_s=i, store=False)
    assert value(b.measures(), "readings.lost") == 5


def test_doubled_rows_are_found_under_new_numbers_too(bench):
    """One sample stored twice is doubled, whatever its sequence number."""
    b = bench()
    b.poll(RPM, [1, 2])
    b.reading(RPM, 800, measured_s=2.0, received_s=2.05)
    b.rows.append(b.rows[0])
    assert value(b.measures(), "readings.doubled") == 2


def test_recovery_is_from_the_faults_end_to_the_next_reading(bench):
    """The slowest recovery counts; a link that stays dead never recovers."""
    b = bench(faults=[["a", "mute", "obd", at(2), at(3)], ["b", "mute", "obd", at(5), at(6)]])
    b.poll(RPM, [1.0, 3.5, 7.0], delay_s=0.0)
    assert value(b.measures(), "obd.recovery.max") == pytest.approx(1.0)
    dead = bench(faults=[["a", "mute", "obd", at(2), at(3)]])
    dead.poll(RPM, [1.0])
    assert value(dead.measures(), "obd.recovery.max") == math.inf


def test_an_outage_at_the_end_counts(bench):
    """The longest gap includes the time from the last reading to the window's end."""
    b = bench()
    b.poll(RPM, [2.0, 3.0, 8.0], delay_s=0.0)
    m = b.measures()
    assert value(m, "obd.outage.max") == pytest.approx(12)
    assert value(m, "obd.outage.max", "calm") == pytest.approx(5)
    assert value(m, "obd.outage.max", "hard") == pytest.approx(10)
    assert value(m, "obd.start") == pytest.approx(2)


def test_derived_signals_belong_to_no_link(bench):
    """BOOST is computed by the gateway: it has no sample, and counts for no link's rate."""
    b = bench()
    b.poll(RPM, [1])
    b.reading(BOOST, 3.2, measured_s=1.0, received_s=1.05)
    m = b.measures()
    assert value(m, "obd.rate") == pytest.approx(1 / 20)
    assert value(m, "readings.doubled") == 0
    assert m.derived()["BOOST"][1].tolist() == [3.2]


def test_a_real_link_is_measured_by_the_gateways_time(bench):
    """Without samples the reading's own instant counts, and truth is not known."""
    b = bench(real_links=["obd"], plan={"obd": {"RPM": 1.0}})
    b.reading(RPM, 800, measured_s=1.0, received_s=1.25)
    m = b.measures()
    assert value(m, "obd.latency.max") == pytest.approx(250)
    assert value(m, "obd.coverage") == pytest.approx(5)
    assert m.get("obd.fidelity.max") is None


def test_what_only_the_runner_knows_comes_from_the_result(bench):
    """Counters, exit code and ratio are looked up; CPU is known in paced runs alone."""
    b = bench()
    b.poll(RPM, [1])
    b.writer.log('{"event": "lost", "level": "error"}')
    b.writer.log('{"event": "an ERROR in the text", "level": "info"}')
    b.writer.log("Traceback (most recent call last):")
    b.writer.log('{"event": "link failed", "level": "info", "exception": "Traceback ..."}')
    b.result |= {
        "gateway": {"exit": 0, "cpu_pct": 12.0, "rss_mb": 61.0},
        "counters": {"obd": {"timeouts": 3}},
        "measures": {"ingest.extra": [4, "/s"], "fleet.recovery": [None, "s"]},
    }
    m = b.measures()
    assert value(m, "obd.counter.timeouts") == 3
    assert value(m, "obd.counter.timeouts", "calm") is None
    assert value(m, "gateway.exit") == 0
    assert value(m, "gateway.cpu") is None
    assert value(m, "ingest.throughput") is None
    assert value(m, "log.errors") == 2
    assert value(m, "log.exceptions") == 2
    assert value(m, "rig.ratio") == pytest.approx(40)
    assert value(m, "ingest.extra") == 4
    assert value(m, "fleet.recovery") == float("inf")  # never: JSON has no word for it


def test_paced_runs_judge_speed(bench):
    """Throughput is committed readings per second of wall time."""
    b = bench(mode="paced")
    b.result |= {"sim_s": 20.0, "wall_s": 10.0, "gateway": {"cpu_pct": 12.0, "rss_mb": 61.0}}
    b.poll(RPM, [i * 0.1 for i in range(100)], delay_s=0.0)
    m = b.measures()
    assert value(m, "ingest.throughput", "calm") == pytest.approx(95 / 10 * 2)
    assert value(m, "gateway.rss") == 61
    assert m.get("gateway.cpu").unit == "%"


def test_all_names_only_known_measures_or_extras(bench):
    """What `all` lists, a limit may name."""
    b = bench(plan={"obd": {"RPM": 1.0}})
    b.poll(RPM, [1, 2])
    b.result["counters"] = {"obd": {"replies": 2}}
    found = b.measures().all()
    assert {"obd.latency.p50", "readings.lost", "rig.ratio", "obd.counter.replies"} <= set(found)
    assert all(find_measure(name) is not None for name in found)
    assert all(find_measure(name).unit == measured.unit for name, measured in found.items())


def test_time_error_is_how_far_off_the_gateways_instant_is(bench):
    """In either direction: 40 ms late and 990 ms early."""
    b = bench()
    b.sample(1.0, "obd", "RPM", 800, 800)
    b.reading(RPM, 800, measured_s=1.04, received_s=1.05)
    b.sample(11.0, "obd", "RPM", 800, 800)
    b.reading(RPM, 800, measured_s=10.01, received_s=11.05)
    m = b.measures()
    assert value(m, "obd.time_error.max", "calm") == pytest.approx(40)
    assert value(m, "obd.time_error.max") == pytest.approx(990)
    assert value(m, "obd.time_error.p50") == pytest.approx(40)


def test_each_value_on_the_wire_that_is_not_stored_is_missing(bench):
    """One that was not stored; one without a value is none, and a surplus elsewhere helps not."""
    b = bench()
    b.poll(RPM, [1, 2, 3])
    b.sample(4.0, "obd", "RPM", 800, 800)
    b.sample(5.0, "obd", "SPEED", 0, None)
    b.sample(12.0, "obd", "SPEED", 0, 0)
    b.poll(SPEED, [13])
    m = b.measures()
    assert value(m, "obd.missing", "calm") == 1
    assert value(m, "obd.missing") == 2
    assert value(m, "gps.missing") is None


def test_the_worst_signals_coverage_counts_whole_readings(bench):
    """0.25 Hz for 10 s are two readings, 0.05 Hz are none; the third signal lost half."""
    b = bench(plan={"obd": {"RPM": 0.25, "SPEED": 1.0, "MAF": 0.05}})
    b.poll(RPM, [1, 5])
    b.poll(SPEED, [0.5, 1.5, 2.5, 3.5, 4.5])
    m = b.measures()
    assert value(m, "obd.coverage.worst", "calm") == pytest.approx(50)


def test_the_worst_coverage_of_gps_is_against_what_the_receiver_gave(bench):
    """Every position, and one of two headings."""
    b = bench()
    b.poll(LAT, [1, 2, 3])
    b.poll(HEADING, [2])
    b.sample(3.0, "gps", "GPS_HEADING", 90, 90)
    m = b.measures()
    assert value(m, "gps.coverage") == pytest.approx(100)
    assert value(m, "gps.coverage.worst") == pytest.approx(50)


def test_a_derived_value_is_held_against_its_own_samples(bench):
    """Boost belongs to no link: no link's fidelity knows it, and any link's fault may strike it."""
    b = bench(faults=[["f", "corrupt", "obd", at(1.5), at(3)]])
    b.sample(1.0, "derived", "BOOST", 1.4, 1.45)
    b.reading(BOOST, 1.45, measured_s=1.03, received_s=1.03)
    b.sample(2.0, "derived", "BOOST", 1.4, 1.45)
    b.reading(BOOST, -1.45, measured_s=2.03, received_s=2.03)
    m = b.measures()
    assert value(m, "derived.fidelity.max") == pytest.approx(20)
    assert value(m, "derived.fidelity.max", except_faults=True) == 0
    assert "derived" not in m.links
    assert value(m, "obd.fidelity.max") is None


def test_without_a_derived_value_its_fidelity_is_not_measured(bench):
    """A gateway that no longer derives it leaves the limit unset."""
    b = bench()
    b.sample(1.0, "derived", "BOOST", 1.4, 1.45)
    assert value(b.measures(), "derived.fidelity.max") is None


def test_a_value_without_truth_has_no_error(bench):
    """The number of satellites is what the receiver says; nobody knows better."""
    b = bench()
    b.sample(1.0, "gps", "LAT", None, 47)
    b.reading(LAT, 47, measured_s=1.0, received_s=1.1)
    m = b.measures()
    assert value(m, "gps.fidelity.max") == 0
    assert value(m, "gps.truth_error.max") is None


def test_what_a_client_got_as_it_was_stored_is_published(bench):
    """Each stored reading once: nothing is unpublished."""
    b = bench()
    b.poll(RPM, [1, 2, 3])
    assert value(b.measures(), "readings.unpublished") == 0


def test_a_reading_that_a_client_missed_is_unpublished(bench):
    """What came in before the client's first reading does not count: it was not there yet."""
    b = bench()
    rows = []
    for number, time_s in enumerate((1.0, 2.0, 3.0, 4.0), 1):
        row = (number, RPM, at(time_s), 800.0, at(time_s), 0)
        rows.append(row)
        b.rows.append(Stored("car-1", *row, at(time_s + 0.5)))
    b.writer.published(at(2.1), [rows[1]])
    b.writer.published(at(4.1), [rows[3]])
    assert value(b.measures(), "readings.unpublished") == 1


@pytest.mark.parametrize(
    "rows",
    [
        [(1, RPM, at(1), 800.0, at(1), 0), (1, RPM, at(1), 800.0, at(1), 0)],
        [(1, RPM, at(1), 801.0, at(1), 0)],
        [(1, RPM, at(1.5), 800.0, at(1), 0)],
        [(1, SPEED, at(1), 800.0, at(1), 0)],
    ],
    ids=["twice", "another value", "another instant", "another signal"],
)
def test_a_reading_published_otherwise_is_unpublished(bench, rows):
    """A client must get what is stored, and once."""
    b = bench()
    b.rows.append(Stored("car-1", 1, RPM, at(1), 800.0, at(1), 0, at(1.5)))
    b.writer.published(at(1.1), rows)
    assert value(b.measures(), "readings.unpublished") == 1


def test_a_client_that_got_nothing_measures_nothing(bench):
    """The limit stays unset and fails."""
    b = bench()
    b.rows.append(Stored("car-1", 1, RPM, at(1), 800.0, at(1), 0, at(1.5)))
    assert value(b.measures(), "readings.unpublished") is None
