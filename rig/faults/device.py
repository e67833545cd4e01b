"""Faults of a device or of its surroundings: cable pulled, settings lost, sky gone."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def hang_up(strike: Strike) -> End:
    """Pull the cable; put it back at the end. The port is gone in between."""
    line = strike.line
    line.hang_up()
    return line.replug


def reset(strike: Strike) -> None:
    """Cut the adapter's power for an instant: it comes back with its default settings."""
    strike.ability("adapter", "power_cycle")()


def _outage(strike: Strike, kind: str) -> None:
    strike.ability("receiver", "add_outage")(strike.env.now, strike.end_s, kind=kind)


def tunnel(strike: Strike) -> None:
    """Take the whole sky away from the GNSS receiver: no fix until it is back."""
    _outage(strike, "tunnel")


def canyon(strike: Strike) -> None:
    """Leave the GNSS receiver a strip of sky: fewer satellites and a worse fix."""
    _outage(strike, "canyon")
