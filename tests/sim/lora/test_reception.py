"""Errors by signal-to-noise ratio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.lora.presets import PRESETS
from sim.lora.reception import frame_error, uniform

# Where a frame of 73 bytes is lost in 90, 50, 10 and 1 % (closed form of Elshabrawy and Robert).
KNOWN = {
    "SHORT_FAST": (-8.95, -8.35, -7.59, -6.85),
    "MEDIUM_FAST": (-14.39, -13.82, -13.11, -12.40),
    "LONG_FAST": (-19.91, -19.38, -18.70, -18.03),
}


@pytest.mark.parametrize("name", KNOWN)
def test_error_rates_are_those_of_the_closed_form(name: str) -> None:
    """The curve passes through the published points."""
    errors = [frame_error(PRESETS[name], snr_db, 73) for snr_db in KNOWN[name]]
    assert errors == pytest.approx([0.9, 0.5, 0.1, 0.01], abs=0.06)


def test_the_stronger_code_mends_what_the_weaker_only_finds() -> None:
    """LongTurbo (4/8) reads frames that LongFast (4/5) loses at the same ratio."""
    weak, strong = PRESETS["LONG_FAST"], PRESETS["LONG_TURBO"]
    assert frame_error(weak, -19.4, 73) > 0.4
    assert frame_error(strong, -19.4, 73) < 0.05


@given(
    name=st.sampled_from(list(PRESETS)),
    snr_db=st.floats(-40, 20),
    more_db=st.floats(0, 10),
    size=st.integers(1, 255),
)
def test_errors_are_probabilities_that_fall_with_strength_and_grow_with_length(
    name: str, snr_db: float, more_db: float, size: int
) -> None:
    """More signal never hurts, more bytes never help."""
    preset = PRESETS[name]
    error = frame_error(preset, snr_db, size)
    assert 0.0 <= error <= 1.0
    assert frame_error(preset, snr_db + more_db, size) <= error
    assert frame_error(preset, snr_db, max(1, size // 2)) <= error


def test_draws_depend_on_every_argument_and_are_uniform() -> None:
    """No two draws of a channel go together."""
    draws = [uniform(seed, a, b) for seed in range(10) for a in range(30) for b in range(30)]
    assert len(set(draws)) == len(draws)
    assert all(0.0 <= draw < 1.0 for draw in draws)
    tenths = [sum(i <= 10 * draw < i + 1 for draw in draws) / len(draws) for i in range(10)]
    assert tenths == pytest.approx([0.1] * 10, abs=0.015)
    assert uniform(1, 2, 3) == uniform(1, 2, 3) != uniform(1, 3, 2)
