"""Scenario files: what they say, and where they are wrong."""

from rig.scenario.drive import build_drive, recorded_course, recorded_positions
from rig.scenario.errors import MissingExtraError, ScenarioError
from rig.scenario.load import expand_scenario, load_scenario
from rig.scenario.model import (
    DEFAULT_PLAN_HZ,
    GatewaySpec,
    GpsSpec,
    ObdSpec,
    PhaseSpec,
    Scenario,
    WorldSpec,
)

__all__ = [
    "DEFAULT_PLAN_HZ",
    "GatewaySpec",
    "GpsSpec",
    "MissingExtraError",
    "ObdSpec",
    "PhaseSpec",
    "Scenario",
    "ScenarioError",
    "WorldSpec",
    "build_drive",
    "expand_scenario",
    "load_scenario",
    "recorded_course",
    "recorded_positions",
]
