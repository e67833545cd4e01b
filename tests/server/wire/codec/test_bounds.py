"""The mode "bounded error": no reading is further off than its bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.training.learning import train
from server.wire.codec.profile import Profile
from tests.server.wire.codec.drives import Row, decode_all, drive, packets_of, plan


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=4),
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=40),
)
def test_the_error_is_never_above_the_bound(bounds: list[int], values: list[int]) -> None:
    """For any bounds and any values; bound 0 is exact."""
    plans = plan(len(bounds))
    for signal, bound in zip(plans, bounds, strict=True):
        signal.bound = bound
    profile = Profile.from_bytes(Profile.cold(100, plans).to_bytes())
    rows: list[Row] = [[value] * len(bounds) for value in values]
    decoded = decode_all(profile, packets_of(profile, rows))
    for number, row in enumerate(rows):
        for given_value, value, bound in zip(row, decoded[number], bounds, strict=True):
            assert given_value is not None
            assert value is not None
            assert abs(value - given_value) <= bound


def test_a_bound_saves_bytes_and_missing_stays_missing() -> None:
    """Trained with bounds, packets are shorter, errors within them, None is None."""
    rows = drive(1500, seed=5)
    rows[100][2] = rows[101][2] = None
    sizes = []
    for bounds in ([0] * 5, [0, 40, 2, 3, 20]):
        plans = plan(5, minimum=0, maximum=8000)
        for signal, bound in zip(plans, bounds, strict=True):
            signal.bound = bound
        profile = train([drive(1500)], plans, period_ms=100)
        packets = packets_of(profile, rows)
        sizes.append(sum(map(len, packets)))
        decoded = decode_all(profile, packets)
        for number, row in enumerate(rows):
            for before, after, bound in zip(row, decoded[number], bounds, strict=True):
                assert (before is None) == (after is None)
                assert abs((before or 0) - (after or 0)) <= bound
    assert sizes[1] < 0.6 * sizes[0]
