"""Series, pages, windows and statistics."""

from __future__ import annotations

import math
import random
from array import array
from itertools import pairwise

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.history.errors as limits
from server.history.aggregate import aggregate
from server.history.decimation import Decimator, decimate
from server.history.errors import TooMuch
from server.history.pages import Place, Row, read_page
from server.history.reader import Wanted
from server.history.series import read_series
from server.history.statistics import read_statistics
from server.readings import Reading, State
from tests.server.history.stored import MS, RPM, SPEED, S, reading, seal, store

HOUR_NS = 3600 * S


def hour(seed: int = 1) -> list[Reading]:
    """Two signals for an hour, in steps, with a peak of one reading in each."""
    chance = random.Random(seed)
    made = []
    for number in range(3600):
        state = State.HELD if number % 50 == 7 else State.MEASURED
        value = 9999.0 if number == 1234 else float(chance.randrange(800, 4000))
        made.append(reading(RPM, number * S + chance.randrange(900) * MS, value, state))
        if number % 2:
            made.append(reading(SPEED, number * S, float(chance.randrange(200))))
    return made


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.floats(allow_infinity=False)), min_size=1, max_size=300
    ),
    st.integers(2, 40),
    st.integers(1, 7),
)
def test_decimation_keeps_the_peaks(points: list[tuple[int, float]], most: int, parts: int) -> None:
    """At most so many points, each one a reading, ascending, with the extremes among them, however
    the readings are parted."""
    points.sort(key=lambda point: point[0])
    times_ns = array("q", [time_ns for time_ns, _ in points])
    values = array("d", [value for _, value in points])
    decimator = Decimator(most, 0, 10_001)
    size = -(-len(points) // parts)
    for begin in range(0, len(points), size):
        decimator.add(times_ns[begin : begin + size], values[begin : begin + size])
    kept_ns, kept = decimator.result()
    assert len(kept_ns) == len(kept) <= most
    assert list(kept_ns) == sorted(kept_ns)
    readings = {point for point in points if not math.isnan(point[1])}
    assert set(zip(kept_ns, kept, strict=True)) <= readings
    if readings:
        assert min(kept) == min(value for _, value in readings)
        assert max(kept) == max(value for _, value in readings)
    once = decimate(times_ns, values, most, 0, 10_001)
    if len(points) > most:
        assert list(once[0]) == list(kept_ns)


async def test_series(connection: asyncpg.Connection, database_url: str) -> None:
    """A series has every reading, or few with the peaks at their instants; lost ones never."""
    made = [*hour(), reading(RPM, 3700 * S, 5e6, State.LOST)]
    await store(database_url, "car-1", 1, made, size=1000)
    await store(database_url, "car-2", 1, [reading(RPM, 5 * S, -1.0)])
    await seal(database_url)
    whole = await read_series(connection, Wanted("car-1"))
    assert [(s.signal, s.unit, s.count) for s in whole] == [
        ("RPM", "rpm", 3600),
        ("SPEED", "km/h", 1800),
    ]
    assert whole[0].values == [r.value for r in made if r.signal == RPM][:3600]
    few = await read_series(connection, Wanted("car-1", signals=frozenset({RPM})), 100)
    assert len(few[0].values) <= 100
    assert few[0].count == 3600
    peak = next(r for r in made if r.value == 9999.0)
    assert (peak.time_ns, 9999.0) in zip(few[0].times_ns, few[0].values, strict=True)
    assert min(few[0].values) == min(whole[0].values)
    spread = few[0].times_ns
    assert max(b - a for a, b in pairwise(spread)) < 2 * HOUR_NS / 50
    assert len((await read_series(connection, Wanted("car-1"), 5000))[0].values) == 3600


async def test_pages(connection: asyncpg.Connection, database_url: str) -> None:
    """Pages one after the other are all readings once, by time, wherever a page ends."""
    chance = random.Random(5)
    made = [
        reading(chance.choice((RPM, SPEED)), chance.randrange(40) * 50 * S, float(number))
        for number in range(300)
    ]
    await store(database_url, "car-1", 2, made[:150])
    await seal(database_url)
    await store(database_url, "car-1", 3, made[150:])
    await store(database_url, "car-2", 2, [reading(RPM, 0, -1.0)])

    async def pages(limit: int) -> list[Row]:
        rows: list[Row] = []
        after = None
        while True:
            page = await read_page(connection, Wanted("car-1"), limit=limit, after=after)
            assert len(page.readings) <= limit
            rows += page.readings
            if page.next is None:
                return rows
            after = Place.parse(page.next)
            assert after is not None

    rows = await pages(1000)
    assert sorted(row.value for row in rows) == [float(n) for n in range(300)]
    assert [(r.time_ns, r.signal, r.boot) for r in rows] == sorted(
        (r.time_ns, r.signal, r.boot) for r in rows
    )
    for limit in (3, 7, 299, 300):
        assert await pages(limit) == rows
    for offset in (0, 10, 155, 299, 300):
        page = await read_page(connection, Wanted("car-1"), limit=20, offset=offset)
        assert page.readings == rows[offset : offset + 20]


@given(st.text())
def test_any_text_is_a_place_or_none(text: str) -> None:
    """No text is an error."""
    assert isinstance(Place.parse(text), Place | None)
    assert Place.parse("1-2-3-4") == Place(1, 2, 3, 4)
    assert str(Place(1, 2, 3, 4)) == "1-2-3-4"


@pytest.mark.promise("T10")
@pytest.mark.promise("E33")
async def test_windows(connection: asyncpg.Connection, database_url: str) -> None:
    """Figures of windows are those of the readings in them, wherever these are stored."""
    made = hour(2)
    await store(database_url, "car-1", 1, made, size=1000)
    await store(database_url, "car-2", 1, [reading(RPM, 5 * S, 1e9)])
    alone = await aggregate(connection, Wanted("car-1", 60 * S, 1000 * S), 300 * S)
    await seal(database_url)
    assert await aggregate(connection, Wanted("car-1", 60 * S, 1000 * S), 300 * S) == alone
    for each in alone:
        start_ns = max(each.start_ns, 60 * S)
        end_ns = min(each.start_ns + 300 * S, 1000 * S)
        signal = RPM if each.signal == "RPM" else SPEED
        inside = [r for r in made if r.signal == signal and start_ns <= r.time_ns < end_ns]
        values = [r.value for r in inside if r.state is State.MEASURED]
        assert (each.count, each.held) == (len(values), len(inside) - len(values))
        assert (each.min, each.max) == (min(values), max(values))
        assert each.avg == pytest.approx(sum(values) / len(values))
    assert [each.start_ns // S for each in alone] == [0, 0, 300, 300, 600, 600, 900, 900]


async def test_statistics(connection: asyncpg.Connection, database_url: str) -> None:
    """Statistics from headers, edges and the hot log are those of the readings themselves."""
    made = hour(3)
    await store(database_url, "car-1", 1, made[:4000], size=1000)
    await store(database_url, "car-2", 1, [reading(RPM, 5 * S, 1e9)])
    questions = [
        Wanted("car-1"),
        Wanted("car-1", 100 * S, 2000 * S),
        Wanted("car-1", 100 * S, 3000 * S, frozenset({SPEED})),
        Wanted("car-1", boot=2),
    ]
    await seal(database_url)
    await store(database_url, "car-1", 2, made[4000:], size=1000)
    for wanted in questions:
        inside = [
            r
            for number, r in enumerate(made)
            if wanted.start_ns <= r.time_ns < wanted.end_ns
            and wanted.takes(r.signal)
            and (wanted.boot is None or number >= 4000)
        ]
        for each in await read_statistics(connection, wanted):
            of_signal = [r for r in inside if r.signal == each.id]
            values = [r.value for r in of_signal if r.state is State.MEASURED]
            assert (each.count, each.others) == (len(values), len(of_signal) - len(values))
            assert (each.min, each.max) == (min(values), max(values))
            assert each.avg == pytest.approx(sum(values) / len(values))
    assert await read_statistics(connection, Wanted("car-3")) == []


async def test_too_much(
    connection: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question over more than the limit is refused, not answered by halves."""
    await store(database_url, "car-1", 1, hour(), size=1000)
    monkeypatch.setattr(limits, "WINDOWS_LIMIT", 10)
    with pytest.raises(TooMuch, match="more than 10 windows"):
        await aggregate(connection, Wanted("car-1"), 60 * S)
    monkeypatch.setattr(limits, "READINGS_LIMIT", 1000)
    with pytest.raises(TooMuch, match="more than 1000 readings"):
        await read_series(connection, Wanted("car-1"), 50)


async def test_odd_numbers(connection: asyncpg.Connection, database_url: str) -> None:
    """What is no number is in no figure, and infinities and sums beyond float64 keep nothing from
    being compacted; before and after it all is the same."""
    odd = [math.nan, 5.0, math.inf, -math.inf, 1e308, 1e308, -3.0]
    made = [reading(RPM, n * S, value) for n, value in enumerate(odd)]
    made += [reading(SPEED, n * S, value) for n, value in enumerate((math.nan, 7.0, 1.0))]
    await store(database_url, "car-1", 1, made)

    async def figures() -> list[tuple[int, int, float | None, float | None]]:
        found = await read_statistics(connection, Wanted("car-1"))
        windows = await aggregate(connection, Wanted("car-1"), 300 * S)
        few = await read_series(connection, Wanted("car-1"), 4)
        assert [(w.count, w.min, w.max) for w in windows] == [
            (s.count, s.min, s.max) for s in found
        ]
        assert len(few) == 2
        return [(s.count, s.others, s.min, s.max) for s in found]

    before = await figures()
    assert before == [(6, 1, -math.inf, math.inf), (2, 1, 1.0, 7.0)]
    await seal(database_url)
    assert await figures() == before
