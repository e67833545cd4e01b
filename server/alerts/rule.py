"""A rule: when an alert begins, and when it ends."""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from server.answers import BadParameter
from server.catalogue import Signal

Test = Callable[[float], bool]

SECONDS_MOST = 30 * 86_400
_Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
_NotNegative = Annotated[float, Meta(ge=0, le=1e300)]
_Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MOST)]
_Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Device = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Vin = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
_SignalName = Annotated[str, Meta(min_length=1, max_length=200)]
TargetName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Kind(enum.StrEnum):
    """What a rule looks at."""

    VALUE = "value"
    RATE = "rate"
    STALE = "stale"


class Severity(enum.StrEnum):
    """How bad it is, for who reads it; the gateway treats all alike."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


CONDITIONS = {
    "gt": "gt", ">": "gt",
    "ge": "ge", "gte": "ge", ">=": "ge",
    "lt": "lt", "<": "lt",
    "le": "le", "lte": "le", "<=": "le",
    "eq": "eq", "==": "eq", "=": "eq",
    "ne": "ne", "neq": "ne", "!=": "ne", "<>": "ne",
}  # fmt: skip
"""The six operators, by name and by symbol."""
SYMBOLS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}


class RuleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A rule as users write it.

    Attributes:
        name: for people.
        signal: short name, path or id.
        kind: `value`: the value is compared; `rate`: its change per second over `window_s`;
            `stale`: there was no reading for `stale_s`.
        condition: gt, ge, lt, le, eq, ne, or its symbol; of `value` and `rate`.
        threshold: what is compared with; of `value` and `rate`.
        hysteresis: an alert ends only when the value is so far on the good side.
        duration_s: the condition must hold so long before the alert fires.
        window_s: of `rate`.
        stale_s: of `stale`.
        device: whose readings; none: those of all.
        vin: of which vehicle; none: of all.
        severity: info, warning, critical.
        cooldown_s: back within so long after its end, the alert goes on and is not told again;
            none: `[alerts] cooldown_s`.
        notify: names of receivers (`/api/v1/alerts/targets`); none: all; empty: nobody.
        enabled: whether it is looked at.
    """

    name: _Name
    signal: _SignalName | int
    kind: Kind = Kind.VALUE
    condition: str | None = None
    threshold: _Finite | None = None
    hysteresis: _NotNegative = 0.0
    duration_s: _Seconds = 0.0
    window_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    stale_s: Annotated[float, Meta(gt=0, le=SECONDS_MOST)] | None = None
    device: Device | None = None
    vin: _Vin | None = None
    severity: Severity = Severity.WARNING
    cooldown_s: _Seconds | None = None
    notify: Annotated[list[TargetName], Meta(max_length=20)] | None = None
    enabled: bool = True


class Rule:
    """A rule, ready to be applied.

    Args:
        id: number.
        body: as written, its condition by name.
        signal: that it is about.
        cooldown_s: where the rule has none of its own.

    Attributes:
        begins: tells of a value whether an alert begins by it.
        holds: tells of a value whether an alert, once begun, goes on.
        text: the condition for people: "RPM > 6000 rpm for 3 s".
    """

    __slots__ = ("begins", "body", "cooldown_s", "duration_s", "holds", "id", "signal", "text")

    def __init__(self, id: int, body: RuleBody, signal: Signal, cooldown_s: float) -> None:
        self.id = id
        self.body = body
        self.signal = signal
        self.cooldown_s = body.cooldown_s if body.cooldown_s is not None else cooldown_s
        self.duration_s = body.duration_s
        self.begins, self.holds = _tests(body, signal)
        self.text = _text(body, signal)

    def is_of(self, device: str, vin: str) -> bool:
        """Tell whether readings of this device, in this vehicle, are meant."""
        body = self.body
        return body.device in (None, device) and body.vin in (None, vin)


def checked(body: RuleBody, signal: Signal) -> RuleBody:
    """Give the body with its condition by name and its signal by short name.

    Raises:
        BadParameter: fields that do not go together, or a threshold that can never be met.
    """
    if body.kind is Kind.STALE:
        for name in ("condition", "threshold"):
            if getattr(body, name) is not None:
                raise BadParameter(name, 'none where kind is "stale"', repr(getattr(body, name)))
        if body.stale_s is None:
            raise BadParameter("stale_s", "seconds, where kind is stale", "none")
        if body.hysteresis or body.duration_s:
            where = "hysteresis" if body.hysteresis else "duration_s"
            raise BadParameter(where, "0 where kind is stale (stale_s is the duration)", "more")
        return msgspec.structs.replace(body, signal=signal.name)
    if body.stale_s is not None:
        raise BadParameter("stale_s", 'none, but where kind is "stale"', f"{body.stale_s:g}")
    if body.condition is None or body.condition not in CONDITIONS:
        found = "none" if body.condition is None else repr(body.condition[:40])
        raise BadParameter("condition", "one of gt, ge, lt, le, eq, ne (or > >= < <= == !=)", found)
    if body.threshold is None:
        raise BadParameter("threshold", "a number", "none")
    condition = CONDITIONS[body.condition]
    if condition == "ne" and body.hysteresis:
        raise BadParameter("hysteresis", "0 where condition is ne", f"{body.hysteresis:g}")
    body = msgspec.structs.replace(body, signal=signal.name, condition=condition)
    if body.kind is Kind.VALUE:
        _check_reachable(body, signal)
    return body


def _check_reachable(body: RuleBody, signal: Signal) -> None:
    """Refuse a threshold that no value of the signal can ever meet."""
    assert body.threshold is not None
    begins, _ = _tests(body, signal)
    # ne is met by one end of the range at least; eq by the threshold itself, where it is in it.
    ends = [signal.minimum, signal.maximum]
    if body.condition == "eq" and signal.minimum <= body.threshold <= signal.maximum:
        return
    if not any(map(begins, ends)):
        expected = f"a threshold that {signal.name} can meet: it goes from {signal.minimum:g} "
        expected += f"to {signal.maximum:g} {signal.unit}"
        raise BadParameter("threshold", expected.rstrip(), f"{body.threshold:g}")


def _tests(body: RuleBody, signal: Signal) -> tuple[Test, Test]:
    """Give the test that begins an alert and the one that keeps it."""
    if body.kind is Kind.STALE or body.threshold is None:
        return _never, _never
    limit, slack = body.threshold, body.hysteresis
    # partial(lt, 3)(x) is 3 < x: x > 3. No function of ours is called for each reading.
    match body.condition:
        case "gt":
            return partial(operator.lt, limit), partial(operator.lt, limit - slack)
        case "ge":
            return partial(operator.le, limit), partial(operator.le, limit - slack)
        case "lt":
            return partial(operator.gt, limit), partial(operator.gt, limit + slack)
        case "le":
            return partial(operator.ge, limit), partial(operator.ge, limit + slack)
    half = 0.0
    if body.kind is Kind.VALUE:
        limit, half = nearest_step(limit, signal)
    if body.condition == "eq":
        return partial(_near, limit, half), partial(_near, limit, half + slack)
    return partial(_far, limit, half), partial(_far, limit, half)


def nearest_step(value: float, signal: Signal) -> tuple[float, float]:
    """Give the value of the signal's steps that is nearest, and half a step.

    A percentage comes in 255 steps: none of them is 50, and "equal to 50" would never be so.
    """
    step = signal.resolution
    if not step > 0 or not math.isfinite(step):
        return value, 0.0
    steps = round((value - signal.minimum) / step)
    found = signal.minimum + steps * step
    # Near enough to be the value itself: then the value, without the error of the multiplication.
    return (value if math.isclose(found, value, rel_tol=1e-9, abs_tol=step * 1e-6) else found), (
        step * 0.499
    )


def _near(limit: float, half: float, value: float) -> bool:
    return abs(value - limit) <= half


def _far(limit: float, half: float, value: float) -> bool:
    return abs(value - limit) > half


def _never(value: float) -> bool:
    return False


def _text(body: RuleBody, signal: Signal) -> str:
    if body.kind is Kind.STALE:
        return f"no {signal.name} for {body.stale_s:g} s"
    unit = signal.unit
    subject = signal.name
    if body.kind is Kind.RATE:
        unit = f"{unit}/s" if unit else "1/s"
        subject = f"change of {signal.name} over {body.window_s:g} s"
    text = f"{subject} {SYMBOLS[body.condition or 'gt']} {body.threshold:g} {unit}".rstrip()
    return f"{text} for {body.duration_s:g} s" if body.duration_s else text
