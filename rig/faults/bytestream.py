"""Faults that rewrite what passes on a serial line: lost, late, changed, cut, doubled.

Each one looks at one transmission at a time: what a device wrote in one go.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.faults.strike import End, Strike
from sim.serial_line import Direction, Fault

Pieces = list[tuple[float, bytes]]
REORDER_S = 0.05  # a reader that polls finds both by then


def installed(strike: Strike, rewrite: Fault) -> End:
    """Let all transmissions pass through `rewrite` from now on; return what ends that."""
    directions = strike.directions
    for direction in directions:
        direction.faults.append(rewrite)

    def end() -> None:
        for direction in directions:
            # By identity: two faults of one kind are equal in nothing but their look.
            direction.faults[:] = [fault for fault in direction.faults if fault is not rewrite]

    return end


def drop(strike: Strike) -> End:
    """Lose each transmission with the given probability."""
    probability = strike.fault.number("probability_pct") / 100.0

    def rewrite(data: bytes) -> Pieces:
        return [] if strike.rng.random() < probability else [(0.0, data)]

    return installed(strike, rewrite)


def mute(strike: Strike) -> End:
    """Swallow everything."""

    def rewrite(data: bytes) -> Pieces:
        return []

    return installed(strike, rewrite)


def corrupt(strike: Strike) -> End:
    """Flip one bit of each byte with the given probability."""
    probability = strike.fault.number("probability_pct") / 100.0
    rng = strike.rng

    def rewrite(data: bytes) -> Pieces:
        changed = bytes(
            byte ^ (1 << rng.randrange(8)) if rng.random() < probability else byte for byte in data
        )
        return [(0.0, changed)]

    return installed(strike, rewrite)


def truncate(strike: Strike) -> End:
    """Cut the end off a transmission with the given probability, at any byte."""
    probability = strike.fault.number("probability_pct") / 100.0

    def rewrite(data: bytes) -> Pieces:
        if strike.rng.random() >= probability:
            return [(0.0, data)]
        kept = data[: strike.rng.randrange(len(data))]
        return [(0.0, kept)] if kept else []

    return installed(strike, rewrite)


def duplicate(strike: Strike) -> End:
    """Send a transmission twice with the given probability."""
    probability = strike.fault.number("probability_pct") / 100.0

    def rewrite(data: bytes) -> Pieces:
        times = 2 if strike.rng.random() < probability else 1
        return [(0.0, data)] * times

    return installed(strike, rewrite)


class _Swapped:
    """Holds a transmission back until the next one of its direction has gone before it."""

    def __init__(self, strike: Strike, direction: Direction) -> None:
        self._strike = strike
        self._direction = direction
        self._probability = strike.fault.number("probability_pct") / 100.0
        self._held = b""
        self._count = 0
        self._ending = False
        direction.faults.append(self)

    def __call__(self, data: bytes) -> Pieces:
        held, self._held = self._held, b""
        if held or self._ending or self._strike.rng.random() >= self._probability:
            return [(0.0, data), (0.0, held)] if held else [(0.0, data)]
        self._held = data
        self._count += 1
        event = self._strike.env.timeout(REORDER_S, self._count)
        event.callbacks.append(lambda fired: self._give_up(fired.value))
        return []

    def end(self) -> None:
        """Swap nothing more, and let go what is held."""
        self._ending = True
        self._give_up(self._count)
        faults = self._direction.faults
        faults[:] = [fault for fault in faults if fault is not self]

    def _give_up(self, count: int) -> None:
        """Nothing came that could have gone before it."""
        if count == self._count and self._held:
            held, self._held = self._held, b""
            # Through the faults behind this one, and not through this one again.
            self._direction.resend(held, after=self)


def reorder(strike: Strike) -> End:
    """Swap a transmission with the next one, with the given probability, if that comes at once.

    A wire keeps its order; drivers that take several USB transfers at a time have handed them up in
    another one, and so do tunnels over UDP. What is alone for 50 ms is delivered alone.
    """
    swapped = [_Swapped(strike, direction) for direction in strike.directions]

    def end() -> None:
        for one in swapped:
            one.end()

    return end


class _Held:
    """Transmissions of one direction that leave late and yet in order, as on any wire."""

    def __init__(self, strike: Strike, direction: Direction, release_s: Callable[[float], float]):
        self._strike = strike
        self._direction = direction
        self._release_s = release_s
        self._last_s = 0.0
        self._ending = False
        direction.faults.append(self)

    def __call__(self, data: bytes) -> Pieces:
        departure_s = self._strike.departure_s(self._direction, len(data))
        wanted_s = departure_s if self._ending else self._release_s(departure_s)
        self._last_s = max(wanted_s, departure_s, self._last_s)
        return [(self._last_s - departure_s, data)]

    def end(self) -> None:
        """Hold nothing more; stay until the last one held is out, so that nothing overtakes it."""
        self._ending = True
        env = self._strike.env
        event = env.timeout(max(0.0, self._last_s - env.now))
        event.callbacks.append(lambda _event: self._remove())

    def _remove(self) -> None:
        faults = self._direction.faults
        faults[:] = [fault for fault in faults if fault is not self]


def _hold(strike: Strike, release_s: Callable[[float], float]) -> End:
    held = [_Held(strike, direction, release_s) for direction in strike.directions]

    def end() -> None:
        for one in held:
            one.end()

    return end


def delay(strike: Strike) -> End:
    """Deliver each transmission later, by a fixed time and a random one; the order stays."""
    delay_s = strike.fault.number("time_s")
    jitter_s = strike.fault.number("jitter_s")
    return _hold(strike, lambda departure_s: departure_s + delay_s + jitter_s * strike.rng.random())


def stall(strike: Strike) -> End:
    """Hold everything back and let it go in one burst at the end."""
    return _hold(strike, lambda departure_s: strike.end_s)
