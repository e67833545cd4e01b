"""Plays a tape: readings come when their time has come, at 0.1 to 100 times the speed of then."""

from __future__ import annotations

import asyncio
import enum
from typing import Protocol

import msgspec
import structlog

from server.clock import Clock
from server.replay.tape import Row
from server.store.connection import STORE_ERRORS, first_line

log = structlog.get_logger("telerig.replay")

SPEED_LEAST, SPEED_MOST = 0.1, 100.0
TICK_S = 0.05
"""Readings of this time go out together, as the live stream has them."""
TELL_S = 1.0
"""So often it is told where the tape is."""
PART_ROWS = 2000
"""Readings that go out at once, at most: then clients that hold up have their turn."""
RETRY_S = 2.0


class State(enum.StrEnum):
    """What a player does."""

    PLAYING = "playing"
    PAUSED = "paused"
    ENDED = "ended"


class Position(msgspec.Struct, frozen=True):
    """Where a player is.

    Attributes:
        state: what it does.
        position_ns: instant then.
        speed: times that of then.
        problem: why it cannot go on just now; empty: it can.
    """

    state: State
    position_ns: int
    speed: float
    problem: str = ""


class Readable(Protocol):
    """What is played; `server.replay.tape.Tape` is one."""

    start_ns: int
    end_ns: int

    async def seek(self, instant_ns: int) -> None: ...

    async def next_ns(self) -> int | None: ...

    async def take(self, until_ns: int, limit: int) -> list[Row]: ...


class Listener(Protocol):
    """Who hears it."""

    def rows(self, rows: list[Row]) -> None:
        """Take readings, in the order of time."""

    def moved(self, position: Position, *, is_jump: bool) -> None:
        """Take note of where it is; after a jump the next readings are from elsewhere."""

    async def ready(self) -> None:
        """Return when more can be taken."""


class Player:
    """Plays one tape, until it is closed.

    Args:
        tape: opened.
        listener: hears it.
        clock: monotonic time.
        speed: times that of then.
        is_paused: whether it waits to be started.
    """

    def __init__(
        self,
        tape: Readable,
        listener: Listener,
        clock: Clock,
        speed: float = 1.0,
        is_paused: bool = False,
    ) -> None:
        self._tape = tape
        self._listener = listener
        self._clock = clock
        self._speed = speed
        self._state = State.PAUSED if is_paused else State.PLAYING
        self._position_ns = tape.start_ns
        self._problem = ""
        self._anchor_s = clock.monotonic_s()
        self._anchor_ns = tape.start_ns
        self._told_s = 0.0
        self._jump_ns: int | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def position(self) -> Position:
        """Where it is."""
        return Position(self._state, self._position_ns, self._speed, self._problem)

    def start(self) -> None:
        """Begin."""
        self._anchor(self._position_ns)
        self._task = asyncio.create_task(self._play(), name="replay")

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def play(self) -> None:
        """Go on; from the beginning where it has ended."""
        if self._state is State.ENDED:
            self.seek(self._tape.start_ns)
        self._set(State.PLAYING)

    def pause(self) -> None:
        """Stop where it is."""
        if self._state is State.PLAYING:
            self._set(State.PAUSED)

    def seek(self, instant_ns: int) -> None:
        """Go to an instant, at most from the first to the last; what was ended, or paused,
        is paused there."""
        self._jump_ns = max(self._tape.start_ns, min(instant_ns, self._tape.end_ns))
        self._position_ns = self._jump_ns
        self._set(State.PAUSED if self._state is State.ENDED else self._state, is_jump=True)

    def set_speed(self, speed: float) -> None:
        """Go on at another speed."""
        self._speed = speed
        self._set(self._state)

    def _set(self, state: State, *, is_jump: bool = False) -> None:
        self._state = state
        self._anchor(self._position_ns)
        self._tell(is_jump=is_jump)
        self._changed.set()

    def _anchor(self, position_ns: int) -> None:
        self._anchor_s = self._clock.monotonic_s()
        self._anchor_ns = position_ns

    def _tell(self, *, is_jump: bool = False) -> None:
        self._told_s = self._clock.monotonic_s()
        self._listener.moved(self.position, is_jump=is_jump)

    async def _play(self) -> None:
        while True:
            try:
                await self._step()
            except STORE_ERRORS as error:
                self._fail(first_line(error))
                await asyncio.sleep(RETRY_S)
                self._anchor(self._position_ns)
            except Exception:
                # A task boundary: nobody else would hear of it.
                log.exception("replay failed")
                self._fail("an error of the program; see the log")
                self._set(State.PAUSED)

    def _fail(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._tell()

    async def _step(self) -> None:
        self._changed.clear()
        if self._jump_ns is not None:
            jump_ns, self._jump_ns = self._jump_ns, None
            await self._tape.seek(jump_ns)
        if self._state is not State.PLAYING:
            await self._changed.wait()
            return
        due_ns = self._due_ns()
        next_ns = await self._tape.next_ns()
        self._fail("")
        if self._changed.is_set():
            return
        if next_ns is None:
            self._position_ns = self._tape.end_ns
            self._state = State.ENDED
            self._tell()
            return
        if next_ns <= due_ns:
            await self._say(due_ns)
            return
        self._position_ns = max(self._position_ns, due_ns)
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s >= TELL_S:
            self._tell()
        wait_s = max(TICK_S, (next_ns - due_ns) / 1e9 / self._speed)
        await self._wait(min(wait_s, self._told_s + TELL_S - now_s))

    async def _say(self, due_ns: int) -> None:
        rows = await self._tape.take(due_ns + 1, PART_ROWS)
        if self._jump_ns is not None or not rows:
            return  # somebody has wound the tape meanwhile: these are from where it was
        self._listener.rows(rows)
        self._position_ns = rows[-1][0]
        before_s = self._clock.monotonic_s()
        await self._listener.ready()
        if self._clock.monotonic_s() - before_s > TICK_S and not self._changed.is_set():
            # Whoever hears it cannot follow: it goes on from here, instead of ever further behind.
            self._anchor(self._position_ns)

    def _due_ns(self) -> int:
        passed_s = self._clock.monotonic_s() - self._anchor_s
        return min(self._anchor_ns + round(passed_s * self._speed * 1e9), self._tape.end_ns)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()
        except TimeoutError:
            return
