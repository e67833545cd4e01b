"""Compares what two gateways stored, signal by signal: what is missing, extra, or beyond tolerance.

Two readings of a signal are one and the same where their instants are nearer than half the usual
time between two readings. Where there are as many on both sides and their values fit better in
their order, they are taken in order: then the clock is wrong, and not the readings.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rig.quantity import DURATION, QuantityError
from rig.wires.errors import WiresError
from rig.wires.kept import Kept, Series

TIME = "time"
SHORTEST_WINDOW_NS = 1_000_000
LONGEST_WINDOW_NS = 5_000_000_000
MOST_FIRST = 20
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?(?:[eE]-?\d+)?)\s*(%|steps?|)")


class ToleranceError(WiresError):
    """A tolerance that cannot be read."""

    usage = True


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a value may be off: in the unit, in % of the reference, or in steps of the sensor."""

    amount: float = 0.0
    kind: str = ""

    def bound(self, series: Series, value: float) -> float:
        """Return the greatest difference at `value`, in the signal's unit."""
        if self.kind == "%":
            return abs(value) * self.amount / 100.0
        return self.amount * series.resolution if self.kind == "step" else self.amount


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as a difference.

    Attributes:
        time_ns: how far instants may be apart.
        values: signal or pattern -> tolerance; the first that fits counts, exact names first.
        ignored: patterns of signals, links (`link:gps`) and devices (`device:base`); `state`.
        from_ns, to_ns: since the start of the drive: what lies outside plays no part.
    """

    time_ns: int = 0
    values: Mapping[str, Tolerance] = field(default_factory=dict)
    ignored: Sequence[str] = ()
    from_ns: float = -math.inf
    to_ns: float = math.inf

    def inside(self, rows: Iterable[Kept]) -> list[Kept]:
        """Return the rows that play a part."""
        return [row for row in rows if self.from_ns <= row.time_ns <= self.to_ns]

    def tolerance(self, signal: str) -> Tolerance:
        """Return that of a signal."""
        if signal in self.values:
            return self.values[signal]
        fits = (t for p, t in self.values.items() if fnmatch.fnmatchcase(signal, p))
        return next(fits, Tolerance())

    def ignores(self, series: Series) -> bool:
        """Return whether a signal plays no part."""
        words = (series.signal, f"link:{series.link}", f"device:{series.device}")
        return any(fnmatch.fnmatchcase(w, pattern) for w in words for pattern in self.ignored)


def read_rules(
    tolerances: Iterable[str],
    ignored: Sequence[str] = (),
    from_s: float | None = None,
    to_s: float | None = None,
) -> Rules:
    """Return the rules of a command line: RPM=1step, GPS_*=2%, time=50ms.

    Raises:
        ToleranceError: a word cannot be read.
    """
    time_ns, values = 0, {}
    for word in tolerances:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise _wrong(word)
        if name == TIME:
            try:
                time_ns = round(DURATION.parse(text) * 1e9)
            except QuantityError as error:
                raise _wrong(word) from error
            continue
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise _wrong(word)
        values[name] = Tolerance(float(match[1]), match[2].removesuffix("s"))
    return Rules(
        time_ns,
        values,
        ignored,
        -math.inf if from_s is None else from_s * 1e9,
        math.inf if to_s is None else to_s * 1e9,
    )


def _wrong(word: str) -> ToleranceError:
    return ToleranceError(
        f"--tolerance: expected SIGNAL=AMOUNT such as RPM=1step, SPEED=0.5, 'GPS_*=2%' or "
        f"time=50ms, found {word!r}"
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One reading that differs. `kind` is "missing", "extra", "value", "instant" or "state"."""

    kind: str
    device: str
    signal: str
    time_s: float
    reference: float | None
    found: float | None
    note: str = ""


@dataclass(slots=True)
class SignalDiff:
    """What differs in one signal; counts of readings."""

    device: str
    signal: str
    unit: str
    reference: int
    found: int
    missing: int = 0
    extra: int = 0
    values: int = 0
    instants: int = 0
    states: int = 0
    worst_value: float = 0.0
    worst_instant_s: float = 0.0
    first: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """True if nothing differs."""
        return not (self.missing or self.extra or self.values or self.instants or self.states)


@dataclass(frozen=True, slots=True)
class Diff:
    """The comparison of two gateways.

    Attributes:
        signals: every signal that was compared.
        ignored: names of signals that were not.
    """

    signals: list[SignalDiff]
    ignored: list[str]

    @property
    def equal(self) -> bool:
        """True if no signal differs."""
        return all(signal.equal for signal in self.signals)

    def first(self, most: int = MOST_FIRST) -> list[Difference]:
        """Return the first differences in order of time."""
        found = [difference for signal in self.signals for difference in signal.first]
        return sorted(found, key=lambda d: (d.time_s, d.device, d.signal))[:most]

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "equal": self.equal,
            "signals": [
                {k: v for k, v in asdict(signal).items() if k != "first"} for signal in self.signals
            ],
            "ignored": self.ignored,
            "first": [asdict(difference) for difference in self.first()],
        }


def diff(reference: Sequence[Series], found: Sequence[Series], rules: Rules) -> Diff:
    """Compare what was stored now, `found`, with `reference`."""
    sides = [{series.key: series for series in side} for side in (reference, found)]
    signals, ignored = [], []
    for key in sorted({*sides[0], *sides[1]}):
        a, b = sides[0].get(key), sides[1].get(key)
        known = a or b
        assert known is not None
        if rules.ignores(known):
            ignored.append(known.signal)
            continue
        before, now = (rules.inside(side.rows if side else ()) for side in (a, b))
        if before or now:
            signals.append(_compare(known, before, now, rules))
    return Diff(signals, sorted(set(ignored)))


def _compare(
    series: Series, reference: Sequence[Kept], found: Sequence[Kept], rules: Rules
) -> SignalDiff:
    result = SignalDiff(series.device, series.signal, series.unit, len(reference), len(found))
    tolerance = rules.tolerance(series.signal)
    for a, b in _pairs(series, reference, found, rules):
        if b is None:
            assert a is not None
            result.missing += 1
            _note(result, "missing", a.time_ns, a.value, None)
        elif a is None:
            result.extra += 1
            _note(result, "extra", b.time_ns, None, b.value)
        else:
            _compare_pair(series, result, a, b, tolerance, rules)
    return result


def _compare_pair(
    series: Series, result: SignalDiff, a: Kept, b: Kept, tolerance: Tolerance, rules: Rules
) -> None:
    apart_ns = abs(b.time_ns - a.time_ns)
    if apart_ns > rules.time_ns:
        result.instants += 1
        result.worst_instant_s = max(result.worst_instant_s, apart_ns / 1e9)
        late_s = (b.time_ns - a.time_ns) / 1e9
        _note(result, "instant", a.time_ns, a.value, b.value, f"{late_s:+.6g} s")
    if not _same(series, a, b, tolerance):
        off = _off(series, a.value, b.value)
        result.values += 1
        result.worst_value = max(result.worst_value, off or 0.0)
        note = (
            "" if off is None or not series.resolution else f"{off / series.resolution:.3g} steps"
        )
        _note(result, "value", a.time_ns, a.value, b.value, note)
    if a.state != b.state and "state" not in rules.ignored:
        result.states += 1
        _note(result, "state", a.time_ns, a.value, b.value, f"state {a.state} -> {b.state}")


def _same(series: Series, a: Kept, b: Kept, tolerance: Tolerance) -> bool:
    """Return whether two values are equal within the tolerance."""
    off = _off(series, a.value, b.value)
    return off is not None and off <= tolerance.bound(series, a.value or 0.0)


def _off(series: Series, a: float | None, b: float | None) -> float | None:
    """Return how far two values are apart; None where one of them is none."""
    if a is None or b is None:
        return 0.0 if a is b else None
    off = abs(a - b)
    return min(off, abs(series.wraps - off)) if series.wraps else off


def _note(
    result: SignalDiff,
    kind: str,
    time_ns: int,
    reference: float | None,
    found: float | None,
    note: str = "",
) -> None:
    if len(result.first) < MOST_FIRST:
        time_s = time_ns / 1e9
        result.first.append(
            Difference(kind, result.device, result.signal, time_s, reference, found, note)
        )


# -- which reading is which ------------------------------------------------------------------------
Pair = tuple[Kept | None, Kept | None]


def _pairs(
    series: Series, reference: Sequence[Kept], found: Sequence[Kept], rules: Rules
) -> list[Pair]:
    window_ns = max(rules.time_ns, _half_spacing_ns(reference or found))
    near = list(_near(reference, found, window_ns))
    if len(reference) != len(found):
        return near
    # As many on both sides: where the values fit better in their order, the clock is wrong.
    in_order: list[Pair] = list(zip(reference, found, strict=True))
    tolerance = rules.tolerance(series.signal)
    wrong = _count_wrong(series, near, tolerance)
    if wrong and _count_wrong(series, in_order, tolerance) < wrong:
        return in_order
    return near


def _count_wrong(series: Series, pairs: Iterable[Pair], tolerance: Tolerance) -> int:
    """Return how many readings stand alone, or beside one of another value."""
    return sum(1 for a, b in pairs if a is None or b is None or not _same(series, a, b, tolerance))


def _near(reference: Sequence[Kept], found: Sequence[Kept], window_ns: int) -> Iterator[Pair]:
    i = j = 0
    while i < len(reference) and j < len(found):
        a, b = reference[i], found[j]
        apart_ns = b.time_ns - a.time_ns
        if abs(apart_ns) <= window_ns:
            yield a, b
            i, j = i + 1, j + 1
        elif apart_ns > 0:
            yield a, None
            i += 1
        else:
            yield None, b
            j += 1
    for a in reference[i:]:
        yield a, None
    for b in found[j:]:
        yield None, b


def _half_spacing_ns(rows: Sequence[Kept]) -> int:
    apart = [b.time_ns - a.time_ns for a, b in itertools.pairwise(rows)]
    half_ns = round(median(apart) / 2) - 1 if apart else SHORTEST_WINDOW_NS
    return min(LONGEST_WINDOW_NS, max(SHORTEST_WINDOW_NS, half_ns))
