"""Uploads of the Torque app, as it sends them (requests recorded by econpy/torque)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import SHORT_NAMES
from server.dialects.gathered import Gathered
from server.dialects.torque import read_torque

NOW_NS = 1_767_323_045_000_000_000
PHONE = "eml=ada@example.org&v=8&session=1459259898185&id=8a10dcdc03a8b509d9ff1dc42b855a4e"
READINGS = (
    f"{PHONE}&time=1459262521424&kff1005=-121.29660134&kff1006=38.56904161&kff1001=0.0&kff1007=0.0"
    "&kff1264=334.903&k47=12.156863&kff1223=-0.017298773&k46=9.0&k33=100.0&k44=1.0&k5=91.0"
    "&k4=32.941177&kc=892.0&k32=-648.0&kff125d=2.3504798&k2f=41.960785&k6=0.0&kff1010=-7.0"
    "&kff123b=0.0&kff1006=38.56904161&kff1005=-121.29660134&kff123a=12.0&kb=42.0&kd=0.0"
    "&kff1202=-8.412189&k42=14.36&kff1238=13.0"
)


def rows(gathered: Gathered) -> dict[str, float]:
    """The good readings by name."""
    batch = gathered.batch(NOW_NS, 1)
    if batch is None:
        return {}
    from server.store.body import floats

    return {SHORT_NAMES[column.signal]: floats(column.values)[0] for column in batch.good.columns}


def read(query: str) -> Gathered:
    """What a query holds."""
    return read_torque(parse_qsl(query, keep_blank_values=True), NOW_NS)


def reasons(gathered: Gathered) -> Iterable[str]:
    """Why something was left out."""
    return sorted(gathered.problems.by_reason)


def test_a_recorded_request() -> None:
    """PIDs and the app's own keys become signals in our units; what has no signal is counted."""
    gathered = read(READINGS)
    found = rows(gathered)
    assert found["LAT"] == 38.56904161
    assert found["LON"] == -121.29660134
    assert (found["RPM"], found["SPEED"], found["COOLANT_TEMP"]) == (892, 0, 91)
    assert found["BOOST"] == -8.412189
    assert found["FUEL_RATE"] == 2.3504798
    assert found["ALT"] == -7
    assert len(found) == 21
    assert list(reasons(gathered)) == ["unknown signal"]
    assert gathered.problems.count == 4  # ff1007, ff1264, ff1223, ff1238


def test_notices_profiles_and_units_hold_no_readings() -> None:
    """What the app tells beside readings is taken in silence."""
    for query in (
        f"{PHONE}&time=1459259898221&notice=Trip%20started&noticeClass=org.prowl.torque.TripNotice",
        f"{PHONE}&time=1459259898454&profileName=ManVan&profileFuelType=2&profileWeight=635.029",
        f"{PHONE}&time=1&defaultUnitff1001=km%20h&defaultUnit0c=rpm&defaultUnit05=%C2%B0C"
        "&defaultUnit47=%20&userUnitff1001=mph&userFullName0c=Revs&userShortName0c=Revs",
    ):
        gathered = read(query)
        assert gathered.batch(NOW_NS, 1) is None
        assert not gathered.problems.count, query


def test_another_unit_is_noticed() -> None:
    """A phone whose values are not in the unit that they are taken for shows in the quarantine."""
    assert list(reasons(read(f"{PHONE}&defaultUnitff1001=mph"))) == ["unit"]


def test_nonsense_is_left_out() -> None:
    """Infinity, texts, unknown parameters, values out of range, no time: counted, and the rest
    is kept."""
    gathered = read(f"{PHONE}&time=1459262521424&kc=Infinity&kd=abc&k5=9999&k4=50&drop=table&kzz=1")
    assert rows(gathered) == {"ENGINE_LOAD": 50}
    assert list(reasons(gathered)) == ["not a number", "unknown field", "value"]
    assert gathered.problems.count == 5
    assert list(reasons(read(f"{PHONE}&time=soon&kc=1"))) == ["time"]
    gathered = read(f"{PHONE}&time=1459262521424&kff1005=0.0&kff1006=0.0&kd=5")
    assert rows(gathered) == {"SPEED": 5}
    assert list(reasons(gathered)) == ["no fix"]
    future = read(f"{PHONE}&time={NOW_NS // 1_000_000 + 7_200_000}&kc=1")
    assert rows(future) == {}
    assert list(reasons(future)) == ["future"]


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=20))
def test_whatever_comes_is_answered(parameters: list[tuple[str, str]]) -> None:
    """No parameter makes it fail: a phone would send the same for ever."""
    read_torque([("time", "1459262521424"), *parameters], NOW_NS).batch(NOW_NS, 1)
