"""What a fleet is like, as values."""

from __future__ import annotations

from dataclasses import dataclass

from rig.errors import RigError
from sim.fleet.plan import SIGNALS

MOST_VEHICLES = 100_000
MOST_MODELS = 256
SLOWEST_HZ, FASTEST_HZ = 0.01, 20.0
UPLINK, COLUMNS = "uplink", "columns"
WIRES = (UPLINK, COLUMNS)


class FleetError(RigError):
    """A fleet that cannot be driven as asked."""

    usage = True


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """A fleet.

    Attributes:
        vehicles: how many.
        rate_hz: rows a second.
        signals: of a row.
        batch_s: how long a packet is filled.
        models: different drives.
        lap_s: how long a drive is; then a vehicle starts anew, with another boot.
        wire: what they send: edge loggers' uplinks, or protobuf columns.
        prefix: of the devices' ids.
        latency_s: shortest and longest time of one way between vehicles and gateway.
        loss: probability that a request gets lost, and the same for its answer.
        compare: vehicles whose values are compared one by one in the end.

    Raises:
        FleetError: such a fleet cannot be.
    """

    vehicles: int = 200
    rate_hz: float = 1.0
    signals: int = 20
    batch_s: float = 10.0
    models: int = 16
    lap_s: float = 600.0
    wire: str = UPLINK
    prefix: str = "fleet"
    latency_s: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0
    compare: int = 50

    def __post_init__(self) -> None:
        _check("vehicles", self.vehicles, 1, MOST_VEHICLES)
        _check("signals", self.signals, 1, len(SIGNALS))
        _check("models", self.models, 1, MOST_MODELS)
        _check("rate", self.rate_hz, SLOWEST_HZ, FASTEST_HZ)
        if self.wire not in WIRES:
            raise FleetError(f"wire: expected {' or '.join(WIRES)}, found {self.wire!r}")
        if self.rows_each < 1:
            raise FleetError(f"batch: expected at least one row a batch, found {self.batch_s:g} s")
        if self.lap_s < self.batch_s:
            raise FleetError(f"lap: expected at least a batch, found {self.lap_s:g} s")

    @property
    def rows_each(self) -> int:
        """Rows of a packet."""
        return round(self.batch_s * self.rate_hz)

    def device(self, number: int) -> str:
        """Return the id of a vehicle's device."""
        return f"{self.prefix}-{number:05d}"

    @property
    def devices(self) -> list[str]:
        """The ids of all devices."""
        return [self.device(number) for number in range(self.vehicles)]


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise FleetError(f"{name}: expected {least:g} to {most:g}, found {value:g}")
