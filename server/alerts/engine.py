"""Applies rules to readings: pure, without I/O, timers and a clock of its own.

    readings of a device -> [rules of its signals] -> Watch: ok, pending, firing, resolved

A reading counts when it is not older than the one before (by instant measured): late data changes
no alert. A value holds until the next one comes; so a condition that must hold for a while is met
by the clock as well, and what must not be missing is a rule of kind `stale`.

Costs are arranged for many readings and few rules: a reading of a signal without a rule is one
look-up; of a column of a remote device only the greatest (or smallest) value is looked at while
nothing is wrong.
"""

from __future__ import annotations

import enum
import heapq
import itertools
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from server.alerts.rule import Kind, Rule
from server.readings import Reading
from server.store.body import Column, floats

RATE_POINTS = 64
"""Points of a window that are kept for its rate of change: one for each 64th of it."""
RATE_GAP_WINDOWS = 10
"""After a gap of so many windows the change is no rate any more: it begins anew."""
_NEVER = float("inf")


class State(enum.StrEnum):
    """How a rule stands for a device."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Change:
    """An alert begins or ends.

    Attributes:
        watch: of which.
        state: FIRING or RESOLVED.
        time_ns: instant measured at which it was so.
        value: the reading that did it; for a rate the rate, for staleness the last value.
        since_ns: when the condition began.
    """

    __slots__ = ("since_ns", "state", "time_ns", "value", "watch")

    def __init__(self, watch: Watch, state: State, time_ns: int, value: float, since_ns: int):
        self.watch = watch
        self.state = state
        self.time_ns = time_ns
        self.value = value
        self.since_ns = since_ns


Tell = Callable[[Change], None]


class Watch:
    """One rule on one device.

    Attributes:
        state: how it stands.
        since_ns: instant at which this state began (of PENDING and FIRING: the condition).
        last_ns: instant of the newest reading that was looked at.
        value: what was compared last.
        extreme: while firing, the value that was farthest.
        due_s: when time itself changes the state; infinite: never.
        queued_s: when the queue of instants looks at it.
        seen_s: `last_ns` on the monotonic clock.
        points: of a rate, instants and values within its window.
        begins: of the rule.
        is_plain: nothing is wrong, and the value alone decides whether something will be.
    """

    __slots__ = (
        "begins",
        "device",
        "due_s",
        "extreme",
        "is_plain",
        "last_ns",
        "points",
        "queued_s",
        "rule",
        "seen_s",
        "since_ns",
        "state",
        "value",
        "vin",
    )

    def __init__(self, rule: Rule, device: str, vin: str) -> None:
        self.rule = rule
        self.device = device
        self.vin = vin
        self.state = State.OK
        self.since_ns = 0
        self.last_ns = 0
        self.value = 0.0
        self.extreme = 0.0
        self.due_s = _NEVER
        self.queued_s = _NEVER
        self.seen_s = 0.0
        self.points: deque[tuple[int, float]] = deque()
        self.begins = rule.begins
        self.is_plain = rule.body.kind is Kind.VALUE

    def become(self, state: State) -> None:
        """Take another state."""
        self.state = state
        self.is_plain = self.is_quiet and self.rule.body.kind is Kind.VALUE

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is wrong now."""
        return self.state is State.OK or self.state is State.RESOLVED


class Engine:
    """All watches.

    Args:
        tell: called for each change, in order.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._rules: dict[int, Rule] = {}
        self._of: dict[str, tuple[str, dict[int, list[Watch]]]] = {}
        self._due: list[tuple[float, int, Watch]] = []
        self._order = itertools.count()

    @property
    def is_idle(self) -> bool:
        """Whether there is no rule at all."""
        return not self._rules

    @property
    def rules(self) -> Iterable[Rule]:
        """The rules that are applied."""
        return self._rules.values()

    @property
    def watches(self) -> list[Watch]:
        """Each rule on each device that it has met."""
        return [
            watch
            for _, by_signal in self._of.values()
            for watches in by_signal.values()
            for watch in watches
        ]

    def find(self, rule_id: int, device: str) -> Watch | None:
        """Give the watch of a rule on a device."""
        _, by_signal = self._of.get(device, ("", {}))
        for watches in by_signal.values():
            for watch in watches:
                if watch.rule.id == rule_id:
                    return watch
        return None

    def put(self, rule: Rule) -> None:
        """Add a rule, or apply it anew: what it watched is forgotten."""
        self.remove(rule.id)
        self._rules[rule.id] = rule
        for device, (vin, by_signal) in self._of.items():
            if rule.is_of(device, vin):
                by_signal.setdefault(rule.signal.id, []).append(Watch(rule, device, vin))

    def remove(self, rule_id: int) -> None:
        """Take a rule away."""
        if self._rules.pop(rule_id, None) is None:
            return
        for _, by_signal in self._of.values():
            for signal, watches in list(by_signal.items()):
                left = [watch for watch in watches if watch.rule.id != rule_id]
                if len(left) < len(watches):
                    by_signal[signal] = left
                if not left:
                    del by_signal[signal]

    def watch(self, rule: Rule, device: str, vin: str, now_s: float) -> Watch | None:
        """Watch a device from now on, though nothing was heard of it; None where not meant."""
        self._device(device, vin or self._of.get(device, ("", {}))[0])
        found = self.find(rule.id, device)
        if found is not None and rule.body.kind is Kind.STALE and found.due_s == _NEVER:
            found.seen_s = now_s
            self._arm(found, now_s + (rule.body.stale_s or 0))
        return found

    def _device(self, device: str, vin: str) -> dict[int, list[Watch]]:
        """Give the watches of a device by signal; made when it is heard for the first time."""
        known = self._of.get(device)
        if known is not None and known[0] == vin:
            return known[1]
        old = {
            watch.rule.id: watch
            for watches in (known[1] if known is not None else {}).values()
            for watch in watches
        }
        by_signal: dict[int, list[Watch]] = {}
        for rule in self._rules.values():
            if rule.is_of(device, vin):
                watch = old.pop(rule.id, None) or Watch(rule, device, vin)
                watch.vin = vin
                by_signal.setdefault(rule.signal.id, []).append(watch)
        # Rules of another vehicle than the one that the device is in now.
        for watch in old.values():
            watch.due_s = _NEVER
            if watch.state is State.FIRING:
                self._end(watch, watch.last_ns, watch.value)
        self._of[device] = (vin, by_signal)
        return by_signal

    def signals(self, device: str, vin: str) -> dict[int, list[Watch]]:
        """Give what is watched of a device, by signal; empty: nothing of it need be decoded."""
        known = self._of.get(device)
        if known is not None and (known[0] == vin or not vin):
            return known[1]
        return self._device(device, vin)

    # -- readings -------------------------------------------------------------------------------
    def readings(
        self, device: str, vin: str, readings: Sequence[Reading], now_ns: int, now_s: float
    ) -> None:
        """Apply the rules to readings, in their order."""
        find = self.signals(device, vin).get
        for reading in readings:
            watches = find(reading.signal)
            if watches is not None:
                value = reading.value
                if value != value:  # NaN: a reading that was lost
                    continue
                time_ns = reading.time_ns
                for watch in watches:
                    # While nothing is wrong nearly every reading ends here.
                    if (
                        watch.is_plain
                        and watch.last_ns <= time_ns <= now_ns
                        and not watch.begins(value)
                    ):
                        watch.last_ns = time_ns
                        watch.value = value
                    else:
                        self._reading(watch, time_ns, value, now_ns, now_s)

    def columns(
        self, device: str, vin: str, columns: Sequence[Column], now_ns: int, now_s: float
    ) -> None:
        """Apply the rules to columns of a device."""
        find = self.signals(device, vin).get
        for column in columns:
            watches = find(column.signal)
            if watches is None:
                continue
            values = floats(column.values)
            last_ns = column.first_time_ns
            if len(values) > 1:
                steps = column.steps_ns
                last_ns += steps[0] * (len(values) - 1) if len(steps) == 1 else sum(steps)
            times: Sequence[int] | None = None
            for watch in watches:
                if watch.is_quiet and _is_harmless(watch, values):
                    self._passed(watch, last_ns, values[-1], now_ns, now_s)
                    continue
                times = column.times_ns if times is None else times
                for time_ns, value in zip(times, values, strict=True):
                    self._reading(watch, time_ns, value, now_ns, now_s)

    def _passed(self, watch: Watch, last_ns: int, value: float, now_ns: int, now_s: float) -> None:
        """Take note of good readings up to an instant."""
        last_ns = min(last_ns, now_ns)
        if last_ns >= watch.last_ns:
            watch.last_ns = last_ns
            watch.value = value
            if watch.rule.body.kind is Kind.STALE:
                self._seen(watch, last_ns, now_ns, now_s)

    def _reading(self, watch: Watch, time_ns: int, value: float, now_ns: int, now_s: float) -> None:
        # A device whose clock is ahead must not shut out what comes after.
        time_ns = min(time_ns, now_ns)
        if time_ns < watch.last_ns:
            return
        watch.last_ns = time_ns
        rule = watch.rule
        kind = rule.body.kind
        if kind is Kind.STALE:
            watch.value = value
            if watch.state is State.FIRING and self._is_fresh(watch, now_ns):
                self._end(watch, time_ns, value)
            self._seen(watch, time_ns, now_ns, now_s)
            return
        if kind is Kind.RATE:
            rate = _rate(watch.points, time_ns, value, rule.body.window_s)
            if rate is None:
                return
            value = rate
        watch.value = value
        if watch.is_quiet:
            if rule.begins(value):
                watch.since_ns = time_ns
                watch.become(State.PENDING)
                if rule.duration_s > 0:
                    self._arm(watch, now_s + rule.duration_s)
                else:
                    self._fire(watch, time_ns, value)
        elif not rule.holds(value):
            if watch.state is State.FIRING:
                self._end(watch, time_ns, value)
            else:
                watch.become(State.OK)
                watch.since_ns = time_ns
                watch.due_s = _NEVER
        elif watch.state is State.FIRING:
            if _is_farther(rule.body.condition, value, watch.extreme):
                watch.extreme = value
        elif time_ns - watch.since_ns >= rule.duration_s * 1e9:
            self._fire(watch, time_ns, value)

    def _is_fresh(self, watch: Watch, now_ns: int) -> bool:
        return now_ns - watch.last_ns < (watch.rule.body.stale_s or 0) * 1e9

    def _seen(self, watch: Watch, time_ns: int, now_ns: int, now_s: float) -> None:
        watch.seen_s = now_s - (now_ns - time_ns) / 1e9
        if watch.due_s == _NEVER and watch.state is not State.FIRING:
            # From now: what was kept back for a while is still on its way, and gets fresher.
            self._arm(watch, now_s + (watch.rule.body.stale_s or 0))

    def _fire(self, watch: Watch, time_ns: int, value: float) -> None:
        watch.become(State.FIRING)
        watch.due_s = _NEVER
        watch.extreme = value
        self._tell(Change(watch, State.FIRING, time_ns, value, watch.since_ns))

    def _end(self, watch: Watch, time_ns: int, value: float) -> None:
        since_ns, watch.since_ns = watch.since_ns, time_ns
        watch.become(State.RESOLVED)
        watch.due_s = _NEVER
        self._tell(Change(watch, State.RESOLVED, time_ns, value, since_ns))

    def lost(self, device: str, signals: Iterable[int]) -> None:
        """Take note that signals of a device are missing: what is pending on them is not known
        to hold any more."""
        _, by_signal = self._of.get(device, ("", {}))
        for signal in signals:
            for watch in by_signal.get(signal, ()):
                if watch.state is State.PENDING:
                    watch.become(State.OK)
                    watch.due_s = _NEVER

    def restore(self, watch: Watch, since_ns: int, last_ns: int, value: float) -> None:
        """Go on with an alert that fired before a restart: it does not fire again."""
        watch.become(State.FIRING)
        watch.since_ns = since_ns
        watch.last_ns = last_ns
        watch.value = watch.extreme = value
        watch.due_s = _NEVER

    def restore_seen(
        self, watch: Watch, last_ns: int, value: float, now_ns: int, now_s: float
    ) -> None:
        """Take note of the newest reading that an earlier owner has seen."""
        if last_ns > watch.last_ns:
            watch.last_ns = min(last_ns, now_ns)
            watch.value = value
            watch.seen_s = now_s - (now_ns - watch.last_ns) / 1e9

    def due_since(self, watch: Watch, from_s: float) -> None:
        """Have silence count from the newest reading that is known, and not before an instant."""
        if watch.last_ns and watch.state is not State.FIRING:
            self._arm(watch, max(watch.seen_s, from_s) + (watch.rule.body.stale_s or 0))

    def take_off(self, device: str, is_later: Callable[[int], bool]) -> list[Watch]:
        """Take the watches of some rules, by number, off a device; `put_on` puts them back."""
        _, by_signal = self._of.get(device, ("", {}))
        taken = [w for watches in by_signal.values() for w in watches if is_later(w.rule.id)]
        for watch in taken:
            by_signal[watch.rule.signal.id].remove(watch)
        return taken

    def put_on(self, watch: Watch) -> None:
        """Put a watch back that was taken off."""
        self._of[watch.device][1].setdefault(watch.rule.signal.id, []).append(watch)

    def ended(self, watch: Watch, ended_ns: int) -> None:
        """Go on where an alert has ended: readings up to there were looked at."""
        watch.become(State.RESOLVED)
        watch.since_ns = ended_ns
        watch.last_ns = max(watch.last_ns, ended_ns)

    def drop(self, is_lost: Callable[[str], bool]) -> None:
        """Forget devices, as if they had never been heard: nothing ends."""
        for device in [device for device in self._of if is_lost(device)]:
            _, by_signal = self._of.pop(device)
            for watches in by_signal.values():
                for watch in watches:
                    watch.due_s = _NEVER

    # -- time -----------------------------------------------------------------------------------
    def _arm(self, watch: Watch, due_s: float) -> None:
        watch.due_s = due_s
        # An earlier entry will find the new instant when its time has come: a condition that
        # begins and ends all the time does not fill the queue.
        if due_s < watch.queued_s:
            watch.queued_s = due_s
            heapq.heappush(self._due, (due_s, next(self._order), watch))

    @property
    def next_due_s(self) -> float | None:
        """When `expire` is to be called, by the monotonic clock; None: not at all."""
        while self._due:
            at_s, _, watch = self._due[0]
            if at_s == watch.queued_s and watch.due_s <= at_s:
                return at_s
            heapq.heappop(self._due)
            if at_s == watch.queued_s:
                watch.queued_s = _NEVER
                if watch.due_s != _NEVER:
                    self._arm(watch, watch.due_s)
        return None

    def expire(self, now_ns: int, now_s: float) -> None:
        """Fire what has held, or has been missing, for long enough."""
        while (due_s := self.next_due_s) is not None and due_s <= now_s:
            _, _, watch = heapq.heappop(self._due)
            watch.due_s = watch.queued_s = _NEVER
            self._expired(watch, now_ns, now_s)

    def expire_device(self, device: str, now_ns: int, now_s: float) -> None:
        """Fire what was due on one device, when its past is gone through."""
        _, by_signal = self._of.get(device, ("", {}))
        for watches in by_signal.values():
            for watch in watches:
                if watch.due_s <= now_s:
                    watch.due_s = _NEVER
                    self._expired(watch, now_ns, now_s)

    def _expired(self, watch: Watch, now_ns: int, now_s: float) -> None:
        rule = watch.rule
        if rule.id not in self._rules or self._rules[rule.id] is not rule:
            return
        if rule.body.kind is Kind.STALE:
            self._expire_stale(watch, now_ns, now_s)
        elif watch.state is State.PENDING:
            instant_ns = min(watch.since_ns + round(rule.duration_s * 1e9), now_ns)
            self._fire(watch, instant_ns, watch.value)

    def _expire_stale(self, watch: Watch, now_ns: int, now_s: float) -> None:
        stale_s = watch.rule.body.stale_s or 0
        # Readings that came meanwhile have moved `seen_s`, and not the queue.
        if watch.seen_s + stale_s > now_s:
            self._arm(watch, watch.seen_s + stale_s)
        elif watch.state is not State.FIRING:
            watch.since_ns = watch.last_ns or now_ns - round(stale_s * 1e9)
            self._fire(watch, now_ns, watch.value)


def _is_harmless(watch: Watch, values: array[float]) -> bool:
    """Tell whether no value of a column begins an alert."""
    body = watch.rule.body
    if body.kind is Kind.RATE:
        return False
    match body.condition:
        case "gt" | "ge":
            return not watch.rule.begins(max(values))
        case "lt" | "le":
            return not watch.rule.begins(min(values))
    return not any(map(watch.rule.begins, values))


def _is_farther(condition: str | None, value: float, extreme: float) -> bool:
    return value < extreme if condition in ("lt", "le") else value > extreme


def _rate(
    points: deque[tuple[int, float]], time_ns: int, value: float, window_s: float
) -> float | None:
    """Give the change per second since the newest point that is a window old; None: none is."""
    window_ns = window_s * 1e9
    if points and time_ns - points[-1][0] > RATE_GAP_WINDOWS * window_ns:
        points.clear()
    while len(points) > 1 and time_ns - points[1][0] >= window_ns:
        points.popleft()
    rate = None
    if points and time_ns - points[0][0] >= window_ns:
        first_ns, first = points[0]
        rate = (value - first) / ((time_ns - first_ns) / 1e9)
    if not points or time_ns - points[-1][0] >= window_ns / RATE_POINTS:
        points.append((time_ns, value))
    return rate
