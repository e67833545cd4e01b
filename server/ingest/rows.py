"""Decoded rows of a codec packet -> a piece of the store."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise

from server.catalogue import CATALOGUE, Signal
from server.ingest.batch import PLAIN_FIELD_BYTES, PLAIN_RECORD_BYTES, Checker
from server.ingest.limits import AHEAD_NS, PACKET_READINGS, YEAR_2000_NS
from server.ingest.problems import Problems
from server.ingest.uplink_state import TimeBase
from server.readings import State
from server.store.appends import Piece
from server.store.body import Column, encode_columns, little_endian
from server.wire.codec.decoder import BadPacket, Decoded
from server.wire.codec.packet import Header
from server.wire.codec.profile import Profile, SignalPlan

NUMBERS = PACKET_READINGS
"""Numbers that each packet has for its readings: seq * NUMBERS + 1 and following."""

_SIGNALS: dict[int, Signal] = {signal.id: signal for signal in CATALOGUE}
_GREATEST_SCALE = 2**53


class ProfileMisfit(ValueError):  # noqa: N818 (named for what it is)
    """A profile that this gateway cannot take; `where` is the field."""

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found


def check_profile(profile: Profile) -> None:
    """Refuse a profile with unknown signals, or numbers that no sensor has.

    Raises:
        ProfileMisfit: names the field.
    """
    seen: set[int] = set()
    for number, plan in enumerate(profile.signals):
        where = f"hello.profile.signals[{number}]"
        if plan.id not in _SIGNALS:
            raise ProfileMisfit(f"{where}.id", "an id of /api/v1/signals", str(plan.id))
        if plan.id in seen:
            raise ProfileMisfit(f"{where}.id", "each signal once", f"{plan.id} again")
        seen.add(plan.id)
        numbers = (plan.scale_num, plan.scale_den, abs(plan.offset_num), plan.offset_den)
        if max(numbers) > _GREATEST_SCALE:
            raise ProfileMisfit(f"{where}.scale", f"at most {_GREATEST_SCALE}", str(max(numbers)))


def check_size(packet: bytes, profile: Profile) -> int:
    """Give the readings that a packet claims to have, about, before it is decoded.

    Raises:
        BadPacket: more than can be numbered. A few bytes can stand for millions of rows that are
            "as predicted".
    """
    rows = Header(packet).rows
    readings = math.ceil(rows * sum(1 / plan.divider for plan in profile.signals))
    if readings > PACKET_READINGS:
        raise BadPacket(f"at most {PACKET_READINGS} readings expected, found {rows} rows")
    return readings


def piece_of(
    decoded: Decoded,
    packet_bytes: int,
    profile: Profile,
    base: TimeBase,
    now_ns: int,
    problems: Problems,
) -> Piece | None:
    """Give the readings of a packet; None where all are missing or refused.

    Values out of their signal's range are refused one by one, like those of plain readings.
    """
    columns, records = _columns(decoded, profile, base)
    checker = Checker(now_ns, problems)
    place = 0
    for column, plan in columns:
        column.place = place
        place += column.size
        where = f"packets[{decoded.seq}].{_SIGNALS[plan.id].name}"
        checker.column(column, _SIGNALS[plan.id], where)
    good = checker.good
    if not good.columns:
        return None
    first = decoded.seq * NUMBERS + 1
    return Piece(
        first,
        first + place - 1,
        good.time_min_ns,
        good.time_max_ns,
        encode_columns(now_ns, good.columns),
        good.readings,
        decoded.transmitted,
        decoded.suppressed,
        PLAIN_RECORD_BYTES * records + PLAIN_FIELD_BYTES * good.readings,
        packet_bytes,
    )


def impossible_time(decoded: Decoded, profile: Profile, base: TimeBase, now_ns: int) -> str:
    """Say why the rows cannot have been taken when the device says; empty where they can."""
    first_ns = base.time_ns(decoded.first_row, profile.period_ms)
    last_ns = base.time_ns(decoded.first_row + len(decoded.rows) - 1, profile.period_ms)
    if first_ns < YEAR_2000_NS:
        return f"row {decoded.first_row}: expected an instant after 1999, found {first_ns} ns"
    if last_ns > now_ns + AHEAD_NS:
        ahead_s = (last_ns - now_ns) / 1e9
        return f"rows up to one hour ahead of the gateway's clock expected, found {ahead_s:.0f} s"
    return ""


def _columns(
    decoded: Decoded, profile: Profile, base: TimeBase
) -> tuple[list[tuple[Column, SignalPlan]], int]:
    """Turn rows into columns; give them, and how many rows have any reading."""
    values: list[list[int]] = [[] for _ in profile.signals]
    rows: list[list[int]] = [[] for _ in profile.signals]
    records = 0
    for row, steps in enumerate(decoded.rows, decoded.first_row):
        before = records
        for index, step in zip(profile.due(row), steps, strict=True):
            if step is not None:
                values[index].append(step)
                rows[index].append(row)
                records = before + 1
    period_ns = profile.period_ms * 1_000_000
    columns = []
    for plan, taken, found in zip(profile.signals, rows, values, strict=True):
        if not taken:
            continue
        gaps = [later - sooner for sooner, later in pairwise(taken)]
        if gaps and min(gaps) == max(gaps):
            del gaps[1:]
        column = Column(
            0,
            plan.id,
            base.time_ns(taken[0], profile.period_ms),
            [gap * period_ns for gap in gaps],
            little_endian(array("d", [plan.value(step) for step in found])),
            State.BOUNDED if plan.bound else State.MEASURED,
        )
        columns.append((column, plan))
    return columns, records
