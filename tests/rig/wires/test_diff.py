"""What counts as a difference between two gateways, and golden files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.wires.diff import Diff, ToleranceError, diff, read_rules
from rig.wires.kept import GoldenError, Kept, Series, read_golden, write_golden

S = 1_000_000_000
MS = 1_000_000


def series(values: Sequence[float | None], signal: str = "RPM", shift_ns: int = 0) -> Series:
    """One value each 200 ms."""
    rows = tuple(Kept(n * 200 * MS + shift_ns, value, 0) for n, value in enumerate(values))
    wraps = 360.0 if signal == "GPS_HEADING" else None
    return Series("car-1", signal, "obd", "rpm", 0.25, wraps, rows)


def compare(a: Series, b: Series, *tolerances: str, ignore: Sequence[str] = ()) -> Diff:
    return diff([a], [b], read_rules(tolerances, ignore))


def counts(result: Diff) -> tuple[int, int, int, int]:
    one = result.signals[0]
    return one.missing, one.extra, one.values, one.instants


def test_the_same_is_equal() -> None:
    """Nothing differs."""
    assert compare(series([1, 2, 3]), series([1, 2, 3])).equal


def test_a_lost_reading_is_missing_and_no_other_moves() -> None:
    """The ones behind it are still compared with their own."""
    values = [float(n) for n in range(10)]
    kept = series(values)
    lost = Series(*_parts(kept), kept.rows[:4] + kept.rows[5:])
    assert counts(compare(kept, lost)) == (1, 0, 0, 0)
    assert counts(compare(lost, kept)) == (0, 1, 0, 0)


def _parts(one: Series) -> tuple[str, str, str, str, float, float | None]:
    return one.device, one.signal, one.link, one.unit, one.resolution, one.wraps


@pytest.mark.parametrize(
    ("tolerance", "equal"),
    [
        ("RPM=1step", False),
        ("RPM=2steps", True),
        ("RPM=0.5", True),
        ("R*=1%", True),
        ("X=9", False),
    ],
)
def test_tolerances_of_values(tolerance: str, equal: bool) -> None:
    """In steps, in the unit, in percent of the reference, by name or pattern."""
    assert compare(series([50.0]), series([50.5]), tolerance).equal is equal


def test_a_tolerance_of_instants() -> None:
    """20 ms late is a difference unless it is allowed; the values are still compared."""
    a, b = series([1, 2, 3]), series([1, 2, 3], shift_ns=20 * MS)
    assert counts(compare(a, b)) == (0, 0, 0, 3)
    assert compare(a, b, "time=20ms").equal
    assert compare(a, b).signals[0].worst_instant_s == 0.02


def test_a_wrong_clock_is_no_loss() -> None:
    """Two hours late: every instant differs, and no value."""
    a, b = series([1, 2, 3]), series([1, 2, 3], shift_ns=7200 * S)
    assert counts(compare(a, b)) == (0, 0, 0, 3)


def test_a_heading_wraps() -> None:
    """359.9 and 0.1 are 0.2 degrees apart."""
    a, b = series([359.9], "GPS_HEADING"), series([0.1], "GPS_HEADING")
    assert compare(a, b, "GPS_HEADING=0.25").equal


def test_no_value_equals_no_value_alone() -> None:
    """What was lost is another thing than any number."""
    assert compare(series([None]), series([None])).equal
    assert counts(compare(series([None]), series([0.0]))) == (0, 0, 1, 0)


@pytest.mark.parametrize("ignore", ["RPM", "R*", "link:obd", "device:car-*"])
def test_what_is_ignored_plays_no_part(ignore: str) -> None:
    """By signal, pattern, link and device."""
    result = compare(series([1]), series([2]), ignore=[ignore])
    assert result.equal
    assert result.ignored == ["RPM"]


def test_a_state_differs_unless_it_is_ignored() -> None:
    """A prediction that is shown as measured is a difference."""
    a = series([1])
    b = Series(*_parts(a), (Kept(0, 1, 2),))
    assert compare(a, b).signals[0].states == 1
    assert compare(a, b, ignore=["state"]).equal


def test_a_signal_that_is_new_or_gone() -> None:
    """All its readings are extra, or missing; the first differences stand in order of time."""
    result = diff([series([1, 2])], [series([3], "SPEED")], read_rules([]))
    by_name = {one.signal: one for one in result.signals}
    assert by_name["RPM"].missing == 2
    assert by_name["SPEED"].extra == 1
    assert [d.time_s for d in result.first()] == [0.0, 0.0, 0.2]


def test_what_lies_outside_plays_no_part() -> None:
    """The start of a gateway takes another time in wall time."""
    a, b = series([1, 2, 3]), series([9, 2, 3])
    assert diff([a], [b], read_rules([], [], from_s=0.1)).equal


@pytest.mark.parametrize("word", ["RPM", "RPM=", "RPM=two", "=1", "time=5", "RPM=-1"])
def test_a_wrong_tolerance_is_named(word: str) -> None:
    """The message says what was expected and what came."""
    with pytest.raises(ToleranceError, match="expected SIGNAL=AMOUNT"):
        read_rules([word])


rows = st.lists(
    st.tuples(
        st.integers(-(10**12), 10**13),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.integers(0, 3),
    ),
    max_size=30,
)


@given(rows=rows, packed=st.booleans())
def test_a_golden_file_gives_back_what_was_written(
    rows: list[tuple[int, float | None, int]],
    packed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """To the nanosecond and the last bit, packed or not."""
    path = tmp_path_factory.mktemp("golden") / ("g.gz" if packed else "g")
    kept = tuple(Kept(*row) for row in rows)
    written = [Series("car-1", "ALT", "gps", "m", 0.1, None, kept)]
    write_golden(path, written, "a test")
    assert read_golden(path) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: expected '# telerig golden 1'"),
        ("# telerig golden 1\n1 2\n", ":2: expected '> DEVICE"),
        ("# telerig golden 1\n> a b c d 1\n0.5 x\n", ":3: expected"),
        ("# telerig golden 1\n> a b\n", ":2: expected"),
    ],
)
def test_a_damaged_golden_file_is_named_with_its_line(
    text: str, words: str, tmp_path: Path
) -> None:
    """And --update is what helps."""
    path = tmp_path / "golden"
    path.write_text(text)
    with pytest.raises(GoldenError, match=words):
        read_golden(path)
