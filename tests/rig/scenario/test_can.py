"""The sections `world: {can: …}`, `world: {obd: {over: can}}` and `gateway: {can: …}`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.can.database import BROUGHT
from rig.scenario import MissingExtraError, Scenario, ScenarioError
from rig.scenario.load import EXTRA_PACKAGES
from rig.scenario.model import CanDoorSpec, CanPlaySpec
from sim.broadcast import DBC_PATH

pytest.importorskip("cantools", reason="the package cantools is not installed")

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]

NEEDS = "needs: [can]\n"
LOG = "(1700000000.000000) can0 090#0000C20161A30000\n"
WHOLE = """\
needs: [can, obd]
world:
  can:
    door: slcan
    profile: lawicel_canusb
    baud: 1000000
    broadcast: true
    load: 60 %
    play: {file: drive.log, offset: 2 s, loop: true, only: [0x090, 144000]}
    auto_recovery: 250 ms
  obd: {over: can, door: socketcand, ecu_latency: 5 ms}
gateway:
  can:
    dbc: [focus_st]
    signals: {EngineSpeed: 20 Hz, VehicleSpeed: all, CurrentGear: change}
    queue: 500
    timestamps: true
"""


@pytest.fixture(autouse=True)
def log(tmp_path: Path) -> Path:
    """A log of one frame beside the scenario."""
    path = tmp_path / "drive.log"
    path.write_text(LOG, encoding="ascii")
    return path


def test_every_key_is_read(load: Load, log: Path) -> None:
    """In the units of the fields' names."""
    scenario = load(WHOLE)
    can, plan, obd = scenario.world.can, scenario.gateway.can, scenario.world.obd
    assert can.link == CanDoorSpec("slcan", "lawicel_canusb", 1_000_000)
    assert (can.broadcast, can.load_pct, can.auto_recovery_s) == (True, 60.0, 0.25)
    assert can.play == CanPlaySpec(log, 2.0, loop=True, only=(0x90, 144000))
    assert (plan.dbc, plan.queue_frames, plan.timestamps) == (("focus_st",), 500, True)
    assert plan.signals == {"EngineSpeed": 20.0, "VehicleSpeed": "all", "CurrentGear": "change"}
    assert (obd.can, obd.ecu_latency_s) == (CanDoorSpec("socketcand"), (0.005, 0.005))


def test_a_log_takes_the_place_of_the_cars_own_traffic(load: Load) -> None:
    """Unless both are asked for."""
    played = load(NEEDS + "world: {can: {play: drive.log}}\n").world.can
    both = load(NEEDS + "world: {can: {play: drive.log, broadcast: true}}\n").world.can
    assert (played.broadcast, both.broadcast) == (False, True)


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("world:\n  can: {dor: slcan}\n", 7, "did you mean 'door'?"),
        ("world:\n  can: {door: usb}\n", 7, "known: slcan, socketcand"),
        ("world:\n  can: {profile: canable}\n", 7, "only a door of kind slcan"),
        ("world:\n  can: {door: slcan, profile: canabel}\n", 7, "did you mean 'canable'?"),
        ("world:\n  can: {load: 101 %}\n", 7, "at most 100 %"),
        ("world:\n  can: {load: 50}\n", 7, "without a unit"),
        ("world:\n  can: {play: there.asc}\n", 7, "no such file: 'there.asc'"),
        ("world:\n  can: {play: one.scenario.yaml}\n", 7, "a log of CAN frames that can be read"),
        ("world:\n  can: {play: {file: drive.log, only: [abc]}}\n", 7, "such as 0x090"),
        ("world:\n  can: {play: {file: drive.log, only: [0x20000000]}}\n", 7, "11 or 29 bits"),
        ("world:\n  can: {play: {file: drive.log, only: [1], except: [2]}}\n", 7, "not both"),
        ("world:\n  obd: {over: can, paced: false}\n", 7, "no 'paced' here"),
        ("world:\n  obd: {door: slcan}\n", 7, "over: can"),
        ("gateway:\n  can: {dbc: focus}\n", 7, "did you mean 'focus_st'?"),
        ("gateway:\n  can: {dbc: drive.log}\n", 7, "drive.log"),
        ("gateway:\n  can: {signals: {EngineSped: 1 Hz}}\n", 7, "did you mean 'EngineSpeed'?"),
        ("gateway:\n  can: {signals: {EngineSpeed: often}}\n", 7, "a rate such as"),
        ("gateway:\n  can: {signals: {}}\n", 7, "no signal"),
        ("gateway:\n  config: {links: {can: {bitrate: 1}}}\n", 7, "the rig sets it"),
        (
            "faults:\n  - {at: idle, on: can, garbage: 9 B/s, for: 1 s}\n",
            7,
            "a fault that can strike the bus over TCP",
        ),
    ],
)
def test_mistakes_are_refused_with_their_line(
    refuse: Refuse, more: str, line: int, words: Any
) -> None:
    """What was expected, what stands there, and where."""
    error = refuse(NEEDS + more)
    assert error.line == line
    assert words in str(error)


def test_an_adapter_shows_nothing_of_the_bus(refuse: Refuse) -> None:
    """A fault of the bus on an OBD link with an ELM327 could take hold of nothing."""
    error = refuse("needs: [obd]\nfaults:\n  - {at: idle, on: obd, can_error: 1 %, for: 1 s}\n")
    assert "over: can" in str(error)


def test_what_is_not_installed_is_said_with_what_installs_it(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything runs."""
    monkeypatch.setitem(EXTRA_PACKAGES, "can", ("cantools_is_not_here",))
    error = refuse(NEEDS)
    assert isinstance(error, MissingExtraError)
    assert "pip install 'telerig[can]'" in str(error)


def test_the_world_brings_its_own_dbc() -> None:
    """By the name that scenarios use."""
    assert list(BROUGHT) == [Path(DBC_PATH).stem]
