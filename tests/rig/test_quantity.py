"""Numbers with units: accepted, refused, converted."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.quantity import (
    BAUD,
    COUNT,
    DIMENSIONS,
    DURATION,
    PERCENTAGE,
    RATE,
    SIZE,
    SPEED,
    TEMPERATURE,
    Dimension,
    QuantityError,
    convert,
    show,
)


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        (DURATION, "30 s", 30.0),
        (DURATION, "5 min", 300.0),
        (DURATION, "1.5h", 5400.0),
        (DURATION, "7 ms", 0.007),
        (DURATION, " 250  us ", 0.00025),
        (SPEED, "110 km/h", 110.0),
        (SPEED, "80 mph", 128.74752),
        (SPEED, "10 m/s", 36.0),
        (RATE, "5 Hz", 5.0),
        (RATE, "50000/s", 50000.0),
        (RATE, "50_000/s", 50000.0),
        (SIZE, "70 MB", 70e6),
        (PERCENTAGE, "0.5 %", 0.5),
        (TEMPERATURE, "-5 °C", -5.0),
        (TEMPERATURE, "-5 C", -5.0),
        (BAUD, "38400", 38400.0),
        (BAUD, "38400 baud", 38400.0),
        (COUNT, "0", 0.0),
        (COUNT, "1e3", 1000.0),
    ],
)
def test_a_number_with_its_unit_is_kept_in_the_dimensions_unit(
    dimension: Dimension, text: str, value: float
) -> None:
    """Each accepted unit converts exactly."""
    assert dimension.parse(text) == value


@pytest.mark.parametrize(
    "text", ["", "s", "5", "5 km", "five s", "1:30", "5 s 3", "nan s", "inf s"]
)
def test_what_is_no_duration_is_refused_with_the_accepted_units(text: str) -> None:
    """A missing or foreign unit is named, and so are the units that would be right."""
    with pytest.raises(QuantityError) as caught:
        DURATION.parse(text)
    assert "ms, s, min, h" in caught.value.expected
    assert repr(text) in caught.value.found


def test_a_number_too_large_for_a_float_is_refused() -> None:
    """Overflow is no infinite duration."""
    with pytest.raises(QuantityError, match="not finite"):
        DURATION.parse("9e999 s")


@given(st.sampled_from(DIMENSIONS), st.text(max_size=30))
def test_any_text_gives_a_finite_number_or_a_quantity_error(
    dimension: Dimension, text: str
) -> None:
    """No text raises anything else."""
    value = 0.0
    with contextlib.suppress(QuantityError):
        value = dimension.parse(text)
    assert math.isfinite(value)


@given(st.sampled_from(DIMENSIONS), st.integers(-(10**9), 10**9))
def test_every_unit_parses_and_converts_back(dimension: Dimension, number: int) -> None:
    """parse() and convert() agree on each unit of each dimension."""
    for unit in dimension.factors:
        value = dimension.parse(f"{number} {unit}")
        assert convert(value, dimension.unit, unit) == pytest.approx(number, rel=1e-9)


def test_units_of_two_dimensions_do_not_convert() -> None:
    """Milliseconds are no metres."""
    with pytest.raises(QuantityError, match="converts to 'm'"):
        convert(1.0, "ms", "m")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(60.0, "ms", "60 ms"), (50000.0, "/s", "50000/s"), (0.0, "", "0"), (20.0, "x", "20x")],
)
def test_a_value_is_shown_as_a_file_would_have_it(value: float, unit: str, text: str) -> None:
    """show() writes what parse() reads."""
    assert show(value, unit) == text
