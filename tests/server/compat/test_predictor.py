"""The predictor of the older edge loggers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.compat.predictor import Smoothing

values = st.floats(-1e6, 1e6)
records = st.lists(st.dictionaries(st.integers(1, 5), values), max_size=20)


def test_the_numbers_of_the_older_system() -> None:
    """The first value is the level; then 0.3 of the new and 0.7 of the old."""
    one = Smoothing().after({1: 100.0})
    assert one.levels == {1: 100.0}
    two = one.after({1: 110.0, 2: 5.0})
    assert two.levels == {1: 0.3 * 110.0 + 0.7 * 100.0, 2: 5.0}
    assert two.left_out({2: 6.0}) == {1: two.levels[1]}
    assert one.levels == {1: 100.0}


@given(records)
def test_both_sides_stay_in_step(sent: list[dict[int, float]]) -> None:
    """A logger that keeps the same levels expects what the gateway completes, field by field."""
    gateway = Smoothing()
    device: dict[int, float] = {}
    for record in sent:
        assert gateway.left_out(record) == {
            field: level for field, level in device.items() if field not in record
        }
        gateway = gateway.after(record)
        for field, value in record.items():
            device[field] = 0.3 * value + 0.7 * device[field] if field in device else value
    assert gateway.levels == device


@given(records)
def test_nothing_is_invented(sent: list[dict[int, float]]) -> None:
    """A field that was never sent is never completed."""
    predictor = Smoothing()
    for record in sent:
        predictor = predictor.after(record)
    known = {field for record in sent for field in record}
    assert set(predictor.left_out({})) == known
