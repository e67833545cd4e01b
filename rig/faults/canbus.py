"""Faults of the CAN bus: error frames, controllers that leave it, noise, silence."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def can_error(strike: Strike) -> End:
    """Destroy frames on the bus with the given probability; each is sent again by itself."""
    disturb = strike.ability("can", "disturb")
    fault = strike.fault
    end: End = disturb(fault.number("probability_pct") / 100.0, fault.word("error"), strike.rng)
    return end


def can_bus_off(strike: Strike) -> End:
    """Destroy all that one controller sends: its errors drive it off the bus, again and again."""
    choke = strike.ability("can", "choke")
    end: End = choke(strike.fault.word("node"), strike.fault.link)
    return end


def can_mute(strike: Strike) -> End:
    """Let the car's control units broadcast nothing."""
    mute = strike.ability("can", "mute")
    return strike.hold(lambda: mute(True), lambda: mute(False))


def can_flood(strike: Strike) -> End:
    """Let a node send frames of the highest priority, up to the given load of the bus."""
    flood = strike.ability("can", "flood")
    end: End = flood(strike.fault.number("load_pct"))
    return end


def can_wrong_rate(strike: Strike) -> End:
    """Put a node on the bus that sends at another bit rate."""
    add = strike.ability("can", "add_wrong_rate")
    end: End = add(round(strike.fault.number("rate_bps")))
    return end
