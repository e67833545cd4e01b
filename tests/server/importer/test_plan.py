"""What is made of the files of older systems."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import by_name
from server.importer.errors import ImportRefused
from server.importer.instants import instant_ns
from server.importer.plan import Plan, make_plan, parse_rules, read_table
from server.importer.tables import Kind, open_file, tables_of
from server.importer.words import conversion, meaning_of, unit_of
from tests.server.importer.files import START_S, make, s0, s1, s3


def plan_of(
    path: Path,
    device: str | None = "car-1",
    rules: tuple[str, ...] = (),
    tables: tuple[str, ...] = (),
) -> Plan:
    """The plan of a file."""
    with closing(open_file(path)) as connection:
        return make_plan(connection, tables_of(connection), parse_rules(rules), device, tables)


def becomes(plan: Plan) -> dict[str, int]:
    """The signal of each channel; 0: none."""
    return {str(mapped.channel): mapped.signal for mapped in plan.channels.values()}


def test_s0(tmp_path: Path) -> None:
    """Rows of PIDs and values; the session's name and times; °F becomes °C."""
    plan = plan_of(s0(tmp_path / "s0.db"))
    kinds = {table.name: table.kind for table in plan.tables}
    assert kinds == {
        "alerts": Kind.OTHER,
        "data_points": Kind.LONG,
        "sessions": Kind.SESSIONS,
    }
    assert becomes(plan) == {name: by_name(name).id for name in ("RPM", "COOLANT_TEMP", "BOOST")}
    coolant = next(m for m in plan.channels.values() if m.channel.name == "COOLANT_TEMP")
    assert coolant.value(212) == pytest.approx(100)
    (span,) = plan.spans.values()
    assert (span.name, span.device, span.readings) == ("Track day", "car-1", 180)
    assert span.first_ns == START_S * 10**9
    assert not plan.unknown


def test_s1(tmp_path: Path) -> None:
    """Source and channel decide together; texts are no readings; snapshots are left alone where
    the readings are there, and can be chosen."""
    path = s1(tmp_path / "s1.db")
    plan = plan_of(path)
    assert plan.chosen == ["signals"]
    assert becomes(plan) == {
        "obd.speed": by_name("SPEED").id,
        "gps.speed": by_name("GPS_SPEED").id,
        "gps.latitude": by_name("LAT").id,
        "gps.longitude": by_name("LON").id,
        "obd.dtc": 0,
        "custom.cup_holder": 0,
    }
    gps_speed = next(m for m in plan.channels.values() if str(m.channel) == "gps.speed")
    assert gps_speed.value(10) == 36
    assert [str(m.channel) for m in plan.unknown] == ["custom.cup_holder"]
    (span,) = plan.spans.values()
    assert (span.name, span.driver, span.car_id) == ("Commute", "Ada", "st")
    assert not plan_of(path, rules=("cup_holder=-",)).unknown
    mapped = becomes(plan_of(path, rules=("custom.cup_holder=OIL_TEMP:F",)))
    assert mapped["custom.cup_holder"] == by_name("OIL_TEMP").id
    frames = plan_of(path, tables=("frames",))
    assert becomes(frames) == {"obd.speed": by_name("SPEED").id}


def test_s3(tmp_path: Path) -> None:
    """Objects of each instant; devices by their outward names, made safe."""
    plan = plan_of(s3(tmp_path / "s3.db"), device=None)
    assert {span.device for span in plan.spans.values()} == {"esp-1", "esp-2"}
    assert becomes(plan) == {
        "temperature": by_name("ENV_TEMPERATURE").id,
        "humidity": by_name("ENV_HUMIDITY").id,
        "online": 0,
    }
    assert not plan.unknown


def test_columns_that_are_signals(tmp_path: Path) -> None:
    """A wide table is read by its columns; a unit may be in a column's name."""
    path = make(
        tmp_path / "wide.db",
        "CREATE TABLE log (id INTEGER, time_ms INTEGER, rpm REAL, speed_mph REAL, wishes REAL)",
        {"log": [(i, (START_S + i) * 1000, 800.0, 10.0, 1.0) for i in range(3)]},
    )
    plan = plan_of(path)
    assert becomes(plan) == {"rpm": 12, "speed_mph": 13, "wishes": 0}
    speed = next(m for m in plan.channels.values() if m.signal == 13)
    assert speed.value(10) == pytest.approx(16.09344)


def test_what_cannot_be_imported_is_told(tmp_path: Path) -> None:
    """No file, no SQLite, no readings, no device, wrong rules: each with a reason."""
    text = tmp_path / "notes.db"
    text.write_text("no database at all, but long enough to look like something" * 30)
    for path in (tmp_path / "missing.db", text):
        with pytest.raises(ImportRefused, match="SQLite file"):
            open_file(path)
    empty = make(tmp_path / "empty.db", "CREATE TABLE cats (name TEXT)", {"cats": [("Tom",)]})
    with pytest.raises(ImportRefused, match="a table with readings"):
        plan_of(empty)
    with pytest.raises(ImportRefused, match="--device"):
        plan_of(s0(tmp_path / "s0.db"), device=None)
    for rule in ("RPM", "=RPM", "x=", "x=RPMM"):
        with pytest.raises(ImportRefused, match="--map"):
            parse_rules([rule])
    with pytest.raises(ImportRefused, match="data_points"):
        plan_of(tmp_path / "s0.db", tables=("alerts",))


@pytest.mark.parametrize(
    ("word", "source", "name"),
    [
        ("rpm", "", "RPM"),
        ("Engine RPM", "", "RPM"),
        ("010C", "", "RPM"),
        ("0x0d", "", "SPEED"),
        (13, "", "SPEED"),
        ("speed", "obd", "SPEED"),
        ("gps.speed", "", "GPS_SPEED"),
        ("Vehicle.Speed", "", "SPEED"),
        ("coolant_temp_c", "", "COOLANT_TEMP"),
        ("happiness", "", None),
        ("", "", None),
    ],
)
def test_words(word: object, source: str, name: str | None) -> None:
    """Words of older systems stand for signals."""
    meaning = meaning_of(word, source)
    assert (meaning.signal.name if meaning is not None else None) == name


def test_units() -> None:
    """Units are changed into the catalogue's; without a way there is none."""
    assert conversion("", by_name("RPM")) == (1, 0)
    assert conversion("MPH", by_name("SPEED")) == (1.609344, 0)
    assert conversion("°F", by_name("OIL_TEMP")) == (5 / 9, -160 / 9)
    assert conversion("furlong", by_name("SPEED")) is None
    assert unit_of("Celsius") == "°C"


def test_instants() -> None:
    """Numbers of any unit, and texts with and without a zone."""
    for value in (
        START_S,
        float(START_S),
        START_S * 1000,
        START_S * 10**6,
        START_S * 10**9,
        str(START_S),
        "2026-01-02T03:04:05Z",
        "2026-01-02 03:04:05",
        "2026-01-02T04:04:05+01:00",
    ):
        assert instant_ns(value) == START_S * 10**9, value
    for wrong in (None, True, "soon", 5, 1e30, "1969-01-01", "0001-01-01T00:00:00+14:00", b"x"):
        assert instant_ns(wrong) is None, wrong


@given(st.one_of(st.text(), st.floats(), st.integers(), st.binary(), st.none()))
def test_any_value_is_an_instant_or_none(value: object) -> None:
    """Nothing that a database can hold makes it fail."""
    found = instant_ns(value)
    assert found is None or found > 0


def test_tables_without_row_numbers(tmp_path: Path) -> None:
    """Rows of such a table come in the order of its key, at each import the same."""
    path = make(
        tmp_path / "keyed.db",
        "CREATE TABLE points (value REAL, ts INTEGER, pid TEXT, PRIMARY KEY (pid, ts))"
        " WITHOUT ROWID;",
        {"points": [(2.0, START_S + 1, "RPM"), (1.0, START_S, "RPM"), (3.0, START_S, "MAF")]},
    )
    with closing(open_file(path)) as connection:
        (table,) = tables_of(connection)
        assert table.order == ("pid", "ts")
        found = [reading.value for reading in read_table(connection, table, {}, "car-1")]
    assert found == [3.0, 1.0, 2.0]


def test_nested_nonsense_and_no_readings(tmp_path: Path) -> None:
    """An object that is too deep is none; a file without readings is told with what it has."""
    deep = [(START_S, "[" * 100_000)]
    path = make(tmp_path / "deep.db", "CREATE TABLE readings (ts REAL, payload TEXT);", {
        "readings": deep,
    })  # fmt: skip
    with pytest.raises(ImportRefused, match=r"found readings \(other, 1 rows: no names"):
        plan_of(path)


def test_columns_of_numbers_in_words_and_of_late_ones(tmp_path: Path) -> None:
    """SQLite's columns have any type: numbers as texts count; so does what came after many rows."""
    rows: list[tuple[object, ...]] = [
        (START_S + i, str(i), "48.1", "dry road", None if i < 300 else 90 + i % 2)
        for i in range(320)
    ]
    path = make(
        tmp_path / "wide.db",
        "CREATE TABLE telemetry (timestamp, speed, lat, note, coolant_temp)",
        {"telemetry": rows},
    )
    plan = plan_of(path)
    assert becomes(plan) == {
        "speed": by_name("SPEED").id,
        "lat": by_name("LAT").id,
        "coolant_temp": by_name("COOLANT_TEMP").id,
    }
    assert {str(m.channel): m.readings for m in plan.channels.values()} == {
        "speed": 320,
        "lat": 320,
        "coolant_temp": 20,
    }
