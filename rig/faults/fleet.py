"""Faults of a fleet of light vehicles: no network for a share of them."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def fleet_outage(strike: Strike) -> End:
    """Take the network from a share of the vehicles: all of them come back at its end."""
    begin = strike.ability("fleet", "outage")
    end: End = begin(strike.fault.number("share_pct") / 100.0)
    return end
