"""Which signals, how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.can import signals
from server.can.database import load_messages
from server.can.plan import Plan, make_plan
from server.config_section import Section, Where
from server.errors import ConfigError
from tests.server.can.fakes import write_dbc

WHERE = Where(
    "gateway.toml",
    ("links", "can"),
    {("links", "can"): 3, ("links", "can", "signals", "EngineSpeed"): 9},
)


def plan(folder: Path, **keys: Any) -> Plan:
    """The plan of a link's table."""
    section = Section({"dbc": write_dbc(folder), **keys}, WHERE)
    return make_plan(section, load_messages(section), ("car.dbc",))


def rates(made: Plan) -> dict[str, tuple[float, bool]]:
    """Rate and whether on change, by name."""
    return {
        planned.entry.name: (planned.rate_hz, planned.on_change)
        for message in made.messages
        for planned in message.signals
    }


def test_all_at_10_hz_without_a_word(tmp_path: Path) -> None:
    """Every signal of the file."""
    assert rates(plan(tmp_path)) == dict.fromkeys(
        ("EngineSpeed", "OilTemp", "Gear", "VehicleSpeed"), (10.0, False)
    )


@pytest.mark.parametrize(
    ("value", "rate"), [(2.5, (2.5, False)), ("all", (0.0, False)), ("change", (0.0, True))]
)
def test_one_rate_for_all(tmp_path: Path, value: object, rate: tuple[float, bool]) -> None:
    """The key rate_hz."""
    assert set(rates(plan(tmp_path, rate_hz=value)).values()) == {rate}


def test_named_signals_alone(tmp_path: Path) -> None:
    """Messages without a wanted signal are left out, and with them their identifiers."""
    made = plan(tmp_path, signals={"EngineSpeed": 20, "Gear": "change"})
    assert rates(made) == {"EngineSpeed": (20.0, False), "Gear": (0.0, True)}
    assert [message.can_id for message in made.messages] == [291]
    assert made.messages[0].cycle_s == 0.1
    assert [entry.id for entry in made.signals] == sorted(entry.id for entry in made.signals)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"signals": {"EngineSped": 1}}, "did you mean EngineSpeed?"),
        ({"signals": {"xyz": 1}}, "(EngineSpeed, Gear, OilTemp, VehicleSpeed, …)"),
        ({"signals": {}}, "one signal or more"),
        ({"signals": {"EngineSpeed": 0}}, 'up to 10000), "all" or "change"'),
        ({"signals": {"EngineSpeed": "often"}}, "found string 'often'"),
        ({"signals": {"EngineSpeed": True}}, "found boolean true"),
        ({"signals": {"EngineSpeed": 1}, "rate_hz": 1}, "no such key beside signals"),
        ({"rate_hz": float("nan")}, "times a second"),
        ({"signals": 5}, "expected a table"),
    ],
)
def test_what_is_no_plan(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    """Each mistake says what is expected."""
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, **keys)
    assert said in str(caught.value)


def test_the_line_of_a_signal(tmp_path: Path) -> None:
    """The error stands where the signal is named."""
    with pytest.raises(ConfigError, match=r"^gateway.toml:9: .*links.can.signals.EngineSpeed"):
        plan(tmp_path, signals={"EngineSpeed": -1})


def test_a_shared_name_is_asked_back(tmp_path: Path) -> None:
    """Counter alone does not say which."""
    text = Path(write_dbc(tmp_path)).read_text(encoding="cp1252")
    text = text.replace("SG_ OilTemp", "SG_ Counter").replace("SG_ VehicleSpeed", "SG_ Counter")
    section = Section({"dbc": write_dbc(tmp_path, text), "signals": {"Counter": 1}}, WHERE)
    with pytest.raises(ConfigError, match=r"EngineData\.Counter or SpeedData\.Counter"):
        make_plan(section, load_messages(section), ())


def test_two_names_with_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused by name, and what to do is said."""
    monkeypatch.setattr(signals, "ID_RANGE", 1)
    with pytest.raises(ConfigError, match=r"choose among them.*both give 0x10000000"):
        plan(tmp_path)
    assert len(plan(tmp_path, signals={"Gear": 1}).signals) == 1
