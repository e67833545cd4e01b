"""The replays that run: each is a tape, a player, and a live stream of its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from server.answers import Refusal, iso
from server.history.wanted import Wanted
from server.live.events import Notice, Readings
from server.live.events import Row as LiveRow
from server.live.hub import Hub
from server.replay.player import Player, Position, State
from server.replay.tape import Row, Tape

if TYPE_CHECKING:
    from server.gateway import Gateway

UNWATCHED_S = 600.0
"""A replay that nobody watches and that does not play is forgotten after this time."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A replay, as it is told.

    Attributes:
        id: number.
        device: whose readings.
        session: number of the session; null for a range of time.
        start_ns: instant of the first reading.
        end_ns: no reading is as late.
        state: "playing", "paused" or "ended".
        position_ns: instant then that is played now.
        position: the same in ISO 8601.
        position_s: seconds since the first reading.
        duration_s: of the drive.
        speed: times that of then.
        problem: why it cannot go on just now; empty: it can.
        watchers: clients of its stream.
        owner: who has made it.
    """

    id: int
    device: str
    session: int | None
    start_ns: int
    end_ns: int
    state: State
    position_ns: int
    position: str
    position_s: float
    duration_s: float
    speed: float
    problem: str
    watchers: int
    owner: str


class Replay:
    """One replay (a `Listener` of its player).

    Args:
        number: its id.
        tape: opened.
        gateway: for clock and bounds.
        session: number of the session; None for a range of time.
        owner: who has made it.
        is_own: one client watches it, and it waits for that one; else it waits for nobody.
    """

    def __init__(
        self,
        number: int,
        tape: Tape,
        gateway: Gateway,
        *,
        device: str,
        session: int | None,
        owner: str,
        is_own: bool,
        speed: float,
        is_paused: bool,
    ) -> None:
        self.number = number
        self.device = device
        self.owner = owner
        self.is_own = is_own
        self.last_used_s = gateway.clock.monotonic_s()
        self._tape = tape
        self._session = session
        self._clock = gateway.clock
        self.hub = Hub(device, gateway.boot, gateway.clock, ring_bytes=0)
        self.player = Player(tape, self, gateway.clock, speed, is_paused)
        self._seqs: defaultdict[int, int] = defaultdict(int)

    @property
    def shown(self) -> Shown:
        """The replay, as it is told."""
        at = self.player.position
        tape = self._tape
        return Shown(
            id=self.number,
            device=self.device,
            session=self._session,
            start_ns=tape.start_ns,
            end_ns=tape.end_ns,
            state=at.state,
            position_ns=at.position_ns,
            position=iso(at.position_ns),
            position_s=round((at.position_ns - tape.start_ns) / 1e9, 3),
            duration_s=round((tape.end_ns - tape.start_ns) / 1e9, 3),
            speed=at.speed,
            problem=at.problem,
            watchers=self.hub.clients,
            owner=self.owner,
        )

    @property
    def is_resting(self) -> bool:
        """Whether nobody watches and nothing plays."""
        return not self.hub.clients and self.player.position.state is not State.PLAYING

    async def close(self) -> None:
        """End it."""
        await self.player.close()
        self.hub.close()

    # What the player tells (server.replay.player.Listener).

    def rows(self, rows: list[Row]) -> None:
        """Publish readings; those of one boot are numbered as they were played."""
        by_boot: dict[int, list[LiveRow]] = {}
        for time_ns, signal, boot, value, state in rows:
            self._seqs[boot] += 1
            by_boot.setdefault(boot, []).append(
                (self._seqs[boot], signal, time_ns, value, time_ns, state)
            )
        for boot, of_boot in by_boot.items():
            self.hub.emit(Readings(self.device, boot, of_boot))

    def moved(self, position: Position, *, is_jump: bool) -> None:
        """Publish where it is."""
        if is_jump:
            self._seqs.clear()
        self.hub.emit(Notice(self.told(is_jump=is_jump)))

    def told(self, *, is_jump: bool = False) -> dict[str, object]:
        """Give the message that says where it is."""
        content = msgspec.structs.asdict(self.shown)
        del content["watchers"], content["owner"]
        told = {"type": "replay", **content, "time_ns": self._clock.now_ns()}
        return {**told, "jump": True} if is_jump else told

    async def ready(self) -> None:
        """Let others have their turn; wait for the only client of an own replay."""
        self.hub.flush()
        if self.is_own:
            await self.hub.drained()
        await asyncio.sleep(0)


class Replays:
    """All replays of a gateway.

    Args:
        gateway: whose store is read.
        limit: replays at a time.
    """

    def __init__(self, gateway: Gateway, limit: int) -> None:
        self._gateway = gateway
        self._limit = limit
        self._all: dict[int, Replay] = {}
        self._opening = 0
        self._next = 1

    @property
    def all(self) -> list[Replay]:
        """Those that are there, by number."""
        return list(self._all.values())

    def find(self, number: int) -> Replay | None:
        """Give one; None where there is none of that number."""
        return self._all.get(number)

    async def make(
        self,
        wanted: Wanted,
        *,
        session: int | None,
        owner: str,
        is_own: bool = False,
        speed: float = 1.0,
        is_paused: bool = False,
    ) -> Replay:
        """Make one and start it.

        Raises:
            Refusal: 404, nothing is stored of what is wanted; 429, there are as many as may be.
            STORE_ERRORS: the store cannot be read.
        """
        await self._forget_resting()
        if len(self._all) + self._opening >= self._limit:
            expected = f"at most {self._limit} replays at a time ([live] replays)"
            raise Refusal(429, "replays", expected, "one more", headers={"retry-after": "60"})
        self._opening += 1
        try:
            tape = Tape(self._gateway.pool, wanted)
            if not await tape.open():
                raise Refusal(404, "readings", "readings that are stored", "none in that time")
        finally:
            self._opening -= 1
        replay = Replay(
            self._next,
            tape,
            self._gateway,
            device=wanted.device,
            session=session,
            owner=owner,
            is_own=is_own,
            speed=speed,
            is_paused=is_paused,
        )
        self._next += 1
        self._all[replay.number] = replay
        if not is_own:
            replay.player.start()
        return replay

    async def remove(self, replay: Replay) -> None:
        """End one."""
        if self._all.pop(replay.number, None) is not None:
            await replay.close()

    async def close(self) -> None:
        """End all."""
        for replay in self.all:
            await self.remove(replay)

    async def _forget_resting(self) -> None:
        now_s = self._gateway.clock.monotonic_s()
        for replay in self.all:
            if not replay.is_resting:
                replay.last_used_s = now_s
            elif not replay.is_own and now_s - replay.last_used_s > UNWATCHED_S:
                await self.remove(replay)
