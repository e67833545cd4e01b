"""Airtime: how long frames take, and how much of it may be spent."""

from __future__ import annotations

import pytest

from server.mesh.air.airtime import LONGEST_FRAME_BYTES, PRESETS, frame_bytes, payload_airtime_s
from server.mesh.air.budget import DEPTH_S, Budget, OwnAirtime, own_duty_pct, politeness
from server.wire import air


@pytest.mark.parametrize(
    ("preset", "payloads_ms"),
    [
        ("SHORT_TURBO", (35, 53, 90, 102)),
        ("SHORT_FAST", (71, 107, 181, 204)),
        ("SHORT_SLOW", (126, 193, 321, 362)),
        ("MEDIUM_TURBO", (116, 172, 285, 321)),
        ("MEDIUM_FAST", (232, 345, 570, 642)),
        ("MEDIUM_SLOW", (423, 628, 1037, 1181)),
        ("LONG_TURBO", (574, 869, 1459, 1656)),
        ("LONG_FAST", (805, 1174, 1911, 2157)),
        ("LONG_MODERATE", (2691, 4133, 7016, 7934)),
        ("LONG_SLOW", (4858, 7479, 12722, 14295)),
    ],
)
def test_airtimes_are_those_of_the_radios_driver(preset: str, payloads_ms: tuple[int, ...]) -> None:
    """Payloads of 50, 100, 200 and 231 bytes, whole milliseconds."""
    found = [payload_airtime_s(PRESETS[preset], size) * 1000 for size in (50, 100, 200, 231)]
    assert [round(ms) for ms in found] == pytest.approx(payloads_ms, abs=1)


def test_the_longest_payloads_fill_the_longest_frame() -> None:
    """What the message layer allows is just what a radio can send, to all and to one."""
    assert frame_bytes(air.BROADCAST_BYTES) == LONGEST_FRAME_BYTES
    assert frame_bytes(air.DIRECT_BYTES, is_direct=True) == LONGEST_FRAME_BYTES


@pytest.mark.parametrize(
    ("region", "wanted", "own"),
    [(10.0, None, 8.0), (1.0, None, 0.8), (100.0, None, 10.0), (10.0, 5.0, 5.0), (1.0, 5.0, 1.0)],
)
def test_the_share_of_a_region(region: float, wanted: float | None, own: float) -> None:
    """Four fifths of what is allowed, never more than a tenth; a wish is cut to the region's."""
    assert own_duty_pct(region, wanted) == pytest.approx(own)


def test_no_hour_has_more_than_its_share_and_what_was_saved() -> None:
    """Whoever takes all that is allowed, from the start on, stays below ten percent."""
    budget = Budget(8.0, 2.157)
    spent: list[float] = []
    for second in range(7200):
        budget.count(float(second), 0.0)
        spent.append(0.0)
        while budget.allows(2.157):
            budget.pay(2.157)
            spent[-1] += 2.157
    hours = [sum(spent[at : at + 3600]) for at in range(0, 3600, 60)]
    assert max(hours) <= 0.08 * (3600 + DEPTH_S) < 360
    assert min(hours) >= 0.08 * 3600 - 2.157


def test_a_slow_preset_can_save_two_frames() -> None:
    """Else a frame that takes longer than the depth would never go."""
    budget = Budget(1.0, 14.3)
    for second in range(4000):
        budget.count(float(second), 0.0)
    assert budget.allows(14.3)
    assert budget.saved_s == pytest.approx(28.6)


def test_an_alarm_may_take_one_frame_on_credit() -> None:
    """One, not more; then it must be earned again."""
    budget = Budget(10.0, 2.0)
    budget.saved_s = 0.5
    assert not budget.allows(2.0)
    assert budget.allows(2.0, is_urgent=True)
    budget.pay(2.0)
    assert not budget.allows(2.0, is_urgent=True)


@pytest.mark.parametrize(
    ("busy", "part"), [(0.0, 1.0), (25.0, 1.0), (32.5, 0.5), (40.0, 0.0), (90.0, 0.0)]
)
def test_a_busy_channel_leaves_less(busy: float, part: float) -> None:
    """All up to 25 %, nothing from 40 % on."""
    assert politeness(busy) == pytest.approx(part)


def test_a_pause_ends() -> None:
    """Nothing goes during a pause, not even on credit, and nothing is saved beyond a frame."""
    budget = Budget(10.0, 2.0)
    budget.count(0.0, 0.0)
    budget.pause(60.0)
    budget.count(59.0, 0.0)
    assert not budget.allows(0.1, is_urgent=True)
    budget.count(60.0, 0.0)
    assert budget.allows(2.0)


def test_what_a_vehicle_sends_itself_is_not_held_against_it() -> None:
    """A radio counts its own frames as a busy channel; those of the last minute are taken out."""
    own = OwnAirtime()
    for now_s in (0.0, 20.0, 40.0):
        own.sent(now_s, 6.0)
    assert own.others_pct(50.0, 45.0) == pytest.approx(15.0)
    assert own.others_pct(90.0, 45.0) == pytest.approx(35.0)
    assert own.others_pct(90.0, 5.0) == 0.0
