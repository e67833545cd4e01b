"""The engine: what a rule makes of readings and of time."""

from __future__ import annotations

import itertools
from array import array
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.alerts.engine import Change, Engine, State
from server.alerts.rule import Rule, RuleBody, checked
from server.catalogue import by_name
from server.readings import Reading
from server.readings import State as ReadingState
from server.store.body import Column, little_endian

RPM = by_name("RPM")
SPEED = by_name("SPEED")
T0_NS = 1_700_000_000 * 10**9
S = 10**9


class Bench:
    """An engine with rules, and what it told."""

    def __init__(self, **fields: Any) -> None:
        self.changes: list[Change] = []
        self.engine = Engine(self.changes.append)
        self._numbers = itertools.count(1)
        self.now_s = 0.0
        if fields:
            self.add(**fields)

    def add(self, **fields: Any) -> Rule:
        """Add a rule over RPM."""
        body = checked(msgspec.convert({"name": "r", "signal": "RPM", **fields}, RuleBody), RPM)
        rule = Rule(next(self._numbers), body, RPM, 300)
        self.engine.put(rule)
        return rule

    def read(
        self, *points: tuple[float, float], device: str = "car", vin: str = "", signal: int = RPM.id
    ) -> None:
        """Give readings as (seconds, value), which arrive at once when the last was taken."""
        readings = [
            Reading(signal, T0_NS + round(at_s * S), value, T0_NS) for at_s, value in points
        ]
        self.now_s = max(self.now_s, points[-1][0])
        self.engine.readings(device, vin, readings, T0_NS + round(self.now_s * S), self.now_s)

    def wait(self, until_s: float) -> None:
        """Let time go by."""
        while (due_s := self.engine.next_due_s) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.engine.expire(T0_NS + round(self.now_s * S), self.now_s)
        self.now_s = until_s

    @property
    def told(self) -> list[tuple[str, float]]:
        """What was told, with its second."""
        return [(c.state.value, (c.time_ns - T0_NS) / S) for c in self.changes]


@pytest.mark.promise("A01")
def test_fires_and_resolves() -> None:
    """An alert fires with the reading that meets the condition, and ends with the one that does
    not."""
    bench = Bench(condition="gt", threshold=6000)
    bench.read((0, 5999), (1, 6001), (2, 7000), (3, 6000), (4, 5000), (5, 6500))
    assert bench.told == [("firing", 1), ("resolved", 3), ("firing", 5)]
    assert bench.changes[0].value == 6001
    assert bench.changes[0].watch.extreme == 6500


def test_extreme_is_the_farthest_value() -> None:
    """While it fires, the farthest value is kept."""
    bench = Bench(condition="gt", threshold=6000)
    bench.read((1, 6001), (2, 7000), (3, 6500))
    assert bench.changes[0].watch.extreme == 7000


def test_hysteresis_keeps_a_noisy_value_quiet() -> None:
    """A value that trembles around the threshold fires once."""
    bench = Bench(condition="gt", threshold=6000, hysteresis=50)
    bench.read(*((i * 0.1, 6000 + (25 if i % 2 else -25)) for i in range(100)))
    assert bench.told == [("firing", 0.1)]


def test_duration_is_measured_between_readings() -> None:
    """The condition has to hold for the duration, by the instants of the readings."""
    bench = Bench(condition="gt", threshold=6000, duration_s=3)
    bench.read((0, 6500), (1, 6500), (2, 5000), (3, 6500), (5, 6500), (6, 6500))
    assert bench.told == [("firing", 6)]
    assert bench.changes[0].since_ns == T0_NS + 3 * S


def test_duration_is_met_by_the_clock_too() -> None:
    """A value holds until the next one: a door that opens and stays open fires by the clock."""
    bench = Bench(condition="gt", threshold=6000, duration_s=30)
    bench.read((0, 6500))
    bench.wait(29)
    assert bench.told == []
    bench.wait(31)
    assert bench.told == [("firing", 30)]


def test_a_lost_link_ends_what_is_pending() -> None:
    """What waits for its duration is dropped when the link says that the signal is missing."""
    bench = Bench(condition="gt", threshold=6000, duration_s=30)
    bench.read((0, 6500))
    bench.engine.lost("car", [RPM.id])
    bench.wait(60)
    assert bench.told == []


def test_late_readings_change_nothing() -> None:
    """A reading from before the newest one is no news."""
    bench = Bench(condition="gt", threshold=6000)
    bench.read((10, 5000))
    bench.read((5, 9000))
    assert bench.told == []


def test_a_clock_ahead_shuts_nothing_out() -> None:
    """After a reading from the future the ones of now count."""
    bench = Bench(condition="gt", threshold=6000)
    now_ns = T0_NS + S
    for at_ns, value in ((T0_NS + 3000 * S, 5000.0), (now_ns, 6500.0)):
        bench.engine.readings("car", "", [Reading(RPM.id, at_ns, value, now_ns)], now_ns, 1.0)
    assert [change.state for change in bench.changes] == [State.FIRING]


def test_a_lost_value_is_no_value() -> None:
    """NaN, of a reading that is LOST, meets no condition, not even "not equal"."""
    bench = Bench(condition="ne", threshold=6000)
    lost = Reading(RPM.id, T0_NS, float("nan"), T0_NS, ReadingState.LOST)
    bench.engine.readings("car", "", [lost], T0_NS, 0.0)
    assert bench.told == []


def test_rate_of_change() -> None:
    """A rate rule compares the change per second over its window."""
    bench = Bench(kind="rate", condition="gt", threshold=500, window_s=2)
    bench.read(*((i * 0.5, 1000 + 100 * i) for i in range(10)))  # 200 a second
    assert bench.told == []
    bench.read(*((5 + i * 0.5, 1900 + 300 * i) for i in range(10)))  # 600 a second
    assert [state for state, _ in bench.told] == ["firing"]
    bench.read(*((10 + i * 0.5, 4600) for i in range(10)))
    assert [state for state, _ in bench.told] == ["firing", "resolved"]
    assert bench.changes[0].value > 500


def test_rate_begins_anew_after_a_gap() -> None:
    """What lies before a long gap is no rate."""
    bench = Bench(kind="rate", condition="ne", threshold=0, window_s=1)
    bench.read((0, 1000))
    bench.read((3600, 5000))
    assert bench.told == []


def test_rate_keeps_few_points() -> None:
    """However many readings a window has, a bounded number is kept."""
    bench = Bench(kind="rate", condition="gt", threshold=500, window_s=10)
    bench.read(*((i * 0.001, 1000) for i in range(20_000)))
    assert len(bench.engine.watches[0].points) <= 66


def test_staleness() -> None:
    """No reading for so long fires; the next one ends it."""
    bench = Bench(kind="stale", stale_s=5)
    bench.read((0, 800), (1, 800))
    bench.wait(4)
    bench.read((4, 800))
    bench.wait(8.9)
    assert bench.told == []
    bench.wait(9.1)
    assert bench.told == [("firing", 9)]
    bench.read((20, 800))
    assert bench.told[1:] == [("resolved", 20)]
    bench.wait(40)
    assert [state for state, _ in bench.told] == ["firing", "resolved", "firing"]


def test_old_readings_are_not_fresh() -> None:
    """Readings of an hour ago do not end the staleness of now, and do not begin one at once."""
    bench = Bench(kind="stale", stale_s=5)
    bench.wait(3600)
    bench.engine.readings("car", "", [Reading(RPM.id, T0_NS, 1.0, T0_NS)], T0_NS + 3600 * S, 3600.0)
    assert bench.told == []
    bench.wait(3606)
    assert [state for state, _ in bench.told] == ["firing"]
    bench.engine.readings(
        "car", "", [Reading(RPM.id, T0_NS + S, 1.0, T0_NS)], T0_NS + 3606 * S, 3606.0
    )
    assert [state for state, _ in bench.told] == ["firing"]


def test_a_device_that_was_never_heard() -> None:
    """A rule that names a device misses it from the moment it is told to watch."""
    bench = Bench()
    rule = bench.add(kind="stale", stale_s=5, device="esp-1")
    bench.engine.watch(rule, "esp-1", "", 0.0)
    bench.wait(6)
    assert bench.told == [("firing", 5)]


def test_only_the_device_and_vehicle_that_are_meant() -> None:
    """A rule of one device, or of one vehicle, looks at no other's readings."""
    bench = Bench()
    bench.add(condition="gt", threshold=6000, device="a")
    bench.add(condition="gt", threshold=6000, vin="VIN2")
    bench.read((0, 7000), device="a", vin="VIN1")
    bench.read((0, 7000), device="b", vin="VIN2")
    bench.read((0, 7000), device="c", vin="VIN3")
    assert [(c.watch.rule.id, c.watch.device) for c in bench.changes] == [(1, "a"), (2, "b")]


def test_another_vehicle_ends_the_alert_of_the_first() -> None:
    """A device that is put into another vehicle leaves its rules behind."""
    bench = Bench(condition="gt", threshold=6000, vin="VIN1")
    bench.read((0, 7000), vin="VIN1")
    bench.read((1, 7000), vin="VIN2")
    assert [state for state, _ in bench.told] == ["firing", "resolved"]


def test_a_restored_alert_does_not_fire_again() -> None:
    """What fired before a restart goes on, and ends with the first good reading."""
    bench = Bench()
    rule = bench.add(condition="gt", threshold=6000)
    watch = bench.engine.watch(rule, "car", "", 0.0)
    assert watch is not None
    bench.engine.restore(watch, T0_NS, T0_NS, 7000)
    bench.read((1, 7000), (2, 5000))
    assert bench.told == [("resolved", 2)]


def test_the_queue_of_instants_is_bounded() -> None:
    """A condition that begins and ends all the time leaves nothing behind."""
    bench = Bench(condition="gt", threshold=6000, duration_s=3600)
    bench.read(*((i * 0.01, 7000 if i % 2 else 5000) for i in range(20_000)))
    assert len(bench.engine._due) < 1000


def column(points: list[tuple[float, float]], signal: int = RPM.id) -> Column:
    """Points as a column."""
    times = [T0_NS + round(at_s * S) for at_s, _ in points]
    steps = [later - sooner for sooner, later in itertools.pairwise(times)]
    return Column(
        0, signal, times[0], steps, little_endian(array("d", [value for _, value in points]))
    )


@given(
    st.lists(st.sampled_from([5000.0, 5950.0, 6000.0, 6050.0, 7000.0]), min_size=1, max_size=40),
    st.integers(1, 10),
    st.sampled_from(["gt", "ge", "lt", "le", "eq", "ne"]),
    st.sampled_from([0.0, 2.0]),
)
def test_columns_tell_what_readings_tell(
    values: list[float], part: int, condition: str, duration_s: float
) -> None:
    """However readings are cut into columns, the same alerts fire at the same instants."""
    hysteresis = 0 if condition == "ne" else 40
    fields = {
        "condition": condition,
        "threshold": 6000,
        "hysteresis": hysteresis,
        "duration_s": duration_s,
    }
    one, other = Bench(**fields), Bench(**fields)
    points = [(float(second), value) for second, value in enumerate(values)]
    now_ns = T0_NS + len(points) * S
    readings = [Reading(RPM.id, T0_NS + round(at * S), value, now_ns) for at, value in points]
    one.engine.readings("car", "", readings, now_ns, 0.0)
    for begin in range(0, len(points), part):
        columns = [column(points[begin : begin + part]), column([(0, 1)], SPEED.id)]
        other.engine.columns("car", "", columns, now_ns, 0.0)
    assert one.told == other.told
