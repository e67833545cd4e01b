"""Faults of the gateway's database: away, slow, full."""

from __future__ import annotations

from rig.faults.strike import End, Strike

FULL = "database_full"
"""It wants a database that was made ready for it, before the gateway's start."""


def database_down(strike: Strike) -> End:
    """Shut the database down: its connections end with 57P01, new ones are refused."""
    return strike.hold(
        strike.ability("database", "shut_down"),
        strike.ability("database", "start_up"),
    )


def database_slow(strike: Strike) -> End:
    """Let each exchange with the database take so much longer: half of it on each way."""
    half_s = strike.fault.number("time_s") / 2
    jitter_s = strike.fault.number("jitter_s") / 2
    end: End = strike.ability("database", "slow")(
        lambda: half_s + (jitter_s * strike.rng.random() if jitter_s else 0.0)
    )
    return end


def database_full(strike: Strike) -> End:
    """Fill the database's disk: what writes is refused with 53100, what reads is answered."""
    return strike.hold(
        strike.ability("database", "fill"),
        strike.ability("database", "make_room"),
    )
