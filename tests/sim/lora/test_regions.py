"""Regions."""

from __future__ import annotations

import pytest

from sim.lora.errors import LoraError
from sim.lora.regions import REGIONS, region_named


def test_duty_cycles_are_the_firmwares() -> None:
    """Europe and the Ukraine limit the share of time, America does not."""
    assert {
        name: REGIONS[name].duty_cycle_pct for name in ("EU_868", "EU_866", "UA_868", "US")
    } == {
        "EU_868": 10,
        "EU_866": 2.5,
        "UA_868": 1,
        "US": 100,
    }
    assert REGIONS["EU_868"].power_limit_dbm == 27
    assert REGIONS["EU_868"].centre_mhz == pytest.approx(869.525)


def test_an_unknown_region_is_refused_with_the_names_there_are() -> None:
    """A misspelt region is told what is possible."""
    assert region_named("US") is REGIONS["US"]
    with pytest.raises(LoraError, match=r"US, EU_433, .*found 'EU868'"):
        region_named("EU868")
