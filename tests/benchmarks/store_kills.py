"""Kills: a writer with its compactor, or PostgreSQL, killed at random moments, hundreds of times.

`python -m tests.benchmarks.store_kills [KILLS] [SEED]`

A child process compacts what the one before it has left, then stores numbered readings of three
devices, late and out of order, and of a link, with a compactor that does nothing but end cycles and
compact them; it says what was acknowledged.
It is killed with SIGKILL after a random time; in every fifth round PostgreSQL is killed instead.
The next child sends again what was not acknowledged, and some of what was. After every tenth round,
and at the end, all that is stored is read, from the hot log and the segments: what was acknowledged
is there, and nothing is there twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from server.clock import SystemClock
from server.readings import Reading
from server.store.appends import Append, Piece
from server.store.body import Column, decode_body, encode_columns, little_endian
from server.store.compactor import Compactor
from server.store.connection import DATABASE_ERRORS, connect
from server.store.devicelog import DeviceLog
from server.store.embedded import EmbeddedPostgres
from server.store.hotlog import Batch, HotLog
from server.store.migrate import migrate
from server.store.segment import Segment, decode_segment
from tests.benchmarks.figures import Goal, Row

T0_NS = 1_760_000_400_000_000_000
SIZE = 10
AGAIN = 6
"""Appends before the first one that was not acknowledged, which are sent again."""
DEVICES = (("a", 7), ("b", 8), ("c", 0))
LOCAL = "car"
LIFE_S = (0.05, 0.9)
KILLS, QUICK_KILLS = 300, 12


@dataclass
class Tally:
    """What the rounds have found."""

    kills: int = 0
    postgres_kills: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    in_segments: int = 0
    cycles: int = 0
    local: dict[int, int] = field(default_factory=dict)
    sent: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name, _ in DEVICES})


def measure(quick: bool) -> list[Row]:
    """Kill, and count."""
    tally = kill_often(QUICK_KILLS if quick else KILLS, 1)
    return [
        Row("kills of the gateway's part", [tally.kills], "kills"),
        Row("kills of PostgreSQL", [tally.postgres_kills], "kills"),
        Row("readings acknowledged", [tally.acknowledged], "readings"),
        Row("of what is stored, in segments", [100 * tally.in_segments / tally.stored], "%"),
        Row("cycles compacted", [tally.cycles], "cycles"),
        Row("acknowledged and lost", [tally.lost], "readings", Goal(most=0)),
        Row("doubled", [tally.doubled], "readings", Goal(most=0)),
    ]


def kill_often(kills: int, seed: int) -> Tally:
    """Do it so many times; give what was found."""
    chance = random.Random(seed)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "data", durable=True)
        url = postgres.start()
        try:
            asyncio.run(_prepare(url))
            for number in range(1, kills + 1):
                life_s = chance.uniform(*LIFE_S)
                if number % 5 == 0:
                    _round(url, tally, chance, life_s, postgres)
                    postgres.stop()
                    url = postgres.start()
                    tally.postgres_kills += 1
                else:
                    _round(url, tally, chance, life_s, None)
                    tally.kills += 1
                if number % 10 == 0 or number == kills:
                    asyncio.run(_check(url, tally))
        finally:
            postgres.stop()
    return tally


async def _prepare(url: str) -> None:
    connection = await connect(url)
    await migrate(connection, SystemClock())
    await connection.close()


def _round(
    url: str, tally: Tally, chance: random.Random, life_s: float, postgres: EmbeddedPostgres | None
) -> None:
    order = {name: _due(tally.sent[name], chance) for name, _ in DEVICES}
    command = [sys.executable, "-m", "tests.benchmarks.store_kills", "child", url]
    command.append(json.dumps({"order": order, "seed": chance.random()}))
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    line = child.stdout.readline()  # it has begun
    if line:
        time.sleep(life_s)
        if postgres is not None and postgres.pid is not None:
            os.kill(postgres.pid, signal.SIGKILL)
            time.sleep(0.1)
    child.kill()
    said, _ = child.communicate()
    for text in said.splitlines():
        # The last line may be cut off: then nobody was told.
        if text.endswith(b"."):
            name, _, number = text[:-1].decode().partition(" ")
            if name in tally.sent:
                tally.sent[name].add(int(number))
            else:
                tally.local[int(name)] = int(number)


def _due(sent: set[int], chance: random.Random) -> list[int]:
    """Give the numbers of the appends to send: some again, what is missing, and new ones."""
    first = next(number for number in range(len(sent) + 1) if number not in sent)
    numbers = list(range(max(0, first - AGAIN), first + 2000))
    for place in range(0, len(numbers), 20):
        part = numbers[place : place + 20]
        chance.shuffle(part)
        numbers[place : place + 20] = part
    return numbers


async def _check(url: str, tally: Tally) -> None:
    connection = await _patiently(url)
    found: Counter[tuple[str, int, float]] = Counter()
    in_segments = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for row in await connection.fetch("SELECT device, boot, body FROM hot_live"):
            found.update((row["device"], row["boot"], r.value) for r in decode_body(row["body"]))
        for row in await connection.fetch("SELECT * FROM segments"):
            values: dict[str, Any] = dict(row)
            device, boot = values.pop("device"), values.pop("boot")
            del values["id"]
            for column in decode_segment(Segment(**values)):
                found.update((device, boot, value) for value in column.values)
                in_segments += len(column.values)
        tally.cycles = await connection.fetchval("SELECT compacted FROM hot_progress")
    await connection.close()
    expected = {
        (name, boot, float(number * SIZE + index))
        for name, boot in DEVICES
        for number in tally.sent[name]
        for index in range(SIZE)
    } | {
        (LOCAL, boot, float(seq))
        for boot, last in tally.local.items()
        for seq in range(1, last + 1)
    }
    tally.acknowledged, tally.stored = len(expected), found.total()
    tally.in_segments = in_segments
    tally.lost += len(expected - found.keys())
    tally.doubled += sum(count - 1 for count in found.values())


async def _patiently(url: str) -> asyncpg.Connection:
    for _ in range(50):
        try:
            return await connect(url)
        except DATABASE_ERRORS:
            await asyncio.sleep(0.2)
    return await connect(url)


# -- the child -------------------------------------------------------------------------------------
def _append(name: str, boot: int, number: int) -> Append:
    values = array("d", [float(number * SIZE + index) for index in range(SIZE)])
    first_ns = T0_NS + number * SIZE * 100_000_000
    column = Column(0, 12, first_ns, [100_000_000], little_endian(values))
    times = column.times_ns
    body = encode_columns(T0_NS, [column])
    seq = number * SIZE + 1 if boot else (number + 1) * 7_919_000_003
    return Append(
        name, boot, [Piece(seq, seq + SIZE - 1, times[0], times[-1], body, SIZE, SIZE, 0, 1, 1)]
    )


async def _child(url: str, order: dict[str, list[int]], seed: float) -> None:
    from server.logs import configure_logs

    configure_logs(level="error")
    clock, chance = SystemClock(), random.Random(seed)
    log = DeviceLog(url, clock=clock)
    boot = random.SystemRandom().randrange(1, 2**31)
    local = HotLog(url, device=LOCAL, boot=boot, clock=clock)
    await local.open()
    compactor = Compactor(url, clock)
    # However busy the machine, segments are made between two kills: of what was left by the first.
    await compactor.run_once(all_of_it=True)
    print("begun", flush=True)

    async def send(name: str, boot: int) -> None:
        for number in order[name]:
            await log.append(_append(name, boot, number))
            os.write(1, f"{name} {number}.\n".encode())

    async def link() -> None:
        seq = 1
        while True:
            now_ns = clock.now_ns()
            readings = [
                Reading(13, now_ns + index, float(seq + index), now_ns)
                for index in range(chance.randint(1, 20))
            ]
            await local.append(Batch.of(seq, readings))
            seq += len(readings)
            os.write(1, f"{boot} {seq - 1}.\n".encode())

    async def compact() -> None:
        while True:
            await compactor.run_once(all_of_it=True)
            await asyncio.sleep(chance.uniform(0, 0.05))

    work = [link(), compact(), *(send(name, boot) for name, boot in DEVICES for _ in range(1))]
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, DATABASE_ERRORS):
            raise result


def main() -> int:
    """Run as the child, or as the program."""
    if sys.argv[1:2] == ["child"]:
        asyncio.run(_child(sys.argv[2], **json.loads(sys.argv[3])))
        return 0
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    tally = kill_often(kills, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(
        f"{tally.kills} kills of the writer, {tally.postgres_kills} of PostgreSQL; "
        f"{tally.acknowledged} acknowledged, {tally.stored} stored, {tally.in_segments} of them "
        f"in segments, {tally.cycles} cycles; lost {tally.lost}, doubled {tally.doubled}"
    )
    return 1 if tally.lost or tally.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
