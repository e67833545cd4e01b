"""What the gateway tells Prometheus; gathered when it is asked for, so that it costs nothing else.

Names begin with `telerig_`; times are in seconds, sizes in bytes. Every family is there from the
start, so that an alert on an absent one means something. prometheus_client is imported at the first
request.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.links.supervisor import LinkState
from server.operation.http_counts import BUCKETS_S

if TYPE_CHECKING:
    from server.gateway import Gateway

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[tuple[str, ...], float]


class Family:
    """One metric: its kind, its words, its samples.

    Args:
        kind: "gauge" or "counter".
        name: without the prefix, and without `_total` of counters.
        help: for people.
        labels: names of the labels.
        samples: label values with a number each.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        help: str,
        labels: tuple[str, ...] = (),
        samples: Iterable[Sample] = (),
    ) -> None:
        self.kind = kind
        self.name = f"telerig_{name}"
        self.help = help
        self.labels = labels
        self.samples = list(samples)


def families(gateway: Gateway) -> Iterator[Family]:
    """Give every metric of a gateway, as it is now."""
    yield from _gateway(gateway)
    yield from _links(gateway)
    yield from _pipeline(gateway)
    yield from _store(gateway)
    yield from _live(gateway)
    yield from _http(gateway)
    yield from _rooms(gateway)
    yield from _process()


def render(gateway: Gateway) -> bytes:
    """Give the metrics in Prometheus' text format."""
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.exposition import generate_latest

    kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}

    class Collector:
        def collect(self) -> Iterator[Any]:
            for family in families(gateway):
                made = kinds[family.kind](family.name, family.help, labels=family.labels)
                for values, number in family.samples:
                    made.add_metric(values, number)
                yield made
            yield _durations(gateway, HistogramMetricFamily)

    return bytes(generate_latest(Collector()))


def _gateway(gateway: Gateway) -> Iterator[Family]:
    from importlib.metadata import version

    database = gateway.config.database
    labels = ("version", "device")
    about = [((version("telerig"), gateway.config.device), 1.0)]
    yield Family("gauge", "info", "What runs here.", labels, about)
    yield _gauge("start_time_seconds", "When this run began.", gateway.started_ns / 1e9)
    is_ready = not (gateway.pipeline.failing or gateway.ingest.log.failing)
    yield _gauge("ready", "1 while what is accepted can be stored.", float(is_ready))
    yield _gauge(
        "database_enabled", "0 where nothing is kept (live only).", float(database.enabled)
    )


def _links(gateway: Gateway) -> Iterator[Family]:
    links = gateway.links
    states = [
        ((link.name, link.kind, state.value), float(link.state is state))
        for link in links
        for state in LinkState
    ]
    labels = ("link", "kind")
    yield Family("gauge", "link_state", "1 for the state it is in.", (*labels, "state"), states)
    since = [((link.name, link.kind), link.since_ns / 1e9) for link in links]
    yield Family("gauge", "link_since_seconds", "When it came into its state.", labels, since)
    readings = [((link.name, link.kind), float(link.readings)) for link in links]
    yield Family("counter", "link_readings", "Readings of a link.", labels, readings)
    attempts = [((link.name, link.kind), float(link.attempts)) for link in links]
    yield Family("counter", "link_attempts", "Connections tried.", labels, attempts)
    stale = [((link.name, link.kind), float(len(link.stale))) for link in links]
    yield Family("gauge", "link_stale_signals", "Signals due and missing.", labels, stale)
    counters = [
        ((link.name, link.kind, counter), float(number))
        for link in links
        for counter, number in sorted(link.counters.items())
    ]
    words = "What a link counts: errors, time-outs, questions."
    yield Family("counter", "link_events", words, (*labels, "event"), counters)


def _pipeline(gateway: Gateway) -> Iterator[Family]:
    counts = gateway.pipeline.counts
    for name, words, number in (
        ("accepted", "Readings of the gateway's links that were accepted.", counts.accepted),
        ("refused", "Readings refused because the queue was full.", counts.refused),
        ("malformed", "Readings refused because they were none.", counts.malformed),
        ("stored", "Readings of the gateway's links that are committed.", counts.stored),
    ):
        yield _counter(f"readings_{name}", words, number)
    words = "Accepted, neither stored nor in the journal: what a crash would lose."
    yield _gauge("readings_pending", words, counts.pending)
    words = "On the disk until the database is back, those of earlier runs included."
    yield _gauge("readings_journaled", words, counts.journaled)
    limit = gateway.config.pipeline.queue_readings
    yield _gauge("readings_pending_limit", "So many may be pending.", limit)
    yield _counter("commits", "Commits of the gateway's own log.", counts.commits)
    yield _counter(
        "commits_failed", "Commits that failed and were repeated.", counts.commits_failed
    )


def _store(gateway: Gateway) -> Iterator[Family]:
    log = gateway.ingest.log
    yield _counter("ingest_commits", "Commits of the log of remote devices.", log.commits)
    yield _gauge("ingest_waiting_bytes", "What waits for its commit.", log.waiting_bytes)
    turns = gateway.ingest.turns
    yield _gauge("ingest_under_way", "Messages of devices not answered yet.", turns.under_way)
    words = "Messages of devices told to come again: their answer would have come too late."
    yield _counter("ingest_turned_away", words, turns.refused)
    words = "Boots tried again because another gateway had written for them."
    yield _counter("commits_overtaken", words, log.overtaken)
    words = "Uplinks decoded again because another gateway had gone on with their device."
    yield _counter("states_stale", words, log.stale)
    words = "Packets refused because the decoder failed on them."
    yield _counter("packets_poisoned", words, gateway.uplinks.poisoned)
    failing = [
        (("links",), float(bool(gateway.pipeline.failing))),
        (("devices",), float(bool(log.failing))),
    ]
    yield Family("gauge", "store_failing", "1 while commits fail.", ("log",), failing)
    pool = gateway.pool
    size, idle = _number(pool, "get_size"), _number(pool, "get_idle_size")
    samples = [(("idle",), idle), (("busy",), max(0.0, size - idle))]
    words = "Connections for reads."
    yield Family("gauge", "database_connections", words, ("state",), samples)
    most = gateway.config.database.pool_size + gateway.config.database.max_overflow
    yield _gauge("database_connections_limit", "So many there may be.", most)


def _live(gateway: Gateway) -> Iterator[Family]:
    hub = gateway.hub
    yield _gauge("live_clients", "Clients of the live stream.", hub.clients)
    words = "Frames that slow clients did not get."
    yield _counter("live_dropped", words, hub.dropped)
    counts = hub.counts
    yield _counter("live_sent", "Messages sent to clients.", counts.sent)
    words = "Messages replaced by newer ones for clients that want the latest."
    yield _counter("live_superseded", words, counts.superseded)
    yield _gauge("live_queued_bytes", "What waits for clients.", counts.queued_bytes)


def _http(gateway: Gateway) -> Iterator[Family]:
    counts = gateway.http_counts
    yield _gauge("http_active", "Requests and WebSockets that are open.", counts.active)
    yield _counter("websockets", "WebSockets accepted.", counts.sockets)
    limits = getattr(gateway, "http_limits", None)
    words = "Connections refused because there were too many."
    yield _counter("http_connections_refused", words, getattr(limits, "refused", 0))
    labels = ("method", "path", "status")
    samples = [
        ((method, path, str(status)), float(counted.count))
        for (method, path, status), counted in sorted(counts.routes.items())
    ]
    yield Family("counter", "http_requests", "Answers.", labels, samples)


def _durations(gateway: Gateway, make: Any) -> Any:
    """Give how long answers took, by path; statuses together."""
    sums: dict[tuple[str, str], tuple[list[int], float]] = {}
    for (method, path, _), counted in gateway.http_counts.routes.items():
        if method == "WS":
            continue
        buckets, total_s = sums.get((method, path), ([0] * (len(BUCKETS_S) + 1), 0.0))
        added = [a + b for a, b in zip(buckets, counted.buckets, strict=True)]
        sums[method, path] = added, total_s + counted.total_s
    made = make(
        "telerig_http_request_duration_seconds",
        "How long answers took.",
        labels=("method", "path"),
    )
    for key, (buckets, total_s) in sorted(sums.items()):
        upto, cumulated = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), buckets, strict=True):
            upto += count
            cumulated.append((bound, upto))
        made.add_metric(key, buckets=cumulated, sum_value=total_s)
    return made


def _rooms(gateway: Gateway) -> Iterator[Family]:
    yield from _compactor(gateway)
    yield from _alerts(gateway)
    yield from _forward(gateway)
    yield from _instances(gateway)
    exports = gateway.exports
    yield _gauge("exports_running", "Downloads that run.", exports.running)
    yield _counter("exports_broken", "Downloads that did not come to their end.", exports.broken)


def _compactor(gateway: Gateway) -> Iterator[Family]:
    done = gateway.compactor.counts
    for name, words, number in (
        ("cycles", "Parts of the hot log that were made segments.", done.cycles),
        ("samples", "Samples in those segments.", done.samples),
        ("segments", "Segments written.", done.segments),
        ("bytes", "Bytes of segments written.", done.bytes),
        ("failed", "Attempts that failed and are repeated.", done.failed),
        ("busy_seconds", "Time that it took.", done.busy_s),
        ("partitions_dropped", "Partitions dropped by retention.", done.dropped),
    ):
        yield _counter(f"compactor_{name}", words, number)
    failing = float(bool(gateway.compactor.failing))
    yield _gauge("compactor_failing", "1 while compaction fails.", failing)


def _alerts(gateway: Gateway) -> Iterator[Family]:
    alerts = gateway.alerts
    yield _gauge("alerts_failing", "1 while alerts cannot be stored.", float(bool(alerts.failing)))
    yield _counter("alerts_lost", "Alerts that were not stored.", alerts.lost)
    outlets = alerts.outlets
    for kind, name, words in (
        ("gauge", "waiting", "Messages that wait for their receiver."),
        ("counter", "sent", "Messages that receivers took."),
        ("counter", "failed", "Attempts that failed."),
        ("counter", "dropped", "Messages that were dropped."),
    ):
        samples = [((o.target.name,), float(getattr(o.status, name))) for o in outlets]
        yield Family(kind, f"alerts_messages_{name}", words, ("receiver",), samples)


def _forward(gateway: Gateway) -> Iterator[Family]:
    streams = gateway.forward.status.streams
    for kind, name, words, field in (
        ("gauge", "depth_bytes", "What waits for the other gateway.", "bytes"),
        ("gauge", "depth_readings", "Readings in it.", "readings"),
        ("gauge", "age_seconds", "How long the oldest of it has waited.", "oldest_age_s"),
        ("counter", "sent", "Readings that the other gateway has answered for.", "sent"),
        ("counter", "refused", "Readings that it has refused.", "refused"),
        ("counter", "dropped", "Readings given up: the queue was full.", "dropped"),
        ("counter", "missed", "Readings that never came into the queue.", "missed"),
    ):
        samples = [((one.device,), float(getattr(one, field) or 0)) for one in streams]
        yield Family(kind, f"forward_{name}", words, ("device",), samples)


def _instances(gateway: Gateway) -> Iterator[Family]:
    instances = gateway.instances
    leases, bus, feed = instances.leases, instances.bus, instances.feed
    living = len(instances.members.living) or 1
    yield _gauge("instances_living", "Gateways on the database.", living)
    shards = sum(place >= 0 for place in leases.held)
    yield _gauge("shards_held", "Shards of devices that this gateway owns.", shards)
    stores = sum(place < 0 for place in leases.held)
    yield _gauge("store_held", "1 while this gateway compacts.", stores)
    yield _counter("lease_renewals", "Renewals of what is owned.", leases.counts.renewals)
    yield _counter("lease_failed", "Renewals that failed.", leases.counts.failed)
    yield _counter("lease_lost", "Leases that were over or taken away.", leases.counts.lost)
    words = "Seconds by which the database's clock is ahead."
    yield _gauge("database_clock_ahead_seconds", words, leases.ahead_s or 0.0)
    changes = instances.changes
    words = "Changes of keys, users, commands … that the database told of."
    yield _counter("changes_heard", words, changes.heard)
    words = "How often the connection that hears of changes was lost."
    yield _counter("changes_cuts", words, changes.cuts)
    words = "1 while changes are not heard."
    yield _gauge("changes_failing", words, float(bool(changes.failing)))
    yield _gauge("bus_failing", "1 while the bus does not work.", float(bool(bus.failing)))
    for name, words, number in (
        ("sent", "Messages to other gateways.", bus.counts.sent),
        ("received", "Messages of other gateways.", bus.counts.received),
        ("sent_bytes", "Bytes of them.", bus.counts.sent_bytes),
        ("received_bytes", "Bytes of them.", bus.counts.received_bytes),
        ("gaps", "How often messages may have been lost.", bus.counts.gaps),
        ("dropped", "Messages that were not sent.", bus.counts.dropped),
        ("malformed", "Messages that no gateway has sent.", bus.counts.malformed),
    ):
        yield _counter(f"bus_{name}", words, number)
    for name, words, number in (
        ("delivered", "Commits handed to live stream and rules.", feed.counts.delivered),
        ("repaired", "Of them, read from the database.", feed.counts.repaired),
        ("skipped", "Commits that nobody can be given any more.", feed.counts.skipped),
        ("bad", "Messages and commits that could not be read, and were left out.", feed.counts.bad),
    ):
        yield _counter(f"feed_{name}", words, number)
    yield _gauge("feed_waiting", "Commits that wait for an earlier one.", feed.waiting)
    yield _gauge("feed_failing", "1 while missing commits cannot be read.", bool(feed.failing))
    fenced = gateway.compactor.counts.fenced + _number(gateway.alerts, "fenced")
    words = "Writes refused: what they were for has another owner."
    yield _counter("writes_fenced", words, fenced)


def _process() -> Iterator[Family]:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        files = len(os.listdir("/proc/self/fd"))
    except OSError:
        pages = files = 0
    times = os.times()
    size = pages * os.sysconf("SC_PAGE_SIZE")
    yield _gauge("process_resident_memory_bytes", "Memory of the process.", size)
    yield _counter("process_cpu_seconds", "Time of the processor.", times.user + times.system)
    yield _gauge("process_open_fds", "Open files.", files)
    from server.logs import current_counts

    counts = current_counts()
    samples = [(("warning",), float(counts.warnings)), (("error",), float(counts.errors))]
    yield Family("counter", "log_events", "Lines of the log.", ("level",), samples)


def _gauge(name: str, words: str, number: float) -> Family:
    return Family("gauge", name, words, (), [((), float(number))])


def _counter(name: str, words: str, number: float) -> Family:
    return Family("counter", name, words, (), [((), float(number))])


def _number(owner: object, name: str) -> float:
    """Give a count that another room keeps, as attribute or method; 0 where it has none."""
    found = getattr(owner, name, 0)
    return float(found() if callable(found) else found)
