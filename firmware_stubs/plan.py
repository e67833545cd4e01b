"""The sampling plan: which signals, how often, how exactly.

A plan is wished for in people's words, as JSON in NVS or in a command:

    {"rates": {"RPM": 5, "LAT": 1}, "bounds": {"RPM": 10}, "flush_ms": 10000}

Rates are readings per second, bounds the largest error in the signal's unit (none: lossless). From
the wish follow the grid's period and each signal's divider, always in the same way. Signals of one
divider share a phase, so that one OBD request of up to six PIDs asks for them; groups of different
dividers get different phases. GNSS signals have phase 0: a fix stands on the row of its instant,
and the clock numbers rows so that this row is due.
"""

from firmware_stubs import signals
from server.wire.codec.profile import Profile, SignalPlan

DEFAULT_RATES_HZ = {
    "RPM": 5,
    "SPEED": 5,
    "THROTTLE_POS": 2,
    "ENGINE_LOAD": 2,
    "INTAKE_PRESSURE": 2,
    "MAF": 2,
    "LAT": 1,
    "LON": 1,
    "ALT": 1,
    "GPS_SPEED": 1,
    "GPS_HEADING": 1,
    "COOLANT_TEMP": 0.5,
    "INTAKE_TEMP": 0.5,
    "OIL_TEMP": 0.1,
    "CONTROL_MODULE_VOLTAGE": 0.1,
    "FUEL_LEVEL": 0.1,
    "BAROMETRIC_PRESSURE": 0.1,
    "AMBIANT_AIR_TEMP": 0.1,
}
DEFAULT_FLUSH_MS = 10000

FASTEST_HZ = 20
SLOWEST_INTERVAL_MS = 600000
DELAY_MS = 1000  # an answer, or a fix, comes within this or is missing
MOST_SIGNALS = 48
PIDS_PER_REQUEST = 6  # ISO 15031-5


class PlanError(ValueError):
    """A plan is refused; the text says why."""


class Plan:
    """A plan that can be sampled.

    Attributes:
        wish: what it was made of.
        period_ms: from row to row.
        delay_rows: rows from a row's instant until it is closed.
        flush_ms: longest time that a row waits in the open packet.
        signals: what the codec wants to know of each signal.
        sources: `firmware_stubs.signals.Signal` of each, in the same order.
        gnss_divider: row numbers agree with UTC modulo this; 1 when no GNSS signal is planned.
    """

    def __init__(self, wish: "dict[str, object]") -> None:
        rates = _numbers(wish, "rates") or DEFAULT_RATES_HZ
        bounds = _numbers(wish, "bounds")
        self.wish = wish
        self.flush_ms = _flush_ms(wish.get("flush_ms", DEFAULT_FLUSH_MS))
        self.sources = _sources(rates)
        intervals = [_interval_ms(source.name, rates[source.name]) for source in self.sources]
        step = 50 if min(intervals) < 100 else 100
        intervals = [(interval + step // 2) // step * step for interval in intervals]
        self.period_ms = intervals[0]
        for interval in intervals:
            self.period_ms = _gcd(self.period_ms, interval)
        self.delay_rows = (DELAY_MS + self.period_ms - 1) // self.period_ms
        dividers = [interval // self.period_ms for interval in intervals]
        self.gnss_divider = 1
        self.signals = []
        phases = _phases(self.sources, dividers)
        for source, divider, phase in zip(self.sources, dividers, phases):  # noqa: B905
            if source.id >= signals.GNSS_FIRST:
                self.gnss_divider = _lcm(self.gnss_divider, divider)
            self.signals.append(_signal_plan(source, divider, phase, bounds.get(source.name, 0)))
        for name in bounds:
            if signals.by_name(name) is None:
                raise PlanError("no signal is named " + name)

    def rates(self) -> dict[str, float]:
        """Give the rates that the grid has, in readings per second."""
        return {
            source.name: 1000 / (self.period_ms * signal.divider)
            for source, signal in zip(self.sources, self.signals)  # noqa: B905
        }

    def profile(self, trained: bytes | None) -> Profile:
        """Give the codec's profile: the trained one if it is of this plan, else a cold one."""
        cold = Profile.cold(self.period_ms, self.signals, self.delay_rows)
        if not trained:
            return cold
        try:
            profile = Profile.from_bytes(trained)
        except ValueError:
            return cold
        return profile if _same_plan(profile, cold) else cold


def changed(
    wish: "dict[str, object]", part: str, changes: "dict[str, object]"
) -> "dict[str, object]":
    """Give a wish with other rates or bounds; a rate of 0 takes the signal out."""
    new = dict(wish)
    merged = dict(_numbers(wish, part))
    if part == "rates" and not merged:
        merged.update(DEFAULT_RATES_HZ)
    for name in changes:
        merged[name] = changes[name]  # type: ignore[assignment]
        if part == "rates" and changes[name] == 0:
            del merged[name]
    if part == "rates" and not merged:
        raise PlanError("a plan needs at least one signal; stop_logger stops")
    new[part] = merged
    return new


def is_number(value: object) -> bool:
    """Tell numbers from all else that JSON has."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(wish: "dict[str, object]", part: str) -> dict[str, float]:
    table = wish.get(part, {})
    if not isinstance(table, dict):
        raise PlanError(part + ": an object expected")
    for name in table:
        if not is_number(table[name]):
            raise PlanError(part + "." + name + ": a number expected")
    return table


def _flush_ms(value: object) -> int:
    if not is_number(value) or not 1000 <= value <= 600000:  # type: ignore[operator]
        raise PlanError("flush_ms: 1000 to 600000 expected")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _sources(rates: dict[str, float]) -> list[signals.Signal]:
    """Find the signals, in the order of their numbers."""
    if len(rates) > MOST_SIGNALS:
        raise PlanError(f"at most {MOST_SIGNALS} signals expected, {len(rates)} found")
    found = []
    for name in rates:
        source = signals.by_name(name)
        if source is None:
            raise PlanError("no signal is named " + name)
        found.append(source)
    return sorted(found, key=_id)


def _id(source: signals.Signal) -> int:
    return source.id


def _interval_ms(name: str, hz: float) -> int:
    # Single floats round: 1000 / 0.1 may come out as 10000.0005, so tenths of ms are dropped.
    if not 0 < hz <= FASTEST_HZ or hz * SLOWEST_INTERVAL_MS < 1000:
        raise PlanError(f"{name}: a rate above 0, to {FASTEST_HZ} Hz, expected")
    return int(1000 / hz + 0.5)


def _phases(sources: list[signals.Signal], dividers: list[int]) -> list[int]:
    """Give each group of at most six PIDs of one divider a phase of its own, where there is one."""
    phases = [0] * len(sources)
    groups = 0
    for divider in sorted(set(dividers)):
        members = 0
        for index in range(len(sources)):
            if dividers[index] == divider and sources[index].id < signals.GNSS_FIRST:
                groups += 1 if members % PIDS_PER_REQUEST == 0 else 0
                members += 1
                phases[index] = (groups - 1) % divider
    return phases


def _signal_plan(source: signals.Signal, divider: int, phase: int, bound: float) -> SignalPlan:
    steps = int(bound * source.scale_den / source.scale_num)
    if bound < 0 or steps > source.maximum - source.minimum:
        raise PlanError("bounds." + source.name + ": 0 to the signal's range expected")
    return SignalPlan(
        source.id,
        source.scale_num,
        source.scale_den,
        source.offset,
        1,
        divider,
        phase,
        steps,
        source.minimum,
        source.maximum,
    )


def _same_plan(one: Profile, other: Profile) -> bool:
    if one.period_ms != other.period_ms or len(one.signals) != len(other.signals):
        return False
    if one.delay_rows != other.delay_rows:
        return False
    for a, b in zip(one.signals, other.signals):  # noqa: B905
        for name in ("id", "scale_num", "scale_den", "offset_num", "divider", "phase", "bound"):
            if getattr(a, name) != getattr(b, name):
                return False
    return True


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def _lcm(a: int, b: int) -> int:
    return a // _gcd(a, b) * b
