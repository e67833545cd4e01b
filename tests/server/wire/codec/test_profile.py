"""Profiles: binary form, hash, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.codec.profile import Profile, ProfileError, SignalPlan
from tests.server.wire.codec.drives import plan


def test_the_binary_form_holds_everything(trained: Profile) -> None:
    """Read and written again, it is the same, and so is its hash."""
    data = trained.to_bytes()
    again = Profile.from_bytes(data)
    assert again.to_bytes() == data
    assert again.hash == trained.hash
    assert len(again.hash) == 8
    assert (again.period_ms, again.delay_rows, len(again.signals)) == (100, 0, 5)


@given(
    st.integers(1, 60000),
    st.integers(0, 100),
    st.lists(
        st.builds(
            SignalPlan,
            st.integers(0, 5000),
            st.integers(1, 10**6),
            st.integers(1, 10**6),
            st.integers(-(10**6), 10**6),
            st.integers(1, 10**6),
            divider=st.just(9),
            phase=st.integers(0, 8),
            bound=st.integers(0, 1000),
            minimum=st.integers(-(2**31), 0),
            maximum=st.integers(0, 2**31),
        ),
        min_size=1,
        max_size=64,
    ),
)
def test_any_plan_survives(period_ms: int, delay_rows: int, plans: list[SignalPlan]) -> None:
    """Every field of every signal comes back."""
    profile = Profile.cold(period_ms, plans, delay_rows)
    again = Profile.from_bytes(profile.to_bytes())
    assert [vars(signal) for signal in again.signals] == [vars(signal) for signal in plans]
    assert (again.period_ms, again.delay_rows) == (period_ms, delay_rows)


def test_the_hash_tells_plans_apart() -> None:
    """A change of any field is another profile."""
    hashes = {Profile.cold(100, plan(2, bound=bound)).hash for bound in range(5)}
    hashes |= {Profile.cold(period_ms, plan(2)).hash for period_ms in (50, 200)}
    assert len(hashes) == 7


def test_bytes_that_are_no_profile_are_refused(trained: Profile) -> None:
    """Another beginning, every truncation, bytes after the end."""
    data = trained.to_bytes()
    with pytest.raises(ProfileError, match="begins with TRP1; found b'NOPE'"):
        Profile.from_bytes(b"NOPE" + data)
    for length in (4, 5, 30, 200, len(data) - 1):
        with pytest.raises(ProfileError, match="not a whole profile"):
            Profile.from_bytes(data[:length])
    with pytest.raises(ProfileError, match="not a whole profile"):
        Profile.from_bytes(data + b"\0")
    with pytest.raises(ProfileError, match="1 bytes after the end"):
        Profile.from_bytes(Profile.cold(100, plan(1)).to_bytes() + b"\0")


def test_plans_that_cannot_be_are_refused() -> None:
    """Each wrong field is named."""
    for fields, message in (
        ({"divider": 0}, "phase < divider"),
        ({"divider": 2, "phase": 2}, "phase 2, divider 2"),
        ({"bound": -1}, "a bound >= 0"),
        ({"scale_den": 0}, "a scale above 0"),
        ({"minimum": 5, "maximum": 4}, "minimum 5 above maximum 4"),
    ):
        with pytest.raises(ProfileError, match=message):
            Profile.cold(100, plan(1, **fields))
    with pytest.raises(ProfileError, match="1 to 64 signals expected, found 65"):
        Profile.cold(100, plan(65))
    with pytest.raises(ProfileError, match="period_ms"):
        Profile.cold(0, plan(1))


def test_signals_are_due_in_their_phase() -> None:
    """`due` follows divider and phase."""
    slow = SignalPlan(2, divider=3, phase=1)
    profile = Profile.cold(100, [SignalPlan(1), slow])
    assert [profile.due(row) for row in range(4)] == [[0], [0, 1], [0], [0]]
    assert SignalPlan(1, 1, 4, -40, 1).value(10) == -37.5
