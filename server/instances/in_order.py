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
_ASKED = float("inf")
"""In place of an instant: what is missing was asked for, and the answer is on its way."""

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
    """What is known of one boot: `next` is handed on next, turns up to `upto` are known to be."""

    __slots__ = ("has_begun", "next", "seen_s", "upto", "waiting")

    def __init__(self, first: int, has_begun: bool) -> None:
        self.next = first
        self.upto = first - 1
        self.has_begun = has_begun
        self.waiting: dict[int, T] | None = None
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
        waiting: items that wait for an earlier turn.
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
        self.waiting = 0
        self._most = boots
        self._most_waiting = waiting
        self._gap_s = gap_s
        self._forget_s = forget_s
        self._boots: dict[Key, _Boot[T]] = {}
        self._due_s: dict[Key, float] = {}  # when what is missing of a boot is to be asked for
        self._swept_s = float("-inf")

    def __len__(self) -> int:
        return len(self._boots)

    @property
    def gaps(self) -> int:
        """Boots of which something is missing."""
        return len(self._due_s)

    def next_turn(self, key: Key) -> int | None:
        """Give the turn that is handed on next; None: nothing was yet."""
        boot = self._boots.get(key)
        return boot.next if boot is not None and boot.has_begun else None

    def next_turns(self) -> dict[Key, int]:
        """Give the turn that is handed on next, of all boots of which one was."""
        return {key: boot.next for key, boot in self._boots.items() if boot.has_begun}

    # -- what arrives ----------------------------------------------------------------------------
    def take(self, key: Key, turn: int, item: T, now_s: float) -> list[T]:
        """Take a turn; give what can be handed on now, in order."""
        boot = self._known(key, turn, now_s)
        if boot is None:
            return []
        if turn < boot.next or (boot.waiting is not None and turn in boot.waiting):
            self.doubled += 1
            return []
        boot.upto = max(boot.upto, turn)
        items: list[T] = []
        if turn == boot.next and boot.has_begun:
            boot.next += 1
            items.append(item)
            while boot.waiting is not None and boot.next in boot.waiting:
                items.append(self._take_waiting(boot, boot.waiting))
        elif self.waiting < self._most_waiting:
            if boot.waiting is None:
                boot.waiting = {}
            boot.waiting[turn] = item
            self.waiting += 1
        self._look(key, boot, now_s + self._gap_s)
        return items

    def head(self, key: Key, turn: int, now_s: float) -> None:
        """Take note that all turns up to this one are committed: those that did not come are asked
        for at once."""
        boot = self._known(key, turn, now_s)
        if boot is not None:
            boot.upto = max(boot.upto, turn)
            self._look(key, boot, now_s)

    def rewind(self, key: Key, turn: int) -> None:
        """Go on behind a turn that was handed on before: later ones were lost in the database, and
        their numbers are given again."""
        boot = self._boots.get(key)
        if boot is not None and boot.next > turn + 1:
            self._let_go(key, boot)
            boot.next = turn + 1
            boot.upto = turn

    def forget(self, is_unwanted: Callable[[Key], bool]) -> None:
        """Forget boots that nobody wants to hear of any more."""
        for key in [key for key in self._boots if is_unwanted(key)]:
            self._let_go(key, self._boots.pop(key))

    def _known(self, key: Key, turn: int, now_s: float) -> _Boot[T] | None:
        """Give a boot, a new one where there is room for it."""
        boot = self._boots.get(key)
        if boot is None:
            if len(self._boots) >= self._most and not self._sweep(now_s):
                self.left_out += 1
                return None
            has_begun = turn == 1 or self.has_forgotten
            boot = _Boot(turn if has_begun else max(1, turn - LOOK_BACK), has_begun)
            self._boots[key] = boot
        boot.seen_s = now_s
        return boot

    def _sweep(self, now_s: float) -> bool:
        """Forget the silent ones; tell whether there is room now."""
        if now_s - self._swept_s >= self._forget_s / 4:
            self._swept_s = now_s
            before = len(self._boots)
            self._boots = {
                key: boot
                for key, boot in self._boots.items()
                if now_s - boot.seen_s < self._forget_s or key in self._due_s
            }
            self.has_forgotten |= len(self._boots) < before
        return len(self._boots) < self._most

    def _take_waiting(self, boot: _Boot[T], waiting: dict[int, T]) -> T:
        """Take what waits and is next."""
        item = waiting.pop(boot.next)
        boot.next += 1
        self.waiting -= 1
        if not waiting:
            boot.waiting = None
        return item

    def _let_go(self, key: Key, boot: _Boot[T]) -> None:
        """Forget what waits of a boot, and that something of it is missing."""
        self.waiting -= len(boot.waiting or ())
        boot.waiting = None
        self._due_s.pop(key, None)

    def _look(self, key: Key, boot: _Boot[T], due_s: float) -> None:
        """Note whether something is missing, and from when on it is asked for."""
        if boot.has_begun and boot.next > boot.upto:
            self._due_s.pop(key, None)
        elif due_s < self._due_s.setdefault(key, due_s) < _ASKED:
            self._due_s[key] = due_s

    # -- what is missing -------------------------------------------------------------------------
    def due_s(self) -> float | None:
        """Give when `missing` has something; None: nothing is missing that was not asked for."""
        found_s = min(self._due_s.values(), default=_ASKED)
        return found_s if found_s < _ASKED else None

    def missing(self, now_s: float, most: int = 1000) -> list[Missing]:
        """Give what is to be asked for now; each is answered by `found` or `failed`."""
        due = [key for key, due_s in self._due_s.items() if due_s <= now_s]
        asked = []
        for key in due[:most]:
            boot = self._boots[key]
            self._due_s[key] = _ASKED
            asked.append(Missing(*key, boot.next - 1, boot.upto, not boot.has_begun))
        return asked

    def failed(self, asked: Missing, again_s: float) -> None:
        """Take note that it could not be asked for; it is again, from an instant on."""
        if asked.key in self._due_s:
            self._due_s[asked.key] = again_s

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
        upto = min(upto, boot.upto)
        if not boot.has_begun:
            known = [t for t in (*items, *(boot.waiting or ())) if t >= boot.next]
            boot.next = min(known, default=upto + 1)
            boot.has_begun = True
        steps: list[T | Hole] = []
        while True:
            turn = boot.next
            if boot.waiting is not None and turn in boot.waiting:
                steps.append(self._take_waiting(boot, boot.waiting))
                continue
            if turn > upto:
                break
            boot.next += 1
            if turn in items:
                steps.append(items[turn])
            elif steps and isinstance(hole := steps[-1], Hole):
                steps[-1] = Hole(*asked.key, hole.first, turn)
            else:
                steps.append(Hole(*asked.key, turn, turn))
        self._due_s.pop(asked.key, None)
        self._look(asked.key, boot, now_s)
        return steps
