"""What goes out by radio: signals, rates, bounds, alarms; and the codec's profile that follows."""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import resources
from pathlib import Path

from server.catalogue import Signal, by_id, by_name
from server.errors import CatalogueError
from server.wire.codec.profile import MOST_SIGNALS, Profile, ProfileError, SignalPlan

DEFAULT_RATES_HZ: Mapping[str, float] = {
    "RPM": 1.0,
    "SPEED": 1.0,
    "THROTTLE_POS": 1.0,
    "ENGINE_LOAD": 1.0,
    "INTAKE_PRESSURE": 1.0,
    "LAT": 1.0,
    "LON": 1.0,
    "ALT": 1.0,
    "GPS_SPEED": 1.0,
    "GPS_HEADING": 1.0,
    "COOLANT_TEMP": 0.1,
    "INTAKE_TEMP": 0.1,
    "BAROMETRIC_PRESSURE": 0.1,
    "FUEL_LEVEL": 0.1,
}
POSITION = ("LAT", "LON")
"""Go first, with the signals of alarms."""

FINEST = 10_000_000  # no sensor's step has a greater denominator; a float's noise has
MOST_DIVIDER = 3600
NO_PROFILE = "none"
SUFFIX = ".profile"
_ALARM = re.compile(r"\s*(\w+)\s*(?:(<=|>=|==|!=|<|>)\s*(\S+)\s*)?")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class PlanError(ValueError):
    """A plan is refused.

    Attributes:
        key: of the settings: "signals", "bounds", "alarms", "period_s", "profile".
        expected, found: what is wrong.
    """

    def __init__(self, key: str, expected: str, found: str) -> None:
        super().__init__(f"{key}: expected {expected}, found {found}")
        self.key = key
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition on one signal; without a comparison: any change of its value.

    Attributes:
        text: as it was written.
        signal: id.
        compare, limit: e.g. `>` and 115.0.
    """

    text: str
    signal: int
    compare: str = ""
    limit: float = 0.0

    @staticmethod
    def parse(text: str) -> Alarm:
        """Read `COOLANT_TEMP > 115` or `DISTANCE_W_MIL`.

        Raises:
            PlanError: it is neither.
        """
        match = _ALARM.fullmatch(text)
        if match is None:
            raise PlanError("alarms", "SIGNAL or SIGNAL > NUMBER", repr(text))
        name, compare, number = match.groups()
        signal = _named(name, "alarms").id
        if compare is None:
            return Alarm(text, signal)
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit):
            raise PlanError("alarms", f"a number after {compare}", repr(text))
        return Alarm(text, signal, compare, limit)

    def holds(self, value: float) -> bool:
        """Tell whether a comparison is true of a value."""
        return bool(self.compare) and _COMPARE[self.compare](value, self.limit)


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """How an uplink behaves; `of` makes one that is checked.

    Attributes:
        profile: of the codec; its signals are the plan.
        flush_s: a row waits about so long for its packet to fill.
        duty_cycle_pct: own share of the time on air; None: `OWN_SHARE` of what the region allows.
        is_direct: to one node, encrypted for it alone: payloads are 12 bytes shorter.
        alarms: what goes out at once.
        delay_s: a row is closed so long after its instant.
        is_trained: whether the profile is one that both sides have from elsewhere.
    """

    profile: Profile
    flush_s: float = 20.0
    duty_cycle_pct: float | None = None
    is_direct: bool = False
    alarms: tuple[Alarm, ...] = ()
    delay_s: float = 1.0
    is_trained: bool = False
    first: frozenset[int] = field(default=frozenset())

    @staticmethod
    def of(
        *,
        rates_hz: Mapping[str, float] | None = None,
        bounds: Mapping[str, float] | None = None,
        period_s: float = 1.0,
        profile: str | Path | Profile | None = None,
        alarms: Iterable[str] = (),
        flush_s: float = 20.0,
        duty_cycle_pct: float | None = None,
        is_direct: bool = False,
        delay_s: float = 1.0,
    ) -> UplinkSettings:
        """Make settings of names and numbers.

        Args:
            rates_hz: readings a second of each signal; the default plan if None.
            bounds: largest error of a signal, in its unit; the others are exact.
            period_s: from row to row.
            profile: a file, the name of one that is shipped, or a profile; it must be of this plan.
                "none": without training. None: a shipped one of just this plan, if there is one.
            alarms: as `Alarm.parse` reads them.
            flush_s, duty_cycle_pct, is_direct, delay_s: as the attributes.

        Raises:
            PlanError: names the setting that is wrong.
        """
        signals = plan_of(DEFAULT_RATES_HZ if rates_hz is None else rates_hz, bounds, period_s)
        cold = Profile.cold(round(period_s * 1000), signals)
        if profile is None:
            trained = shipped_for(cold)
        else:
            trained = None if profile == NO_PROFILE else load_profile(profile)
            if trained is not None:
                check_same(trained, cold)
        parsed = tuple(Alarm.parse(text) for text in alarms)
        planned = {signal.id for signal in signals}
        for alarm in parsed:
            if alarm.signal not in planned:
                name = by_id(alarm.signal).name
                raise PlanError("alarms", f"{name} among the signals of this uplink", "it is not")
        first = {by_name(name).id for name in POSITION} | {alarm.signal for alarm in parsed}
        return UplinkSettings(
            profile=trained or cold,
            flush_s=flush_s,
            duty_cycle_pct=duty_cycle_pct,
            is_direct=is_direct,
            alarms=parsed,
            delay_s=delay_s,
            is_trained=trained is not None,
            first=frozenset(first),
        )


def lattice(signal: Signal) -> tuple[Fraction, Fraction]:
    """Give a sensor's step and its value at step 0, as fractions, from the catalogue's floats."""
    step = Fraction(signal.resolution).limit_denominator(FINEST)
    offset = Fraction(signal.minimum).limit_denominator(FINEST)
    return step, Fraction(0) if (offset / step).denominator == 1 else offset


def plan_of(
    rates_hz: Mapping[str, float], bounds: Mapping[str, float] | None, period_s: float
) -> list[SignalPlan]:
    """Give the codec's plan, in the order of the signals' numbers.

    Raises:
        PlanError: an unknown name, or a number that makes no sense.
    """
    if not 1 <= len(rates_hz) <= MOST_SIGNALS:
        raise PlanError("signals", f"1 to {MOST_SIGNALS} signals", str(len(rates_hz)))
    bounds = dict(bounds or {})
    plan = [
        _signal_plan(_named(name, "signals"), _divider(name, hz, period_s), bounds.pop(name, 0.0))
        for name, hz in rates_hz.items()
    ]
    if bounds:
        raise PlanError("bounds", "signals of this uplink", ", ".join(bounds))
    return sorted(plan, key=lambda signal: signal.id)


def _named(name: str, key: str) -> Signal:
    try:
        return by_name(name)
    except CatalogueError as error:
        raise PlanError(key, "signals of the catalogue", str(error)) from error


def _divider(name: str, hz: float, period_s: float) -> int:
    if not (math.isfinite(hz) and hz > 0):
        raise PlanError("signals", f"a rate above 0 for {name}", f"{hz:g}")
    divider = max(1, round(1.0 / (hz * period_s)))
    if divider > MOST_DIVIDER:
        raise PlanError("signals", f"{name} at least once in {MOST_DIVIDER} rows", f"{hz:g} Hz")
    return divider


def _signal_plan(signal: Signal, divider: int, bound: float) -> SignalPlan:
    step, offset = lattice(signal)
    low = round((Fraction(signal.minimum) - offset) / step)
    high = round((Fraction(signal.maximum) - offset) / step)
    if not (math.isfinite(bound) and 0 <= bound <= signal.maximum - signal.minimum):
        raise PlanError("bounds", f"0 to the range of {signal.name}", f"{bound:g}")
    return SignalPlan(
        signal.id,
        step.numerator,
        step.denominator,
        offset.numerator,
        offset.denominator,
        divider,
        0,
        int(Fraction(bound).limit_denominator(FINEST) / step),
        low,
        high,
    )


def load_profile(source: str | Path | Profile) -> Profile:
    """Read a profile: a file's path, or the name of one that this package carries.

    Raises:
        PlanError: there is none, or it is damaged.
    """
    if isinstance(source, Profile):
        return source
    try:
        if isinstance(source, str) and re.fullmatch(r"\w+", source):
            shipped = resources.files("server.wire") / "profiles" / (source + SUFFIX)
            return Profile.from_bytes(shipped.read_bytes())
        return Profile.from_bytes(Path(source).read_bytes())
    except (OSError, ProfileError) as error:
        raise PlanError("profile", "a profile of the codec", f"{source}: {error}") from error


def shipped_for(plan: Profile) -> Profile | None:
    """Give the profile that this package carries for just these signals, rates and bounds."""
    folder = resources.files("server.wire") / "profiles"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(SUFFIX):
            found = Profile.from_bytes(file.read_bytes())
            with contextlib.suppress(PlanError):
                check_same(found, plan)
                return found
    return None


def check_same(trained: Profile, plan: Profile) -> None:
    """Refuse a profile that was trained for another plan.

    Raises:
        PlanError: says what differs.
    """
    expected = "one that was trained for these signals, rates, bounds and this period"
    if trained.period_ms != plan.period_ms:
        raise PlanError("profile", expected, f"a period of {trained.period_ms} ms")
    ours = {signal.id: signal for signal in plan.signals}
    theirs = {signal.id: signal for signal in trained.signals}
    other = sorted(ours.keys() ^ theirs.keys())
    if other:
        names = ", ".join(by_id(number).name for number in other)
        raise PlanError("profile", expected, f"a plan that differs in {names}")
    for number, signal in ours.items():
        for what in ("scale_num", "scale_den", "offset_num", "offset_den", "divider", "bound"):
            if getattr(signal, what) != getattr(theirs[number], what):
                found = f"{what} {getattr(theirs[number], what)} of {by_id(number).name}"
                raise PlanError("profile", expected, found)
