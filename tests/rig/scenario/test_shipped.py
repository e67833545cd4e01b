"""The scenarios that come with telerig: complete, distinct, and an hour of driving by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.faults import FAULT_KINDS
from rig.scenario import Scenario, build_drive, expand_scenario
from rig.scenario.fleet import FLEET

FOLDER = Path(__file__).parents[3] / "scenarios"
PATHS = sorted(FOLDER.glob("*.scenario.yaml"))
SCENARIOS = [scenario for path in PATHS for scenario in expand_scenario(path)]
BY_DEFAULT = [s for s in SCENARIOS if not {"long", "nightly"} & set(s.tags)]

EVERY_LINK = ("latency.p50", "latency.p95", "latency.p99", "rate", "coverage", "fidelity.max")
EVERY_RUN = ("readings.lost", "readings.doubled")
EVERY_FLEET = (  # its readings are counted by the fleet itself
    "acknowledged", "missing", "doubled", "order", "wrong", "waiting", "refused", "latency.p50",
)  # fmt: skip


def test_the_promised_scenarios_are_there() -> None:
    """One file each."""
    names = {path.name.removesuffix(".scenario.yaml") for path in PATHS}
    assert names >= {
        "idle",
        "cruise",
        "acceleration",
        "hard_driving",
        "cold_start",
        "tunnel",
        "slow_adapter",
        "lost_replies",
        "unplugged",
        "garbage",
        "paced_short",
        "wltc",
        "can_broadcast",
        "can_bus_off",
        "can_full_load",
        "can_gateway_load",
        "can_playback",
        "can_two_clients",
        "can_wrong_dbc",
    }


def test_an_hour_of_driving_is_judged_by_default() -> None:
    """In virtual time; the paced ones are short."""
    assert sum(s.duration_s for s in BY_DEFAULT if s.mode == "virtual") >= 3600.0
    assert all(s.duration_s <= 15.0 for s in BY_DEFAULT if s.mode == "paced")
    assert 0.0 < sum(s.duration_s for s in BY_DEFAULT if s.mode == "paced") <= 40.0


def test_ids_are_unique_and_each_file_has_its_own_seed() -> None:
    """No two tests of one name, no two files of one weather."""
    assert len({s.id for s in SCENARIOS}) == len(SCENARIOS)
    assert len({s.seed for s in SCENARIOS}) == len(PATHS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: str(s.id))
def test_each_judges_every_link_and_every_loss(scenario: Scenario) -> None:
    """Latency, age, rate, coverage, fidelity per link; loss; what stands in the log at the end."""
    names = {limit.name for limit in scenario.limits}
    assert {check.name for check in scenario.after} >= {"gateway.exit", "log.errors"}
    if scenario.needs == (FLEET,):
        assert names >= {f"{FLEET}.{name}" for name in EVERY_FLEET}
        return
    assert names >= set(EVERY_RUN)
    if scenario.mode == "paced":
        assert names >= {"gateway.cpu", "gateway.rss", "ingest.throughput"}
        return
    for link in scenario.needs:
        if any(limit.name == f"{link}.rate" and limit.equals == 0 for limit in scenario.limits):
            assert f"{link}.degraded" in names  # a link that reads nothing must say so
            continue
        assert names >= {f"{link}.{name}" for name in EVERY_LINK}
        assert any(name.startswith(f"{link}.age.") for name in names)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: str(s.id))
def test_each_makes_a_drive_of_its_windows(scenario: Scenario) -> None:
    """Limits and faults mean the same seconds as the car."""
    assert list(build_drive(scenario).windows) == list(scenario.windows)
    assert scenario.about


def test_the_faults_of_issue_two_strike_somewhere() -> None:
    """Lost, late, doubled, cut, garbage, silence, hang-up, tunnel."""
    used = {fault.kind for scenario in SCENARIOS for fault in scenario.faults}
    assert used <= set(FAULT_KINDS)
    assert used >= {
        "drop",
        "delay",
        "duplicate",
        "truncate",
        "corrupt",
        "garbage",
        "flood",
        "nul",
        "mute",
        "hang_up",
        "reset",
        "tunnel",
        "canyon",
    }
