"""Faults of the Meshtastic radios: rebooted, frozen, out of reach."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def radio_reboot(strike: Strike) -> None:
    """Reboot the car's radio: what it had queued is gone, and its client has to begin anew."""
    strike.ability("mesh", "reboot")()


def radio_freeze(strike: Strike) -> End:
    """Let the car's radio serve its client no more: it takes no bytes and says nothing."""
    freeze = strike.ability("mesh", "freeze")
    return strike.hold(lambda: freeze(True), lambda: freeze(False))


def radio_fade(strike: Strike) -> End:
    """Weaken every radio signal: a valley, a tunnel, a jammer."""
    fade = strike.ability("mesh", "fade")
    by_db = strike.fault.number("by_db")
    fade(by_db)
    return lambda: fade(-by_db)
