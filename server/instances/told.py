"""What is told of a turn: on the bus, and as many boots at a time read it from the hot log.

`server.store.turns` reads one boot; here one query reads what is missing of many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg
import msgspec

from server.instances.in_order import Key, Missing

ROWS = 1000
"""Rows of one boot that are read at a time; a commit has not more of them."""


class Told(msgspec.Struct, array_like=True, gc=False):
    """One turn.

    Attributes:
        device: whose.
        boot: of the device.
        turn: its number.
        stored_ns: instant of the commit, by the clock of the gateway that committed.
        vin: vehicle, where it is known.
        rows: number of the first reading, and the readings as the hot log has them; None: to be
            read from the database, as all turns before it that did not come.
        is_old: committed before anybody listened here; only for rules.
    """

    device: str
    boot: int
    turn: int
    stored_ns: int = 0
    vin: str = ""
    rows: Sequence[tuple[int, bytes]] | None = None
    is_old: bool = False

    @property
    def key(self) -> Key:
        """Device and boot."""
        return self.device, self.boot

    @property
    def size_bytes(self) -> int:
        """How long it is on the bus, about."""
        return len(self.device) + 64 + sum(len(row[1]) + 16 for row in self.rows or ())

    def reference(self) -> Told:
        """Give what says that it is there."""
        return Told(self.device, self.boot, self.turn)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Told]).decode


def packed(turns: Iterable[Told], limit_bytes: int, with_rows: bool) -> list[bytes]:
    """Give messages of at most so many bytes; what does not fit with its rows goes without."""
    messages: list[bytes] = []
    taken: list[Told] = []
    size_bytes = 8
    for turn in turns:
        told = turn if with_rows and turn.size_bytes + 8 <= limit_bytes else turn.reference()
        if size_bytes + told.size_bytes > limit_bytes and taken:
            messages.append(_encode(taken))
            taken, size_bytes = [], 8
        taken.append(told)
        size_bytes += told.size_bytes
    if taken:
        messages.append(_encode(taken))
    return messages


def unpacked(message: bytes) -> list[Told]:
    """Give the turns of a message.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _decode(message)


# Rows of a boot lie together by the primary key; the turn is looked at in passing.
_READ = """
    SELECT asked.device, asked.boot, found.turn, found.written_ns, found.seq_first, found.body,
           coalesce(sessions.vin, '') AS vin
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS asked(device, boot, after, upto, since_ns)
    CROSS JOIN LATERAL (
        SELECT turn, written_ns, seq_first, body, session_id FROM hot
        WHERE hot.device = asked.device AND hot.boot = asked.boot
          AND hot.turn > asked.after AND hot.turn <= asked.upto
          AND hot.written_ns >= asked.since_ns
        ORDER BY hot.turn, hot.seq_first LIMIT $6
    ) AS found
    LEFT JOIN sessions ON sessions.id = found.session_id
    ORDER BY asked.device, asked.boot, found.turn, found.seq_first
"""
# Nothing compacted: whatever is not there had no rows.
_OLDEST = """
    SELECT asked.device, asked.boot, CASE
        WHEN EXISTS (
            SELECT FROM stored_numbers stored
            WHERE stored.device = asked.device AND stored.boot = asked.boot
        ) OR asked.boot = 0 AND EXISTS (
            SELECT FROM stored_contents stored WHERE stored.device = asked.device
        )
        THEN (SELECT min(turn) FROM hot WHERE hot.device = asked.device AND hot.boot = asked.boot)
        ELSE 1
    END AS turn
    FROM unnest($1::text[], $2::bigint[]) AS asked(device, boot)
"""


class Answer(msgspec.Struct):
    """What the hot log has of a boot: turns by number, and up to which one was looked."""

    turns: dict[int, Told]
    upto: int


async def read_turns(
    connection: asyncpg.Connection, asked: Sequence[tuple[Missing, int]], rows: int = ROWS
) -> dict[Key, Answer]:
    """Read what is missing, all of it in one query.

    Args:
        connection: to the database.
        asked: what, and the earliest instant of a commit that is wanted of it.
        rows: of one boot at a time.
    """
    answers = {missing.key: Answer({}, missing.upto) for missing, _ in asked}
    found = await connection.fetch(
        _READ,
        [missing.device for missing, _ in asked],
        [missing.boot for missing, _ in asked],
        [missing.after for missing, _ in asked],
        [missing.upto for missing, _ in asked],
        [since_ns for _, since_ns in asked],
        rows,
    )
    counts: dict[Key, int] = {}
    for device, boot, number, stored_ns, seq_first, body, vin in found:
        key = device, boot
        counts[key] = counts.get(key, 0) + 1
        turns = answers[key].turns
        turn = turns.get(number)
        if turn is None:
            turn = turns[number] = Told(device, boot, number, stored_ns, vin, [])
        assert isinstance(turn.rows, list)
        turn.rows.append((seq_first, body))
    for key, count in counts.items():
        answer = answers[key]
        last = max(answer.turns)
        if count >= rows and len(answer.turns) > 1:
            # The last one may be cut: it is read again.
            del answer.turns[last]
            answer.upto = last - 1
        elif count >= rows:
            answer.upto = last
    return answers


async def oldest_turns(
    connection: asyncpg.Connection, keys: Sequence[Key]
) -> dict[Key, int | None]:
    """Give the oldest turn of each boot that the hot log has; None: it has none.

    A turn after it that the hot log does not have had no rows: it changed a state alone.
    """
    rows = await connection.fetch(_OLDEST, [key[0] for key in keys], [key[1] for key in keys])
    return {(device, boot): turn for device, boot, turn in rows}
