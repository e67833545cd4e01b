"""What is asked of the gateways, and what they stand on."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS, CODEC = "columns", "codec"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Vehicles and who looks at them.

    Attributes:
        vehicles: all of them.
        rate_hz: at which each signal is read.
        signals: of a vehicle.
        batch_s: a vehicle sends what it has so often.
        on_the_road: share of the vehicles that send at the busiest time.
        hours_a_day: that a vehicle sends, on average; what is stored depends on it.
        wire: "columns" (protobuf columns) or "codec" (packets of an edge logger).
        clients: of the live stream.
        client_vehicles: vehicles that one client looks at.
        raw_days: readings are kept so long.
    """

    vehicles: int
    rate_hz: float = 1.0
    signals: int = 20
    batch_s: float = 10.0
    on_the_road: float = 1.0
    hours_a_day: float = 24.0
    wire: str = COLUMNS
    clients: int = 0
    client_vehicles: int = 1
    raw_days: int = 30

    def __post_init__(self) -> None:
        positive = (self.vehicles, self.rate_hz, self.signals, self.batch_s, self.raw_days)
        if min(positive) <= 0 or not 0 < self.on_the_road <= 1 or not 0 < self.hours_a_day <= 24:
            raise ValueError(
                "expected vehicles, rate, signals, batch and days above 0, a share within 0 to 1 "
                f"and at most 24 hours a day, found {self}"
            )

    @property
    def sending(self) -> float:
        """Vehicles that send at the busiest time."""
        return self.vehicles * self.on_the_road

    @property
    def batch_samples(self) -> float:
        """Samples of one request."""
        return self.rate_hz * self.signals * self.batch_s

    @property
    def is_codec(self) -> bool:
        """Whether its vehicles are edge loggers, whose packets the gateway decodes."""
        return self.wire == CODEC


REFUSE_AFTER_S, ALWAYS_TAKEN = 5.0, 64
"""What gateways do: server/ingest/turns.py."""


@dataclass(frozen=True, slots=True)
class Site:
    """Machines and settings.

    Attributes:
        zones: that gateways are spread over; one of them may be gone at the busiest time.
        gateways: of a cell; None: as many as it needs.
        load: of each core, at most, while a zone is gone.
        compactor_load: of the core of `telerig compact`, at most: what is left is to catch up with.
        database_cores: of one PostgreSQL primary.
        log_mb_s: that its disk writes of write-ahead log, steadily.
        database_connections: `max_connections`.
        pool: `[database] pool_size`; a gateway has `OWN_CONNECTIONS` more.
        connections: `[http] connections` of a gateway.
        latest_s: `[store] latest_s`.
        refuse_after_s: a gateway refuses at once what would wait so long for its core; None: never.
        always_taken: requests under way that it takes all the same.
        replicas: streaming replicas of each primary, each with all of the data.
    """

    zones: int = 3
    gateways: int | None = None
    load: float = 0.6
    compactor_load: float = 0.6
    database_cores: int = 16
    log_mb_s: float = 200.0
    database_connections: int = 300
    pool: int = 5
    connections: int = 4000
    latest_s: float = 5.0
    refuse_after_s: float | None = REFUSE_AFTER_S
    always_taken: int = ALWAYS_TAKEN
    replicas: int = 1


OWN_CONNECTIONS = 8
"""Of a gateway beside its pool: device log, own links' log, compactor, leases, changes, feed; two
of a bus by NOTIFY. tests/deploy/test_pgbouncer.py counts them."""
