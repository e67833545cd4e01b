"""The order of turns: what arrives somehow is handed on in order, each turn once.

    take() 1, 2, 4 -> [1], [2], []      4 waits for 3
    missing()      -> turn 3 of this boot, once it was waited for long enough
    found()        -> [3, 4]            or a `Hole` where 3 is not to be had any more

A turn is the number of a commit of one boot of a device, 1, 2, 3 … without gaps. Messages of the
bus may be lost, doubled and in any order; who asks for what is missing reads it from the database.
Pure: no I/O, no clock of its own.

What is bounded, and what then happens:

* Items that wait, in number: beyond it the newest are let go, and asked for when it is their turn.
* Boots that are known: those that were silent for `forget_s` are forgotten first. Where all were
  heard since, a further boot is left out and counted, not taken in another's place: its turns
  would come twice.

A boot that was never heard begins with what was committed since somebody listens: turns before the
first one that arrives are asked for as well. Once a boot was forgotten nobody can tell the two
apart, and one that is not known begins with the turn that arrives: a turn may be left out then,
none comes twice, as long as no message is `forget_s` late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

BOOTS = 100_000
"""Boots that are known at most, about 400 bytes each."""
WAITING = 10_000
"""Items that wait for their turn at most."""
GAP_S = 0.05
"""A turn that is missing is waited for so long: it is on its way, most often."""
FORGET_S = 60.0
LOOK_BACK = 1000
"""Turns before the first one of a boot that are asked for at most."""

Key = tuple[str, int]
"""Device and boot."""
T = TypeVar("T")


class Missing(msgspec.Struct, frozen=True):
    """Turns of a boot to be asked for.

    Attributes:
        device: whose.
        boot: of the device.
        after: the last turn before them.
        upto: the last one of them, or of what waits already.
        is_first: nothing of this boot was handed on yet: old turns are not wanted.
    """

    device: str
    boot: int
    after: int
    upto: int
    is_first: bool

    @property
    def key(self) -> Key:
        """Device and boot."""
        return self.device, self.boot


class Hole(msgspec.Struct, frozen=True):
    """Turns that nobody can be given any more."""

    device: str
    boot: int
    first: int
    last: int


class _Boot(Generic[T]):
    """What is known of one boot."""

    __slots__ = ("gap_s", "has_begun", "is_asked", "next", "seen_s", "upto", "waiting")

    def __init__(self, first: int, has_begun: bool) -> None:
        self.next = first
        self.upto = first - 1
        self.has_begun = has_begun
        self.waiting: dict[int, T] | None = None
        self.gap_s = 0.0  # when what is missing is to be asked for
        self.is_asked = False
        self.seen_s = 0.0


class InOrder(Generic[T]):
    """Keeps the order of turns of many boots.

    Args:
        boots: that are known at most.
        waiting: items that wait at most.
        gap_s: a turn that is missing is waited for so long before it is asked for.
        forget_s: silent for so long, a boot may be forgotten.

    Attributes:
        doubled: turns that came again, since the start.
        left_out: turns of boots for which there was no room, since the start.
        has_forgotten: whether a boot was ever forgotten.
    """

    def __init__(
        self,
        *,
        boots: int = BOOTS,
        waiting: int = WAITING,
        gap_s: float = GAP_S,
        forget_s: float = FORGET_S,
    ) -> None:
        self.doubled = 0
        self.left_out = 0
        self.has_forgotten = False
        self._most = boots
        self._most_waiting = waiting
        self._gap_s = gap_s
        self._forget_s = forget_s
        self._boots: dict[Key, _Boot[T]] = {}
        self._gaps: dict[Key, None] = {}
        self._waiting = 0
        self._swept_s = float("-inf")

    def __len__(self) -> int:
        return len(self._boots)

    @property
    def waiting(self) -> int:
        """Items that wait for an earlier turn."""
        return self._waiting

    @property
    def gaps(self) -> int:
        """Boots of which something is missing."""
        return len(self._gaps)

    def next_turn(self, key: Key) -> int | None:
        """Give the turn that is handed on next; None: nothing was yet."""
        boot = self._boots.get(key)
        return boot.next if boot is not None and boot.has_begun else None

    def next_turns(self) -> dict[Key, int]:
        """Give the turn that is handed on next, of all boots of which one was."""
        return {key: boot.next for key, boot in self._boots.items() if boot.has_begun}

    def rewind(self, key: Key, turn: int) -> None:
        """Go on behind a turn that was handed on before: later ones were lost in the database, and
        their numbers are given again."""
        boot = self._boots.get(key)
        if boot is None or boot.next <= turn + 1:
            return
        self._waiting -= len(boot.waiting or ())
        boot.waiting = None
        boot.next = turn + 1
        boot.upto = turn
        self._whole(key, boot)

    # -- what arrives ----------------------------------------------------------------------------
    def take(self, key: Key, turn: int, item: T, now_s: float) -> list[T]:
        """Take a turn; give what can be handed on now, in order."""
        boot = self._boots.get(key)
        if boot is None:
            made = self._new(key, turn, now_s)
            if made is None:
                return []
            boot = made
        boot.seen_s = now_s
        if turn == boot.next and boot.has_begun and boot.waiting is None:
            boot.next = turn + 1
            boot.upto = max(boot.upto, turn)
            if boot.upto > turn:  # more is known to be there
                self._gap(key, boot, now_s)
            elif boot.gap_s:
                self._whole(key, boot)
            return [item]
        if turn < boot.next or (boot.waiting is not None and turn in boot.waiting):
            self.doubled += 1
            return []
        boot.upto = max(boot.upto, turn)
        if self._waiting < self._most_waiting:
            if boot.waiting is None:
                boot.waiting = {}
            boot.waiting[turn] = item
            self._waiting += 1
        items = self._ripe(boot)
        self._look(key, boot, now_s + self._gap_s)
        return items

    def head(self, key: Key, turn: int, now_s: float) -> None:
        """Take note that all turns up to this one are committed: those that did not come are asked
        for at once."""
        boot = self._boots.get(key)
        if boot is None:
            made = self._new(key, turn, now_s)
            if made is None:
                return
            boot = made
        boot.seen_s = now_s
        boot.upto = max(boot.upto, turn)
        self._look(key, boot, now_s)

    def _new(self, key: Key, turn: int, now_s: float) -> _Boot[T] | None:
        if len(self._boots) >= self._most and not self._sweep(now_s):
            self.left_out += 1
            return None
        if turn == 1 or self.has_forgotten:
            boot: _Boot[T] = _Boot(turn, has_begun=True)
        else:
            boot = _Boot(max(1, turn - LOOK_BACK), has_begun=False)
        self._boots[key] = boot
        return boot

    def _sweep(self, now_s: float) -> bool:
        """Forget the silent ones; tell whether there is room now."""
        if now_s - self._swept_s >= self._forget_s / 4:
            self._swept_s = now_s
            silent = [
                key
                for key, boot in self._boots.items()
                if now_s - boot.seen_s >= self._forget_s and not boot.gap_s
            ]
            for key in silent:
                del self._boots[key]
                self.has_forgotten = True
        return len(self._boots) < self._most

    def _ripe(self, boot: _Boot[T]) -> list[T]:
        """Take what waits and is next."""
        items: list[T] = []
        waiting = boot.waiting
        if waiting is None or not boot.has_begun:
            return items
        while boot.next in waiting:
            items.append(waiting.pop(boot.next))
            boot.next += 1
        self._waiting -= len(items)
        if not waiting:
            boot.waiting = None
        return items

    def _look(self, key: Key, boot: _Boot[T], due_s: float) -> None:
        """Note whether something is missing, and from when on it is asked for."""
        if boot.has_begun and boot.next > boot.upto:
            self._whole(key, boot)
        else:
            self._gap(key, boot, due_s)

    def _gap(self, key: Key, boot: _Boot[T], due_s: float) -> None:
        boot.gap_s = min(boot.gap_s, due_s) if boot.gap_s else due_s
        self._gaps[key] = None

    def _whole(self, key: Key, boot: _Boot[T]) -> None:
        boot.gap_s = 0.0
        self._gaps.pop(key, None)

    # -- what is missing -------------------------------------------------------------------------
    def due_s(self) -> float | None:
        """Give when `missing` has something; None: nothing is missing that was not asked for."""
        found = None
        for key in self._gaps:
            boot = self._boots[key]
            if not boot.is_asked and (found is None or boot.gap_s < found):
                found = boot.gap_s
        return found

    def missing(self, now_s: float, most: int = 1000) -> list[Missing]:
        """Give what is to be asked for now; each is answered by `found` or `failed`."""
        asked = []
        for key in self._gaps:
            boot = self._boots[key]
            if not boot.is_asked and boot.gap_s <= now_s:
                boot.is_asked = True
                asked.append(Missing(*key, boot.next - 1, boot.upto, not boot.has_begun))
                if len(asked) == most:
                    break
        return asked

    def found(
        self, asked: Missing, items: Mapping[int, T], upto: int, now_s: float
    ) -> list[T | Hole]:
        """Take what there was of it; give what can be handed on now, in order.

        Args:
            asked: by `missing`.
            items: by turn, those that are there; of a first answer those that are wanted.
            upto: the last turn that was looked for: what is neither there nor here is gone.
            now_s: by the clock of `take`.
        """
        boot = self._boots.get(asked.key)
        if boot is None:
            return []
        boot.is_asked = False
        steps: list[T | Hole] = []
        upto = min(upto, boot.upto)
        waiting = boot.waiting or {}
        if not boot.has_begun:
            known = [t for t in (*items, *waiting) if t >= boot.next]
            boot.next = min(known, default=upto + 1)
            boot.has_begun = True
        while boot.next <= upto:
            turn = boot.next
            if turn in waiting:
                steps.append(waiting.pop(turn))
                self._waiting -= 1
            elif turn in items:
                steps.append(items[turn])
            elif steps and isinstance(hole := steps[-1], Hole):
                steps[-1] = Hole(*asked.key, hole.first, turn)
            else:
                steps.append(Hole(*asked.key, turn, turn))
            boot.next += 1
        if not waiting:
            boot.waiting = None
        steps += self._ripe(boot)
        boot.gap_s = 0.0
        self._look(asked.key, boot, now_s)
        return steps

    def failed(self, asked: Missing, again_s: float) -> None:
        """Take note that it could not be asked for; it is again, from an instant on."""
        boot = self._boots.get(asked.key)
        if boot is not None:
            boot.is_asked = False
            boot.gap_s = again_s

    def forget(self, is_unwanted: Callable[[Key], bool]) -> None:
        """Forget boots that nobody wants to hear of any more."""
        for key in [key for key in self._boots if is_unwanted(key)]:
            boot = self._boots.pop(key)
            self._waiting -= len(boot.waiting or ())
            self._gaps.pop(key, None)
