"""docs/scenarios.md cannot go stale: every key, kind, unit and measure stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rig.faults import FAULT_KINDS
from rig.measures.names import MEASURE_NAMES
from rig.quantity import DIMENSIONS
from rig.scenario import expand_scenario
from rig.scenario.can import (
    CAN_DOORS,
    CAN_KEYS,
    CAN_PLAN_KEYS,
    MODES_OF_SIGNALS,
    PLAY_KEYS,
)
from rig.scenario.esp32 import BOARD_GPS_KEYS, ESP32_KEYS, SEGMENTS, TRANSPORTS, WIFI_KEYS
from rig.scenario.faults import FAULT_KEYS
from rig.scenario.fleet import FLEET_KEYS
from rig.scenario.gateway import GATEWAY_KEYS, STORE_KEYS
from rig.scenario.limits import LIMIT_KEYS
from rig.scenario.load import SCENARIO_KEYS
from rig.scenario.mesh import (
    MESH_KEYS,
    MESH_PLAN_KEYS,
    MESH_ROLES,
    MESH_TRANSPORTS,
    NODE_KEYS,
)
from rig.scenario.phases import PHASE_KINDS
from rig.scenario.world import GPS_KEYS, OBD_KEYS, OBD_OVER, WORLD_KEYS
from rig.scenario.world_names import (
    adapter_profiles,
    can_databases,
    can_profiles,
    mesh_presets,
    receiver_profiles,
    vehicle_names,
)

PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")
ROWS = {
    match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)`.*\|$", PAGE, flags=re.MULTILINE)
}

KEYS = {
    *SCENARIO_KEYS,
    *WORLD_KEYS,
    *GPS_KEYS,
    *OBD_KEYS,
    *ESP32_KEYS,
    *FLEET_KEYS,
    *BOARD_GPS_KEYS,
    *WIFI_KEYS,
    *MESH_KEYS,
    *NODE_KEYS,
    *MESH_PLAN_KEYS,
    *MESH_TRANSPORTS,
    *MESH_ROLES,
    *CAN_KEYS,
    *CAN_DOORS,
    *CAN_PLAN_KEYS,
    *MODES_OF_SIGNALS,
    *PLAY_KEYS,
    *OBD_OVER,
    *can_profiles(),
    *can_databases(),
    *mesh_presets(),
    *TRANSPORTS,
    *SEGMENTS,
    *GATEWAY_KEYS,
    *STORE_KEYS,
    *FAULT_KEYS,
    *LIMIT_KEYS,
    *(unit for dimension in DIMENSIONS for unit in dimension.factors),
    *adapter_profiles(),
    *receiver_profiles(),
    *vehicle_names(),
}


@pytest.mark.parametrize("word", sorted(KEYS))
def test_every_word_of_the_format_is_in_the_reference(word: str) -> None:
    """In backquotes, as a word of its own."""
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("word", sorted(PHASE_KINDS))
def test_every_kind_of_phase_has_a_row(word: str) -> None:
    """With an example that begins with it."""
    assert any(row.startswith(f"{{{word}: ") for row in ROWS)


@pytest.mark.parametrize("word", sorted(FAULT_KINDS))
def test_every_kind_of_fault_has_a_row_with_its_links_and_parameters(word: str) -> None:
    """The row names what can be set and where it strikes."""
    kind = FAULT_KINDS[word]
    row = ROWS[word]
    assert f"| {', '.join(kind.links)} |" in row
    for parameter in kind.parameters:
        assert f"`{parameter.word}`" in row


@pytest.mark.parametrize("entry", MEASURE_NAMES, ids=lambda entry: entry.pattern)
def test_every_measure_has_a_row_with_its_unit_and_definition(entry: object) -> None:
    """Word for word as in the registry."""
    measure = next(e for e in MEASURE_NAMES if e is entry)
    cells = [cell.strip() for cell in ROWS[measure.pattern].strip("|").split("|")]
    assert cells[1] == measure.unit
    assert cells[2].removesuffix("; paced only") == measure.about
    assert cells[2].endswith("; paced only") == measure.paced_only


def test_the_example_of_the_reference_loads(tmp_path: Path) -> None:
    """The first file that a reader copies is right."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "example.scenario.yaml"
    path.write_text(text, encoding="utf-8")
    (scenario,) = expand_scenario(path)
    assert scenario.faults[0].at_s == 90.0
