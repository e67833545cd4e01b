"""Faults of a device or of its surroundings: cable pulled, settings lost, sky gone."""

from __future__ import annotations

from rig.faults.strike import End, Strike


def hang_up(strike: Strike) -> End:
    """Pull the cable; put it back at the end. The port is gone in between."""
    line = strike.line
    return strike.hold(line.hang_up, line.replug)


def reset(strike: Strike) -> None:
    """Cut the adapter's power for an instant: it comes back with its default settings."""
    strike.ability("adapter", "power_cycle")()


def brown_out(strike: Strike) -> None:
    """Let the supply dip for an instant: the device resets, and says so if it can.

    An ELM327 prints LV RESET in place of its banner and has its default settings (ELM327DSJ p.88);
    a GNSS receiver starts hot, with what its backup battery has kept.
    """
    if strike.fault.link == "gps":
        strike.ability("receiver", "brown_out")()
    else:
        strike.ability("adapter", "low_voltage_reset")()


def clone_quirk(strike: Strike) -> End:
    """Let the adapter have one habit of an ELM327 clone, from its next command on.

    `no_repeat`: an empty line does not repeat the last command (python-OBD #66). `split_prompt`:
    the answer and its prompt come apart (python-OBD #150). `not_connected`: NOT CONNECTED stands in
    place of NO DATA (ELMduino #69). `late_searching`: SEARCHING... comes late (python-OBD PR #215).
    `two_bytes`: requests are cut to two bytes; `few_commands`: half the commands are answered with
    `?`; `lock_up`: AT TP A0 and long replies lock it up until it is replugged, which happens at the
    end (all three: forscan t=1575, ELMduino #69). `small_buffer`: long replies end in BUFFER FULL.
    `zero_digit`: the response digit 0 returns at once.
    """
    end: End = strike.ability("adapter", "be_clone")(strike.fault.word("quirk"))
    return end


def _outage(strike: Strike, kind: str) -> None:
    strike.ability("receiver", "add_outage")(strike.env.now, strike.end_s, kind=kind)


def tunnel(strike: Strike) -> None:
    """Take the whole sky away from the GNSS receiver: no fix until it is back."""
    _outage(strike, "tunnel")


def canyon(strike: Strike) -> None:
    """Leave the GNSS receiver a strip of sky: fewer satellites and a worse fix."""
    _outage(strike, "canyon")
