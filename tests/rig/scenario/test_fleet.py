"""`world: {fleet: {…}}`: read with units, refused with line and words."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError
from rig.fleet.spec import FleetSpec
from rig.scenario import load_scenario
from rig.scenario.model import Scenario

TEXT = """\
rig: 1
needs: {needs}
world:
  fleet: {fleet}
phases:
  - {{idle: 20 s}}
faults:
  - {{at: 5 s, on: {on}, {fault}, for: 5 s}}
limits:
  {limit}
"""


def _load(folder: Path, **changes: str) -> Scenario:
    words = {
        "needs": "[fleet]",
        "fleet": "{vehicles: 2000, rate: 2 Hz, signals: 12, batch: 5 s, models: 3, lap: 2 min,"
        " latency: [10 ms, 90 ms], loss: 3 %, compare: 7}",
        "on": "fleet",
        "fault": "fleet_outage: 60 %",
        "limit": "fleet.missing: {equals: 0}",
    }
    path = folder / "a.scenario.yaml"
    path.write_text(TEXT.format(**{**words, **changes}), encoding="utf-8")
    return load_scenario(path)


def test_a_fleet_is_read(tmp_path: Path) -> None:
    """Every key has its unit, and the outage strikes a share."""
    scenario = _load(tmp_path)
    assert scenario.world.fleet == FleetSpec(
        vehicles=2000, rate_hz=2.0, signals=12, batch_s=5.0, models=3, lap_s=120.0,
        latency_s=(0.01, 0.09), loss=0.03, compare=7,
    )  # fmt: skip
    assert scenario.faults[0].number("share_pct") == 60.0


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"fleet": "{vehicels: 20}"}, 4, ["a key of 'fleet'", "did you mean 'vehicles'?"]),
        ({"fleet": "{vehicles: 200000}"}, 4, ["1 to 100000", "200000"]),
        ({"fleet": "{signals: 31}"}, 4, ["1 to 30", "31"]),
        ({"fleet": "{rate: 1 s}"}, 4, ["a rate such as", "'1 s'"]),
        ({"fleet": "{rate: 0.05 Hz}"}, 4, ["at least one row a batch"]),
        ({"fleet": "{lap: 5 s}"}, 4, ["at least a batch", "5 s"]),
        ({"needs": "[fleet, obd]"}, 2, ["'fleet' alone"]),
        ({"on": "obd"}, 8, ["a link that 'fleet_outage' can strike: fleet"]),
        ({"fault": "drop: 2 %"}, 8, ["a link that 'drop' can strike", "fleet"]),
        ({"limit": "obd.missing: {equals: 0}"}, 10, ["a measure of a link", "fleet"]),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, changes: dict[str, str], line: int, words: list[str]
) -> None:
    """One line: where, what was expected, what came."""
    with pytest.raises(RigError) as caught:
        _load(tmp_path, **changes)
    assert f":{line}:" in str(caught.value)
    for word in words:
        assert word in str(caught.value)
