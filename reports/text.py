"""Numbers and times as people read them."""

from __future__ import annotations

import math

NOTHING = "–"


def clock(seconds: float) -> str:
    """Return a virtual time as "m:ss", from one hour on as "h:mm:ss"; parts of a second if any."""
    sign = "-" if seconds < 0 else ""
    whole, part = divmod(round(abs(seconds), 3), 1)
    minutes, second = divmod(int(whole), 60)
    hours, minute = divmod(minutes, 60)
    tail = f"{part:.3f}"[1:].rstrip("0").rstrip(".")
    if hours:
        return f"{sign}{hours}:{minute:02d}:{second:02d}{tail}"
    return f"{sign}{minute}:{second:02d}{tail}"


def duration(seconds: float) -> str:
    """Return a length of time in words: "9.8 s", "10 min", "1 h 02 min"."""
    if seconds < 60:
        return f"{short(seconds, 3)} s"
    minutes, second = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {second:02d} s" if second else f"{minutes} min"
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute:02d} min"


def short(value: float | None, digits: int = 4) -> str:
    """Return a number in at most `digits` significant digits, whole ones with thousands apart."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) or abs(value) >= 10**digits:
        return f"{round(value):,}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 9)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def plural(count: int, noun: str) -> str:
    """Return "1 limit", "2 limits"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
