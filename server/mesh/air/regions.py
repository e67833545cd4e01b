"""How much of the time a region lets a radio send (firmware: RadioInterface.cpp, `regions`)."""

from __future__ import annotations

_LIMITED_PCT = {
    "EU_433": 10.0,
    "EU_866": 2.5,
    "EU_868": 10.0,
    "EU_N_868": 10.0,
    "UA_433": 10.0,
    "UA_868": 1.0,
}


def duty_cycle_pct(region: str) -> float:
    """Give the share of an hour, in percent; 100 where there is no limit."""
    return _LIMITED_PCT.get(region, 100.0)
