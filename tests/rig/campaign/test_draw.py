"""What a run is: the seed and the number decide, and nothing else."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from rig.campaign.document import scenario_of, span_s, text_of
from rig.campaign.draw import based_on, draw
from rig.campaign.errors import CampaignUsageError
from rig.campaign.invariants import REST, settle_s
from rig.faults.draw import drawable_kinds
from rig.scenario import expand_scenario

NUMBERS = range(1, 81)


def test_a_run_is_its_number() -> None:
    """The same number is the same file, another one another file, another seed another one, too."""
    first = text_of(draw(1, 7))
    assert text_of(draw(1, 7)) == first
    assert len({first, text_of(draw(1, 8)), text_of(draw(2, 7))}) == 3


def test_every_drawn_run_is_a_scenario() -> None:
    """Each has 60 s, three faults that end before it settles, and limits; most have OBD and GPS."""
    needs: Counter[str] = Counter()
    struck: set[tuple[str, str]] = set()
    for number in NUMBERS:
        document = draw(3, number)
        scenario = scenario_of(document)
        assert scenario.duration_s >= 60
        assert len(scenario.faults) >= 3
        rest = next(start for name, start, _ in scenario.windows if name == REST)
        quiet_s = rest - settle_s(scenario.needs)
        assert max(end for fault in scenario.faults for _, end in fault.windows) <= quiet_s + 1e-6
        assert {"readings.unpublished", "gateway.exit"} <= {
            limit.name for limit in (*scenario.limits, *scenario.after)
        }
        needs.update(scenario.needs)
        struck |= {(fault.kind, fault.link) for fault in scenario.faults}
    assert set(needs) == {"obd", "gps", "can", "esp32", "mesh"}
    assert needs["obd"] > len(NUMBERS) / 2 < needs["gps"]
    usual = set(drawable_kinds(("obd", "gps")))
    assert len(struck & usual) > len(usual) * 0.7


def test_faults_meet() -> None:
    """In many runs a fault strikes while another one lasts: there the mistakes are."""
    meetings = 0
    for number in NUMBERS:
        spans = sorted(map(span_s, draw(3, number)["faults"]))
        meetings += any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))
    assert meetings > len(NUMBERS) / 4


def test_a_base_keeps_its_car_and_its_drive(tmp_path: Path) -> None:
    """World, gateway and phases are the base's, with the values of its matrix; faults are drawn."""
    path = tmp_path / "slow.scenario.yaml"
    path.write_text(
        "rig: 1\nname: slow\nmatrix: {profile: [bluetooth, clone_v21]}\n"
        "world: {obd: {profile: $profile, baud: 38400}}\ngateway: {plan: {RPM: 1 Hz}}\n"
        "phases: [{idle: 20 s}, {cycle: us06, from: 30 s, for: 40 s}]\n"
        "limits: {readings.lost: {equals: 0}}\n",
        encoding="utf-8",
    )
    profiles = set()
    for number in range(8):
        scenario = scenario_of(draw(1, number, [path]))
        profiles.add(scenario.world.obd.profile)
        assert scenario.gateway.plan == {"RPM": 1.0}
        assert [phase.kind for phase in scenario.phases[:2]] == ["idle", "cycle"]
        assert scenario.phases[1].from_s == 30.0
        assert len(scenario.faults) >= 3
    assert profiles == {"bluetooth", "clone_v21"}


def test_a_base_may_lie_anywhere(tmp_path: Path) -> None:
    """A file that the base names relative to itself is found by the drawn scenario, too."""
    (tmp_path / "drive.csv").write_text("time,speed\n0,0\n60,50\n", encoding="utf-8")
    path = tmp_path / "own.scenario.yaml"
    path.write_text(
        "rig: 1\nneeds: [gps]\nphases: [{drive: drive.csv, for: 50 s}]\n"
        "limits: {readings.lost: {equals: 0}}\n",
        encoding="utf-8",
    )
    expand_scenario(path)
    assert scenario_of(draw(1, 1, [path])).phases[0].path == tmp_path / "drive.csv"


def test_a_base_without_a_length_is_refused(tmp_path: Path) -> None:
    """A whole cycle has no `for`: the time of the faults could not be told."""
    path = tmp_path / "whole.scenario.yaml"
    path.write_text(
        "rig: 1\nneeds: [gps]\nphases: [{cycle: us06}]\nlimits: {readings.lost: {equals: 0}}\n",
        encoding="utf-8",
    )
    with pytest.raises(CampaignUsageError, match=r"whole\.scenario\.yaml: expected .* `for:`"):
        based_on(path, random.Random(1))
