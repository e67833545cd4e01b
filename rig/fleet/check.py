"""What gateways have answered for against what the database has.

By numbers, for every vehicle: which packets are there, once, committed in their order. By values,
for some of them: every reading as the model said it, at the instant that the time base gives it.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg

from rig.fleet.record import Record
from server.history.reader import Wanted, columns
from server.ingest.limits import PACKET_READINGS
from server.store.connection import connect
from sim.fleet.vehicle import Vehicle

COMPARED = 50
"""Vehicles whose values are compared, where the caller does not say."""
SHOWN = 10

_HOT = """
    SELECT device, boot, seq_first, seq_last FROM hot
    WHERE device = ANY($1::text[]) AND cycle > (SELECT compacted FROM hot_progress)
    ORDER BY device, boot, turn, seq_first
"""
_NUMBERS = """
    SELECT device, boot, lower(part), upper(part) FROM (
        SELECT device, boot, unnest(numbers) AS part FROM stored_numbers
        WHERE device = ANY($1::text[])
    ) AS parts
"""
_SAMPLES = """
    SELECT device, boot, sum(samples)::bigint FROM segments
    WHERE device = ANY($1::text[]) GROUP BY device, boot
"""
Boot = tuple[str, int]


@dataclass(slots=True)
class Checked:
    """What was found; readings, but for `packets` and `compared`.

    Attributes:
        packets: that were acknowledged.
        acknowledged: readings of them.
        stored: readings in the database.
        missing: acknowledged and not stored.
        doubled: stored more than once.
        out_of_order: packets that were committed after a later one of their boot.
        compared: vehicles whose values were looked at.
        wrong: readings of those that the model did not say, or with another value.
        examples: the first of what is wrong, in words.
    """

    packets: int = 0
    acknowledged: int = 0
    stored: int = 0
    missing: int = 0
    doubled: int = 0
    out_of_order: int = 0
    compared: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost, doubled, out of order or wrong."""
        return not (self.missing or self.doubled or self.out_of_order or self.wrong)

    def note(self, text: str) -> None:
        """Keep an example."""
        if len(self.examples) < SHOWN:
            self.examples.append(text)


async def check_fleet(
    database_url: str,
    vehicles: Sequence[Vehicle],
    record: Record,
    *,
    compare: int = COMPARED,
    seed: int = 1,
) -> Checked:
    """Compare a record with a database in which nothing is written any more.

    Args:
        database_url: where gateways have stored.
        vehicles: that drove.
        record: what they were answered.
        compare: how many of them are compared value by value.
        seed: of which.
    """
    found = Checked(packets=len(record))
    acknowledged = acknowledged_packets(vehicles, record)
    connection = await connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await _by_numbers(connection, vehicles, acknowledged, found)
            chosen = random.Random(seed).sample(vehicles, min(compare, len(vehicles)))
            for vehicle in sorted(chosen, key=lambda one: one.number):
                await _by_values(connection, vehicle, acknowledged, found)
    finally:
        await connection.close()
    return found


def acknowledged_packets(vehicles: Sequence[Vehicle], record: Record) -> dict[Boot, dict[int, int]]:
    """Return of each (device, boot) the acknowledged packets, with how often each was."""
    by_boot: dict[Boot, dict[int, int]] = defaultdict(dict)
    for number, lap, seq, _ in record:
        vehicle = vehicles[number]
        packets = by_boot[vehicle.device, vehicle.boot(lap)]
        packets[seq] = packets.get(seq, 0) + 1
    return by_boot


class _Stored:
    """What the database has of one boot, by packet."""

    __slots__ = ("in_hot", "in_segments", "order", "samples")

    def __init__(self) -> None:
        self.in_hot: Counter[int] = Counter()  # packet -> readings
        self.in_segments: set[int] = set()
        self.order: list[int] = []  # of commits still in the hot log
        self.samples = 0  # readings in segments


async def _by_numbers(
    connection: asyncpg.Connection,
    vehicles: Sequence[Vehicle],
    acknowledged: dict[Boot, dict[int, int]],
    found: Checked,
) -> None:
    stored = await _stored(connection, vehicles)
    each = {vehicle.device: vehicle.model.readings_each for vehicle in vehicles}
    for boot, parts in stored.items():
        if boot[0] not in each:
            continue
        size = each[boot[0]]
        found.stored += parts.samples + parts.in_hot.total()
        # What a boot has in segments beyond its packets there, or in both places, is there twice.
        surplus = parts.samples - size * len(parts.in_segments)
        surplus += sum(count - size for count in parts.in_hot.values() if count > size)
        surplus += size * len(parts.in_segments & parts.in_hot.keys())
        if surplus > 0:
            found.doubled += surplus
            found.note(f"{boot[0]} boot {boot[1]}: {surplus} readings more than its packets have")
        late = _late(parts.order)
        found.out_of_order += len(late)
        for seq in late[:1]:
            found.note(f"{boot[0]} boot {boot[1]}: packet {seq} was committed after a later one")
    nothing = _Stored()
    for boot, packets in acknowledged.items():
        size = each[boot[0]]
        found.acknowledged += size * len(packets)
        parts = stored.get(boot, nothing)
        for seq in packets:
            if seq in parts.in_segments or parts.in_hot[seq] >= size:
                continue
            found.missing += size - parts.in_hot[seq]
            found.note(f"{boot[0]} boot {boot[1]}: packet {seq} was acknowledged and is not stored")


def _late(order: Iterable[int]) -> list[int]:
    newest, late = -1, []
    for seq in order:
        if seq < newest:
            late.append(seq)
        newest = max(newest, seq)
    return late


async def _stored(
    connection: asyncpg.Connection, vehicles: Sequence[Vehicle]
) -> dict[Boot, _Stored]:
    devices = [vehicle.device for vehicle in vehicles]
    stored: dict[Boot, _Stored] = defaultdict(_Stored)
    async for device, boot, first, last in connection.cursor(_HOT, devices, prefetch=10_000):
        part = stored[device, boot]
        for seq, readings in _packets(first, last + 1):
            part.in_hot[seq] += readings
            part.order.append(seq)
    async for device, boot, first, end in connection.cursor(_NUMBERS, devices, prefetch=10_000):
        stored[device, boot].in_segments.update(seq for seq, _ in _packets(first, end))
    for device, boot, samples in await connection.fetch(_SAMPLES, devices):
        stored[device, boot].samples = samples
    return stored


def _packets(first: int, end: int) -> Iterable[tuple[int, int]]:
    """Give the packets of a range of numbers, each with how many readings; see `piece_of`."""
    while first < end:
        seq = (first - 1) // PACKET_READINGS
        stop = min(end, (seq + 1) * PACKET_READINGS + 1)
        yield seq, stop - first
        first = stop


async def _by_values(
    connection: asyncpg.Connection,
    vehicle: Vehicle,
    acknowledged: dict[Boot, dict[int, int]],
    found: Checked,
) -> None:
    """Compare every reading of a vehicle, also what was committed and not answered for."""
    found.compared += 1
    model = vehicle.model
    period_ms = model.profile.period_ms
    laps = {vehicle.boot(lap): lap for lap in range(vehicle.laps)}
    plans = {signal.id: signal for signal in model.profile.signals}
    seen: Counter[tuple[int, int, int]] = Counter()  # (boot, signal, row)
    async for column in columns(connection, Wanted(vehicle.device)):
        lap, plan = laps.get(column.boot), plans.get(column.signal)
        if lap is None or plan is None:
            found.wrong += len(column.times_ns)
            found.note(f"{vehicle.device} boot {column.boot}: signal {column.signal} is invented")
            continue
        said = model.values(column.signal)
        bound = plan.bound * plan.scale_num / plan.scale_den
        base_ms = vehicle.base_ms(lap)
        for time_ns, value in zip(column.times_ns, column.values, strict=True):
            row, rest = divmod(time_ns // 1_000_000 - base_ms, period_ms)
            key = column.boot, column.signal, row
            seen[key] += 1
            if rest or not 0 <= row < len(said) or abs(said[row] - value) > bound + 1e-9:
                found.wrong += 1
                true = f"{said[row]:g}" if 0 <= row < len(said) else "nothing"
                found.note(
                    f"{vehicle.device} boot {column.boot} signal {column.signal} row {row}: "
                    f"expected {true}, found {value:g}"
                )
            elif seen[key] > 1:
                found.wrong += 1
                found.note(f"{vehicle.device} boot {column.boot}: {key[1]} row {row} stands twice")
    for boot in laps:
        for seq in acknowledged.get((vehicle.device, boot), ()):
            rows = range(seq * model.rows_each, (seq + 1) * model.rows_each)
            gone = [(s, row) for s in plans for row in rows if (boot, s, row) not in seen]
            if gone:
                found.wrong += len(gone)
                found.note(f"{vehicle.device} boot {boot} packet {seq}: {len(gone)} values missing")
