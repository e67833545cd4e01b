"""The player: pace, pause, seek, speed, and listeners that cannot follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from server.clock import SystemClock
from server.errors import StoreAway
from server.replay.player import Player, Position, State
from server.replay.tape import Row

SECOND = 10**9


class FakeTape:
    """Ten readings a second for some seconds, or fewer."""

    def __init__(self, seconds: float = 10, step_ns: int = SECOND // 10) -> None:
        self.start_ns = 100 * SECOND
        self.end_ns = self.start_ns + int(seconds * SECOND)
        self.rows = [
            (time_ns, 12, 1, float(number), 0)
            for number, time_ns in enumerate(range(self.start_ns, self.end_ns, step_ns))
        ]
        self.place = 0
        self.fail = 0

    async def seek(self, instant_ns: int) -> None:
        """Go to an instant."""
        self.place = next((n for n, r in enumerate(self.rows) if r[0] >= instant_ns), 10**9)

    async def next_ns(self) -> int | None:
        """Give the next instant."""
        await asyncio.sleep(0)
        if self.fail:
            self.fail -= 1
            raise StoreAway("made up")
        return self.rows[self.place][0] if self.place < len(self.rows) else None

    async def take(self, until_ns: int, limit: int) -> list[Row]:
        """Give what is due."""
        found = []
        while self.place < len(self.rows) and self.rows[self.place][0] < until_ns:
            if len(found) == limit:
                break
            found.append(self.rows[self.place])
            self.place += 1
        return found


class Ear:
    """Keeps what it hears, with the instants; slow where it is told to be."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.heard_s: list[float] = []
        self.positions: list[Position] = []
        self.slow_s = 0.0

    def rows(self, rows: list[Row]) -> None:
        """Hear readings."""
        self.values += [row[3] for row in rows]
        self.heard_s += [asyncio.get_running_loop().time()] * len(rows)

    def moved(self, position: Position, *, is_jump: bool) -> None:
        """Hear where it is."""
        self.positions.append(position)

    async def ready(self) -> None:
        """Take one's time."""
        await asyncio.sleep(self.slow_s)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@pytest.fixture
async def ear() -> Ear:
    """A listener."""
    return Ear()


@pytest.fixture
async def playing(ear: Ear) -> AsyncIterator[Callable[..., Player]]:
    """Make a player that is closed afterwards: `playing(tape, speed)`."""
    players: list[Player] = []

    def make(tape: FakeTape, speed: float = 1.0, is_paused: bool = False) -> Player:
        player = Player(tape, ear, SystemClock(), speed, is_paused)
        players.append(player)
        player.start()
        return player

    yield make
    for player in players:
        await player.close()


@pytest.mark.promise("T09")
@pytest.mark.parametrize(("speed", "seconds"), [(100.0, 20.0), (10.0, 2.0), (0.5, 0.1)])
async def test_it_plays_at_its_speed(
    playing: Callable[..., Player], ear: Ear, speed: float, seconds: float
) -> None:
    """Each reading comes once, in order, when its time has come: never early."""
    tape = FakeTape(seconds, step_ns=int(seconds * SECOND / 20))
    began_s = asyncio.get_running_loop().time()
    player = playing(tape, speed)
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values == [row[3] for row in tape.rows]
    for row, heard_s in zip(tape.rows, ear.heard_s, strict=True):
        due_s = (row[0] - tape.start_ns) / 1e9 / speed
        assert heard_s - began_s >= due_s - 0.002
    assert player.position.position_ns == tape.end_ns


async def test_pause_and_play(playing: Callable[..., Player], ear: Ear) -> None:
    """Paused it says nothing; going on it leaves nothing out and says nothing twice."""
    player = playing(FakeTape(2), 20)
    await ear.until(lambda: len(ear.values) >= 3)
    player.pause()
    await asyncio.sleep(0.01)
    count = len(ear.values)
    await asyncio.sleep(0.15)
    assert len(ear.values) == count
    assert player.position.state is State.PAUSED
    player.play()
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values == [float(n) for n in range(20)]


async def test_made_paused(playing: Callable[..., Player], ear: Ear) -> None:
    """A player may wait to be started."""
    player = playing(FakeTape(1), 50, True)
    await asyncio.sleep(0.1)
    assert not ear.values
    player.play()
    await ear.until(lambda: len(ear.values) == 10)


async def test_seek(playing: Callable[..., Player], ear: Ear) -> None:
    """It goes on where it was wound to, forwards and back; beyond the ends it stays at them."""
    tape = FakeTape(10)
    player = playing(tape, 100, True)
    player.seek(tape.start_ns + 9 * SECOND + 1)
    assert player.position.position_ns == tape.start_ns + 9 * SECOND + 1
    player.play()
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values == [float(n) for n in range(91, 100)]
    player.seek(0)
    assert player.position.state is State.PAUSED
    assert player.position.position_ns == tape.start_ns
    player.seek(2**62)
    assert player.position.position_ns == tape.end_ns
    player.seek(tape.start_ns + 95 * SECOND // 10)
    player.play()
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values[9:] == [float(n) for n in range(95, 100)]


async def test_from_the_beginning_after_the_end(playing: Callable[..., Player], ear: Ear) -> None:
    """Play after the end begins anew."""
    player = playing(FakeTape(1), 100)
    await ear.until(lambda: player.position.state is State.ENDED)
    player.play()
    await ear.until(lambda: len(ear.values) == 20)
    assert ear.values == [float(n) for n in range(10)] * 2


async def test_another_speed_on_the_way(playing: Callable[..., Player], ear: Ear) -> None:
    """A change of speed loses nothing, doubles nothing, and is told."""
    player = playing(FakeTape(20), 10)
    await ear.until(lambda: len(ear.values) >= 5)
    player.set_speed(100)
    assert ear.positions[-1].speed == 100
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values == [float(n) for n in range(200)]


async def test_a_listener_that_cannot_follow(playing: Callable[..., Player], ear: Ear) -> None:
    """It waits for its listener instead of running ever further ahead, and loses nothing."""
    ear.slow_s = 0.06
    player = playing(FakeTape(10, step_ns=SECOND), 100)
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values == [float(n) for n in range(10)]


async def test_the_store_is_away(
    playing: Callable[..., Player], ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why it stands, tries again, and goes on where it was."""
    monkeypatch.setattr("server.replay.player.RETRY_S", 0.01)
    tape = FakeTape(10)
    player = playing(tape, 40)
    await ear.until(lambda: len(ear.values) >= 5)
    tape.fail = 2
    await ear.until(lambda: player.position.state is State.ENDED)
    assert ear.values == [float(n) for n in range(100)]
    told = [position.problem for position in ear.positions]
    assert "made up" in told
    assert told[-1] == ""
