"""Faults of time: clocks that drift and jump, a leap second, a week count that rolls over."""

from __future__ import annotations

from rig.faults.strike import End, Strike

BOARDS = "esp32"


def clock_drift(strike: Strike) -> End:
    """Let the device's clock run too fast, or too slow where negative, by so many millionths.

    A board's crystal that is too hot, or its sleep by an RC oscillator (an ESP32's is within 5 %):
    what it counted too much stays. A GNSS receiver whose solution follows a drifting time (a
    spoofer, a simulator, its own quartz): it is right again at the end.
    """
    ppm = strike.fault.number("rate_ppm")
    part, method = (
        ("fleet", "drift_clocks") if strike.fault.link == BOARDS else ("receiver", "drift_clock")
    )
    end: End = strike.ability(part, method)(ppm)
    return end


def clock_jump(strike: Strike) -> End | None:
    """Let the device's clock jump ahead by so much, or fall behind where negative.

    A board counts on from there: a sleep that was counted wrong, ticks that were lost (it never
    counts back). A GNSS receiver says the wrong time until the end.
    """
    by_s = strike.fault.number("by_s")
    if strike.fault.link == BOARDS:
        strike.ability("fleet", "jump_clocks")(by_s)
        return None
    end: End = strike.ability("receiver", "jump_clock")(by_s)
    return end


def leap_second(strike: Strike) -> End:
    """Let the GNSS receiver count a leap second at the next midnight (UTC): 23:59:60.

    From then to the end it is a second behind a world that had none: what receivers do that insert
    a leap second which is not due (Motorola Oncore, 28 November 2003), and what a gateway sees that
    does not know of one which is.
    """
    end: End = strike.ability("receiver", "insert_leap_second")()
    return end


def gps_week_rollover(strike: Strike) -> End:
    """Let the GNSS receiver take the week for the one 1024 weeks before: its date is wrong.

    The C/A message counts weeks with 10 bits (IS-GPS-200); a firmware takes them for those of the
    19.6 years after its making, and from then on says a date long ago (6 April 2019 and after).
    """
    end: End = strike.ability("receiver", "roll_over")()
    return end
