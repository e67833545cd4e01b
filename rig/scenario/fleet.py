"""The `world: {fleet: {…}}` section: light vehicles, by the thousand."""

from __future__ import annotations

from rig.fleet.spec import (
    FASTEST_HZ,
    MOST_MODELS,
    MOST_VEHICLES,
    SLOWEST_HZ,
    WIRES,
    FleetError,
    FleetSpec,
)
from rig.quantity import DURATION, PERCENTAGE, RATE
from rig.scenario.document import Node, Table
from rig.scenario.esp32 import latency_range_s
from sim.fleet.plan import SIGNALS

FLEET = "fleet"
FLEET_KEYS = (
    "vehicles", "rate", "signals", "batch", "models", "lap", "latency", "loss", "compare", "wire"
)  # fmt: skip
MAXIMUM_BATCH_S = 600.0
MAXIMUM_LAP_S = 86_400.0


def read_fleet(node: Node | None) -> FleetSpec:
    """Return the fleet that the section describes; what it leaves out has its default."""
    default = FleetSpec(models=8)
    if node is None or node.is_null:
        return default
    table = node.as_table("'fleet'", FLEET_KEYS)
    latency, wire = table.get("latency"), table.get("wire")
    try:
        return FleetSpec(
            vehicles=_whole(table, "vehicles", default.vehicles, MOST_VEHICLES),
            rate_hz=table.quantity(
                "rate", RATE, default.rate_hz, minimum=SLOWEST_HZ, maximum=FASTEST_HZ
            ),
            signals=_whole(table, "signals", default.signals, len(SIGNALS)),
            batch_s=table.quantity(
                "batch", DURATION, default.batch_s, above=0.0, maximum=MAXIMUM_BATCH_S
            ),
            models=_whole(table, "models", default.models, MOST_MODELS),
            lap_s=table.quantity("lap", DURATION, default.lap_s, above=0.0, maximum=MAXIMUM_LAP_S),
            latency_s=default.latency_s if latency is None else latency_range_s(latency),
            loss=table.quantity("loss", PERCENTAGE, 0.0, minimum=0.0, maximum=90.0) / 100.0,
            wire=default.wire if wire is None else wire.as_word(WIRES, "a wire"),
            compare=_whole(table, "compare", default.compare, MOST_VEHICLES),
        )
    except FleetError as error:
        raise node.error("a fleet that can be", str(error)) from error


def _whole(table: Table, key: str, default: int, most: int) -> int:
    node = table.get(key)
    return default if node is None else node.as_integer(f"'{key}'", 1, most)
