"""The whole file: its keys, its matrix, and everything that can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rig.scenario import Scenario, ScenarioError, expand_scenario, load_scenario

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]
Write = Callable[[str], Path]

WHOLE = """\
rig: 1
name: all of it
about: Every key once.
needs: [gps, obd]
tags: [long, winter]
seed: 42
mode: virtual
world:
  vehicle: focus_st
  ambient: -5 C
  pressure: 950 hPa
  coolant: 20 °C
  start: 2026-01-02T03:04:05Z
  gps: {profile: mt3339, rate: 2 Hz, baud: 38400, cold_start: 10 s, sentences: [RMC, GGA]}
  obd: {profile: stn_fast, baud: 115200, ecu_latency: 5 ms, paced: false}
gateway:
  plan: {RPM: 5 Hz, SPEED: 30/min}
  flush: 0.2 s
  publish: 20 ms
  queue: 100
  reply_timeout: 2 s
  stale: 3 s
  fast: no
  protocol: 6
  config: {log: {level: debug}, pipeline: {flush_ms: 150}}
phases: [{idle: 30 s}, {off: 10 s}]
faults: [{in: idle, on: obd, mute: true}]
limits: {obd.rate: {min: 4/s}}
after: [gateway.exit == 0]
"""


def test_every_key_is_read(write: Write) -> None:
    """Values arrive in the unit that the field's name says."""
    scenario = load_scenario(write(WHOLE))
    assert (scenario.name, scenario.id, scenario.about) == ("all of it",) * 2 + ("Every key once.",)
    assert (scenario.needs, scenario.tags) == (("gps", "obd"), ("long", "winter"))
    assert (scenario.seed, scenario.mode, scenario.variant) == (42, "virtual", "")
    world = scenario.world
    assert (world.ambient_c, world.pressure_kpa, world.coolant_c) == (-5.0, 95.0, 20.0)
    assert world.epoch_ns == 1_767_323_045_000_000_000
    assert (world.gps.profile, world.gps.rate_hz, world.gps.baud) == ("mt3339", 2.0, 38400)
    assert (world.gps.cold_start_s, world.gps.sentences) == (10.0, ("RMC", "GGA"))
    assert (world.obd.profile, world.obd.baud, world.obd.paced) == ("stn_fast", 115200, False)
    assert world.obd.ecu_latency_s == (0.005, 0.005)
    gateway = scenario.gateway
    assert gateway.plan == {"RPM": 5.0, "SPEED": 0.5}
    assert (gateway.flush_ms, gateway.publish_ms, gateway.queue_readings) == (200.0, 20.0, 100)
    assert (gateway.reply_timeout_s, gateway.stale_s, gateway.fast) == (2.0, 3.0, False)
    assert gateway.protocol == "6"
    assert gateway.config == {"log": {"level": "debug"}, "pipeline": {"flush_ms": 150}}
    assert scenario.windows == (("idle", 0.0, 30.0), ("off", 30.0, 40.0))
    assert scenario.duration_s == 40.0
    assert [scenario.phase_at(t) for t in (0.0, 30.0, 40.0)] == ["idle", "off", None]
    assert (scenario.faults[0].kind, scenario.limits[0].min) == ("mute", 4.0)
    assert (scenario.after[0].name, scenario.after[0].equals) == ("gateway.exit", 0.0)


def test_a_short_file_has_the_documented_defaults(load: Load) -> None:
    """Name from the file, both links, seed 1, a plan that a genuine adapter can serve."""
    scenario = load()
    assert (scenario.name, scenario.needs, scenario.seed) == ("one", ("obd", "gps"), 1)
    assert (scenario.world.vehicle, scenario.world.coolant_c) == ("focus_st", None)
    assert scenario.world.epoch_ns == 1_777_622_400_000_000_000  # 2026-05-01T08:00:00Z
    assert 15.0 < sum(scenario.gateway.plan.values()) <= 20.0


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("worlds: {}\n", 5, ["a key of a scenario", "'worlds'", "did you mean 'world'?"]),
        ("world: {vehicel: focus_st}\n", 5, ["'vehicel'", "did you mean 'vehicle'?"]),
        ("world: {vehicle: focus_rs}\n", 5, ["a vehicle", "did you mean 'focus_st'?"]),
        ("world: {ambient: 20}\n", 5, ["without a unit", "°C"]),
        ("world: {ambient: 200 °C}\n", 5, ["at most 130 °C", "'200 °C'"]),
        ("world:\n  gps:\n    rate: 5 km/h\n", 7, ["Hz, /s", "with unit 'km/h'"]),
        ("world: {gps: {rate: 999 Hz}}\n", 5, ["at most", "'999 Hz'"]),
        ("world: {gps: {baud: 0}}\n", 5, ["at least 300 baud"]),
        ("world: {gps: {sentences: [RMC, XXX]}}\n", 5, ["a sentence type of ublox_m8", "'XXX'"]),
        ("world: {gps: {sentences: []}}\n", 5, ["at least one sentence type"]),
        ("world: {obd: {profile: elm327v15}}\n", 5, ["a profile", "did you mean 'elm327_v15'?"]),
        ("world: {obd: {ecu_latency: [20 ms, 8 ms]}}\n", 5, ["[shortest, longest]"]),
        ("world: {obd: {paced: maybe}}\n", 5, ["'paced': true or false", "'maybe'"]),
        ("world: {start: yesterday}\n", 5, ["an instant in UTC", "'yesterday'"]),
        ("world: {start: '2026-02-30T00:00:00Z'}\n", 5, ["an instant in UTC", "no date"]),
        ("world: {start: '1970-01-01T00:00:00Z'}\n", 5, ["a year from 1980 to 2099"]),
        ("world: {route: nowhere}\n", 5, ["a route", "'nowhere'"]),
        ("world: []\n", 5, ["'world'", "a list"]),
        ("gateway: {plan: {RMP: 5 Hz}}\n", 5, ["'RMP'", "did you mean 'RPM'?"]),
        ("gateway: {plan: {LAT: 5 Hz}}\n", 5, ["an OBD signal", "'LAT'"]),
        ("gateway: {plan: {RPM: 0 Hz}}\n", 5, ["more than 0"]),
        ("gateway: {plan: {}}\n", 5, ["at least one signal"]),
        ("gateway: {queue: many}\n", 5, ["'queue': a whole number from 1", "'many'"]),
        ("gateway: {queue: 99999999999999999999}\n", 5, ["'queue'"]),
        ("gateway: {protocol: Z}\n", 5, ["an OBD protocol"]),
        ("gateway: {config: 3}\n", 5, ["'config'"]),
        ("seed: -1\n", 5, ["'seed': a whole number from 0", "'-1'"]),
        ("mode: fast\n", 5, ["a mode", "'fast'"]),
        ("needs: [obd, gsp]\n", 5, ["a link, or a feature of a bench", "'gsp'"]),
        ("needs: []\n", 5, ["at least one link"]),
        ("tags: [two words]\n", 5, ["a tag", "'two words'"]),
        ("name: {a: b}\n", 5, ["a name", "a mapping"]),
        ("rig: 1\n", 5, ["each key once", "'rig' again", "first on line 1"]),
        ("? [a]\n: b\n", 5, ["a key that is a plain word"]),
        ("name: \x01\n", 5, ["printable text"]),
        ("name: [1\n", 6, ["YAML"]),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    refuse: Refuse, more: str, line: int, words: list[str]
) -> None:
    """One line: path, line, what was expected, what stands there, what to do."""
    error = refuse(more)
    text = str(error)
    assert "\n" not in text
    assert re.match(rf".*one\.scenario\.yaml:{line}: expected .*, found .*", text), text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("head", "limits", "words"),
    [
        ("phases: [{idle: 1 s}]\n", None, "'rig' in a scenario"),
        ("rig: 2\nphases: [{idle: 1 s}]\n", None, "format version 1"),
        ("rig: 1\n", None, "'phases' in a scenario"),
        ("rig: 1\nphases: [{idle: 1 s}]\n", "", "at least one entry under 'limits'"),
        ("rig: 1\nphases: [{idle: 1 s}]\n", "limits: {}\n", "at least one entry under 'limits'"),
        ("- 1\n", "", "a scenario"),
        ("", "", "a scenario"),
        ("rig: 1\n---\nrig: 1\n", "", "YAML"),
    ],
)
def test_a_file_without_what_is_needed_is_refused(
    refuse: Refuse, head: str, limits: str | None, words: str
) -> None:
    """A missing version, phase or limit is named."""
    error = refuse(head=head) if limits is None else refuse(head=head, limits=limits)
    assert words in error.expected


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """No traceback for a wrong path."""
    for path in (tmp_path / "none.scenario.yaml", tmp_path):
        with pytest.raises(ScenarioError, match="expected a readable scenario file"):
            load_scenario(path)


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    """Latin-1 is found where it begins."""
    path = tmp_path / "latin.scenario.yaml"
    path.write_bytes(b"rig: 1\nname: caf\xe9\n")
    with pytest.raises(ScenarioError, match=r":2: expected UTF-8 text, found the byte 0xe9"):
        load_scenario(path)


def test_brackets_without_end_are_refused(write: Write) -> None:
    """A deep nesting ends in one line, not in a RecursionError."""
    with pytest.raises(ScenarioError, match="nested too deep"):
        load_scenario(write("[" * 100_000))


def test_a_huge_file_is_refused(write: Write) -> None:
    """Nothing reads a gigabyte by mistake."""
    with pytest.raises(ScenarioError, match="at most 1000000 bytes"):
        load_scenario(write("#" * 1_000_001))


# -- matrix --------------------------------------------------------------------------------------
MATRIX = """\
rig: 1
name: m
matrix: {baud: [9600, 38400], rate: [1, 2]}
world: {obd: {baud: $baud}, gps: {rate: "${rate} Hz"}}
phases: [{idle: 1 s}]
limits: {readings.lost: {equals: 0}}
"""


def test_a_matrix_makes_a_scenario_of_each_combination(write: Write) -> None:
    """Each has its own id and values."""
    scenarios = expand_scenario(write(MATRIX))
    assert [s.id for s in scenarios] == [
        "m[baud=9600,rate=1]",
        "m[baud=9600,rate=2]",
        "m[baud=38400,rate=1]",
        "m[baud=38400,rate=2]",
    ]
    assert [s.world.obd.baud for s in scenarios] == [9600, 9600, 38400, 38400]
    assert [s.world.gps.rate_hz for s in scenarios] == [1.0, 2.0, 1.0, 2.0]
    assert scenarios[1].matrix == {"baud": "9600", "rate": "2"}


def test_one_variant_is_loaded_by_its_name(write: Write) -> None:
    """And a file with variants needs one."""
    path = write(MATRIX)
    assert load_scenario(path, "baud=38400,rate=2").world.obd.baud == 38400
    with pytest.raises(ScenarioError, match=r"one of its variants: baud=9600,rate=1.*found none"):
        load_scenario(path)


def test_a_variant_of_a_file_without_a_matrix_is_refused(write: Write) -> None:
    """The message says that there is none."""
    with pytest.raises(ScenarioError, match="no variant"):
        load_scenario(write(WHOLE), "baud=1")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("name: $bud\nmatrix: {baud: [1]}\n", ["a variable that `matrix:` declares", "'$bud'"]),
        ("name: $baud\n", ["matrix: {baud:"]),
        ("matrix: {baud: [1, 2]}\n", ["'$baud' somewhere in the file", "no use of it"]),
        ("matrix: {baud: []}\nname: $baud\n", ["at least one value"]),
        ("matrix: {baud: [1, 1]}\nname: $baud\n", ["each once"]),
        ("matrix: {baud: 5}\nname: $baud\n", ["a list of values"]),
        ("matrix: {a-b: [5]}\n", ["without '-'"]),
        ("matrix: {a: &x [1,2,3,4,5,6,7,8,9,0], b: *x, c: *x, d: *x}\n", ["1000 combinations"]),
    ],
)
def test_a_wrong_matrix_is_refused(refuse: Refuse, more: str, words: list[str]) -> None:
    """Unknown and unused variables are typing mistakes."""
    for word in words:
        assert word in str(refuse(more))


# -- anything ------------------------------------------------------------------------------------
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes_give_a_scenario_error(tmp_path: Path, data: bytes) -> None:
    """No bytes raise anything else."""
    path = tmp_path / "random.scenario.yaml"
    path.write_bytes(data)
    with pytest.raises(ScenarioError):
        expand_scenario(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_a_damaged_scenario_loads_or_gives_a_scenario_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Cut a piece out of a good file, or put one in: no other exception comes."""
    start = data.draw(st.integers(0, len(WHOLE)))
    length = data.draw(st.integers(0, 20))
    more = data.draw(st.text("{}[]:,-&*!|>'\"%@`$ \n\tabc019.~", max_size=8))
    path = tmp_path / "damaged.scenario.yaml"
    path.write_text(WHOLE[:start] + more + WHOLE[start + length :], encoding="utf-8")
    message = ""
    try:
        expand_scenario(path)
    except ScenarioError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{config: {log: {levle: debug}}}", "a key that log has (did you mean 'level'?)"),
        ("{config: {links: {obd: {port: 5}}}}", "links.obd.port"),
        ("{config: {log: {level: null}}}", "values that TOML can hold"),
        ("{flush: 2 min}", "pipeline.flush_ms"),
    ],
)
def test_what_the_gateway_would_refuse_is_refused_with_the_files_line(
    refuse: Callable[..., ScenarioError], section: str, words: str
) -> None:
    """The gateway judges its configuration before anything runs, not in a run's log."""
    error = refuse(f"gateway: {section}\n")
    assert words in str(error)
    assert "one.scenario.yaml:5:" in str(error)


def test_a_baud_rate_below_the_gateways_is_refused(
    refuse: Callable[..., ScenarioError],
) -> None:
    """The gateway opens no adapter below 1200 baud."""
    assert "at least 1200" in str(refuse("world: {obd: {baud: 300}}\n"))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ("{database: {url: x}}", "database.url"),
        ("{http: {port: 1}}", "http.port"),
        ("{links: {gps: {port: /dev/null}}}", "links.gps.port"),
        ("{links: {obd: {baud: 9600}}}", "links.obd.baud"),
    ],
)
def test_what_the_rig_sets_is_refused(tmp_path: Path, config: str, key: str) -> None:
    """`config` may not move the gateway away from the run's ports, database and API."""
    path = tmp_path / "one.scenario.yaml"
    path.write_text(
        f"rig: 1\nname: x\nphases: [{{idle: 10 s}}]\ngateway:\n  config: {config}\n"
        "limits: {readings.lost: {equals: 0}}\n"
    )
    with pytest.raises(ScenarioError, match=rf":5: expected no '{key}' in 'config'"):
        load_scenario(path)
