"""Nodes against a published experiment with real firmware."""

from __future__ import annotations

import statistics

import pytest

from tests.benchmarks.lora_lab import PUBLISHED, Lab, MendedSimRadioMac, SimRadioMac, runs

PRESETS = ["SHORT_FAST", "MEDIUM_FAST", "LONG_FAST"]
SEEDS = range(3)


def means(labs: list[Lab]) -> tuple[float, float, float]:
    """Delivered and relayed in per cent, and transmissions."""
    return (
        statistics.mean(lab.delivered_pct for lab in labs),
        statistics.mean(lab.relays_pct for lab in labs),
        statistics.mean(lab.transmissions for lab in labs),
    )


@pytest.mark.parametrize("name", PRESETS)
def test_on_the_labs_radio_our_routing_delivers_and_relays_as_firmware_does(name: str) -> None:
    """With the rules of the firmware's simulated radio the table comes out, unfitted.

    One published run is compared with the mean of three; the bounds are what they scatter.
    """
    delivered, relays, transmissions = means(runs(name, SEEDS, SimRadioMac))
    published = PUBLISHED[name]
    assert delivered == pytest.approx(published.delivered_pct, abs=12)
    assert relays == pytest.approx(published.relays_pct, abs=10)
    assert transmissions == pytest.approx(published.transmissions, rel=0.25)


@pytest.mark.parametrize("name", PRESETS)
def test_our_radio_does_what_the_labs_does_without_its_early_ends(name: str) -> None:
    """Two radios written apart agree; ending receptions early is what tells the table from ours."""
    delivered, relays, transmissions = means(runs(name, SEEDS))
    other_delivered, other_relays, other_transmissions = means(runs(name, SEEDS, MendedSimRadioMac))
    assert delivered == pytest.approx(other_delivered, abs=15)
    assert relays == pytest.approx(other_relays, abs=15)
    assert transmissions == pytest.approx(other_transmissions, rel=0.25)
    assert delivered > PUBLISHED[name].delivered_pct + 15
