"""Numbers and times as people read them."""

from __future__ import annotations

import math

NOTHING = "–"
_NOISE = 1e-9  # what floats leave of a difference of equal numbers
_VERY_SMALL = 1e-4
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


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
    if abs(value) < _NOISE:
        return "0"
    if value == int(value) or abs(value) >= 10**digits:
        return f"{round(value):,}".replace("-", "−")
    if abs(value) < _VERY_SMALL:
        return _in_powers(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 9)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def _in_powers(value: float) -> str:
    """Return a very small number as "1.67·10⁻⁷"."""
    digits, power = f"{value:.2e}".split("e")
    raised = str(int(power)).translate(_RAISED)
    return f"{digits.rstrip('0').rstrip('.')}·10{raised}".replace("-", "−")


def plural(count: int, noun: str) -> str:
    """Return "1 limit", "2 limits"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
