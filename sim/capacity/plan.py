"""From a fleet to sizes: demand, cells, gateways, what each is busy with, and the limit that binds.

A *cell* is one PostgreSQL primary with its replicas, the gateways on it and a bus: what
`docs/scale.md` deploys. All that is in a cell is bounded by one of `Plan.limits`; a fleet that is
larger than the smallest of them needs several cells, which know nothing of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.capacity.figures import Figures
from sim.capacity.fleet import OWN_CONNECTIONS, Fleet, Site
from sim.capacity.queueing import commit_wait_s, group_rows, wait_s

SHARDS = 64
TICKS_PER_S = 50
"""Of the bus: `[instances] live_ms` of 20."""
DAY_S = 86_400
MB, GB = 1e6, 1e9
PAGES = 2
"""Room that PostgreSQL needs besides: write-ahead log kept, the hot log, what VACUUM has not freed
yet. Arithmetic: 2 times the hot log of a quarter of an hour, and `max_wal_size`."""
MAX_WAL_BYTES = 8e9
HOT_S = 900


@dataclass(frozen=True, slots=True)
class Limit:
    """What one thing can carry.

    Attributes:
        name: of the thing.
        scope: "cell" or "gateway".
        vehicles: that it carries, all of them, at the load that the site allows.
        remedy: what moves it.
    """

    name: str
    scope: str
    vehicles: float
    remedy: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet's demand and what it takes. Rates are those of the busiest time.

    Attributes:
        requests_per_s, samples_per_s: of the whole fleet.
        in_mb_s, out_mb_s: on the wire, without TLS and TCP.
        cells: databases with their gateways.
        cell_vehicles: of one of them.
        gateways: of one cell, of which a zone's share may be gone.
        gateway_vehicles: of each while all are there.
        limits: the smallest first.
        gateway_load: of one gateway's core while all are there.
        compactor_load: of the compactor's core (of the gateway's that does it, besides).
        database_cores: busy, of one cell.
        log_mb_s: write-ahead log of one cell.
        commits_per_s, commit_rows: of one cell; rows of one commit.
        bus_messages_per_s: of one cell.
        connections: HTTP connections of one gateway: requests under way, and live clients.
        database_connections: of one cell.
        memory_mb: of one gateway.
        disk_gb_a_day: of the whole fleet, one copy.
        disk_tb: kept, with replicas, of the whole fleet.
        answer_ms: mean, from a request at the gateway to its answer after the commit.
    """

    fleet: Fleet
    site: Site
    requests_per_s: float
    samples_per_s: float
    in_mb_s: float
    out_mb_s: float
    cells: int
    cell_vehicles: float
    gateways: int
    gateway_vehicles: float
    limits: tuple[Limit, ...]
    gateway_load: float
    compactor_load: float
    database_cores: float
    log_mb_s: float
    commits_per_s: float
    commit_rows: float
    bus_messages_per_s: float
    connections: float
    database_connections: int
    memory_mb: float
    disk_gb_a_day: float
    disk_tb: float
    answer_ms: float

    @property
    def catch_up(self) -> float:
        """How long gateways work off what has gathered in an outage, as a part of the outage."""
        load = self.gateway_load
        return load / (1 - load)

    @property
    def binding(self) -> Limit:
        """What gives way first in a cell."""
        return next(limit for limit in self.limits if limit.scope == "cell")

    @property
    def gateway_cores(self) -> float:
        """Cores that all gateways and compactors together are busy with."""
        each = self.gateways * self.gateway_load + self.compactor_load
        return self.cells * each


@dataclass(frozen=True, slots=True)
class Shares:
    """What one vehicle of the fleet takes a second, on average over all, sending or not."""

    requests: float
    samples: float
    newest: float
    gateway_s: float
    compact_s: float
    rows_s: float
    database_s: float
    log_bytes: float
    stored_bytes: float


def shares(fleet: Fleet, site: Site, figures: Figures) -> Shares:
    """Give a vehicle's share of each thing."""
    requests = fleet.on_the_road / fleet.batch_s
    samples = requests * fleet.batch_samples
    newest = fleet.on_the_road * fleet.signals / max(fleet.batch_s, site.latest_s)
    looked_at = fleet.clients * fleet.client_vehicles / fleet.vehicles
    # Who commits and who owns the shard are two gateways as a rule: a message for each request.
    fanned_s = samples * (looked_at * figures["fanout_us"] + figures["alerts_us"]) * 1e-6
    bus_s = requests * figures["bus_us"] * 1e-6
    request_s = requests * figures.request_us(fleet.batch_samples, is_codec=fleet.is_codec) * 1e-6
    newest_s = newest * figures["newest_gateway_us"] * 1e-6
    rows_s = requests * figures["row_us"] * 1e-6
    stored = samples * figures["stored_bytes"]
    row_log = _row_log_bytes(fleet, figures)
    return Shares(
        requests,
        samples,
        newest,
        request_s + newest_s + bus_s + fanned_s,
        samples * figures["compact_us"] * 1e-6,
        rows_s,
        rows_s + newest * figures["newest_us"] * 1e-6,
        requests * row_log + newest * figures["newest_wal_bytes"] + stored,
        stored,
    )


def _row_log_bytes(fleet: Fleet, figures: Figures) -> float:
    """Log of a row: what was measured with 200 samples, its body in proportion to the samples."""
    body = 445.0
    state = figures["state_wal_bytes"] if fleet.is_codec else 0.0
    return figures["row_wal_bytes"] + body * (fleet.batch_samples / 200 - 1) + state


def plan(fleet: Fleet, site: Site, figures: Figures) -> Plan:
    """Give the sizes for a fleet."""
    share = shares(fleet, site, figures)
    of_gateway = _gateway_limits(site, figures, share)
    left = (site.zones - 1) / site.zones if site.zones > 1 else 1.0
    # While a zone is gone the others carry its vehicles as well.
    most_of_gateway = min(limit.vehicles for limit in of_gateway) * left
    of_cell = _cell_limits(site, figures, share, most_of_gateway)
    most_of_cell = min(limit.vehicles for limit in of_cell)
    cells = max(1, math.ceil(fleet.vehicles / most_of_cell))
    vehicles = fleet.vehicles / cells
    count = max(math.ceil(vehicles / most_of_gateway), 2)
    gateways = site.gateways or math.ceil(count / site.zones) * site.zones
    rate = vehicles * share.requests
    each = rate / gateways
    commit_s, row_s = figures["commit_ms"] * 1e-3, figures["commit_row_ms"] * 1e-3
    rows = group_rows(each, commit_s, row_s)
    request_s = figures.request_us(fleet.batch_samples, is_codec=fleet.is_codec) * 1e-6
    load = vehicles / gateways * share.gateway_s
    # Other work of the loop delays a request as requests do.
    answer_s = wait_s(load / request_s, request_s, variation=0.5) + request_s
    answer_s += commit_wait_s(each, commit_s, row_s)
    commits = rate / rows
    clients = fleet.clients / cells / gateways
    average = fleet.hours_a_day / 24 / fleet.on_the_road
    stored_gb = fleet.vehicles * share.stored_bytes * average * DAY_S / GB
    kept_gb = stored_gb * fleet.raw_days + cells * _besides_gb(vehicles, share)
    return Plan(
        fleet=fleet,
        site=site,
        requests_per_s=fleet.vehicles * share.requests,
        samples_per_s=fleet.vehicles * share.samples,
        in_mb_s=fleet.vehicles * share.requests * _request_bytes(fleet, figures) / MB,
        out_mb_s=fleet.vehicles * share.requests * figures["answer_bytes"] / MB,
        cells=cells,
        cell_vehicles=vehicles,
        gateways=gateways,
        gateway_vehicles=vehicles / gateways,
        limits=tuple(sorted((*of_cell, *of_gateway), key=lambda limit: limit.vehicles)),
        gateway_load=load,
        compactor_load=vehicles * share.compact_s,
        database_cores=vehicles * share.database_s + commits * figures["commit_us"] * 1e-6,
        log_mb_s=vehicles * share.log_bytes / MB,
        commits_per_s=commits,
        commit_rows=rows,
        bus_messages_per_s=min(rate, gateways * SHARDS * TICKS_PER_S),
        connections=each * answer_s + clients,
        database_connections=gateways * (site.pool + OWN_CONNECTIONS),
        memory_mb=figures["gateway_mb"] + clients * figures["client_kb"] / 1000,
        disk_gb_a_day=stored_gb,
        disk_tb=kept_gb * (1 + site.replicas) / 1000,
        answer_ms=answer_s * 1e3,
    )


def _besides_gb(vehicles: float, share: Shares) -> float:
    return (MAX_WAL_BYTES + PAGES * HOT_S * vehicles * share.log_bytes) / GB


def _request_bytes(fleet: Fleet, figures: Figures) -> float:
    if fleet.is_codec:
        body = figures["uplink_bytes"] + fleet.batch_samples * figures["codec_bits"] / 8
    else:
        body = fleet.batch_samples * figures["columns_bytes"]
    return figures["head_bytes"] + body


def _gateway_limits(site: Site, figures: Figures, share: Shares) -> tuple[Limit, ...]:
    newest_us = figures["newest_gateway_us"] + figures["newest_us"]
    return (
        Limit(
            "gateway: its one core",
            "gateway",
            site.load / share.gateway_s,
            "more gateways; longer batches",
        ),
        Limit(
            "gateway: the writer of its log",
            "gateway",
            site.load / (share.requests * figures["commit_row_ms"] * 1e-3),
            "more gateways; longer batches",
        ),
        Limit(
            "gateway: the writer of newest values",
            "gateway",
            site.load / (share.newest * newest_us * 1e-6),
            "more gateways; longer batches and latest_s",
        ),
    )


def _cell_limits(
    site: Site, figures: Figures, share: Shares, most_of_gateway: float
) -> tuple[Limit, ...]:
    gateways = site.database_connections // (site.pool + OWN_CONNECTIONS)
    gateways -= gateways % site.zones
    # Small groups are the dearest: a commit for each request, or as many as a gateway can do.
    rate = min(1e3 / figures["commit_ms"], most_of_gateway * share.requests)
    per_vehicle = share.database_s + rate * figures["commit_us"] * 1e-6 / most_of_gateway
    return (
        Limit(
            "cell: the one compactor",
            "cell",
            site.compactor_load / share.compact_s,
            "more cells",
        ),
        Limit(
            "cell: cores of the database",
            "cell",
            site.database_cores * site.load / per_vehicle,
            "longer batches and latest_s; a larger machine; more cells",
        ),
        Limit(
            "cell: the disk of the write-ahead log",
            "cell",
            site.log_mb_s * MB * site.load / share.log_bytes,
            "longer batches and latest_s; a faster disk; more cells",
        ),
        Limit(
            "cell: connections of the database",
            "cell",
            gateways * most_of_gateway,
            "a smaller [database] pool_size; max_connections; more cells",
        ),
    )
