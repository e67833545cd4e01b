"""Trials of one cell: a steady day, a zone that fails, an outage of everything and what follows it.

Each is simulated with chance from one seed, and stands beside what theory predicts where there is
a formula. A cell of the plan is simulated whole; the cells of a larger fleet are like it and know
nothing of each other. `most_vehicles` makes a smaller cell of the same kind: fewer gateways with as
many vehicles each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import simpy

from firmware_stubs.uplink import FIRST_PAUSE_MS, LONGEST_PAUSE_MS
from sim.capacity.figures import Figures
from sim.capacity.plan import Plan
from sim.capacity.queueing import commit_wait_s, wait_s
from sim.capacity.stations import Balancer, Gateway, Pace, Servers, after
from sim.capacity.vehicles import TIMEOUT_S, Road

STEADY, ZONE, OUTAGE = "steady", "zone lost", "outage"
WARM_UP_S = 10.0
MOST_AFTER_S = 600.0
"""A trial ends so long after everything is back, drained or not."""
CPU_PART = 0.5
"""Of a commit of one row, the part that is CPU of the database; the rest is disk and way."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What happens to a cell.

    Attributes:
        kind: STEADY, ZONE or OUTAGE.
        lasts_s: how long a zone or everything is gone; the length of a steady trial.
        jitter: chance in the vehicles' pauses.
        in_step: all vehicles send at the same instant, as after a power cut.
    """

    kind: str
    lasts_s: float = 60.0
    jitter: bool = True
    in_step: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial has found. Seconds count from the instant at which all is back, or a zone went.

    Attributes:
        vehicles, gateways: simulated.
        tried: requests from the event on.
        peak_per_s: most requests sent in one second.
        times_normal: that, of what comes on a steady day.
        failed_share, late_share: of `tried`: refused or cut; without an answer in time.
        p50_ms, p99_ms: answers from the event on.
        most_open: requests at one gateway at a time.
        drained_s, drained_99_s: all vehicles, 99 % of them had delivered what they had at the
            event; None: not within `MOST_AFTER_S`.
        in_vain: rows committed for senders that had given up.
        mean_ms: of the answers.
        predicted_ms: the mean that theory gives, steady trials only.
        predicted_drained_s: where theory gives it.
    """

    trial: Trial
    vehicles: int
    gateways: int
    tried: int
    peak_per_s: int
    times_normal: float
    failed_share: float
    late_share: float
    p50_ms: float
    p99_ms: float
    mean_ms: float
    most_open: int
    drained_s: float | None
    drained_99_s: float | None
    in_vain: int
    predicted_ms: float | None
    predicted_drained_s: float | None


def pace_of(plan: Plan, figures: Figures) -> Pace:
    """Give the times of a plan's gateways and database."""
    beside_s = _beside_s(plan, figures)
    cpu_s = figures["commit_us"] * 1e-6
    commit_s = figures["commit_ms"] * 1e-3
    database_s = min(cpu_s, commit_s * CPU_PART)
    row_s = figures["row_us"] * 1e-6
    return Pace(
        # Newest values, bus and alerts keep the core busy as well: spread over the requests.
        request_s=lambda samples: (
            beside_s + figures.request_us(samples, is_codec=plan.fleet.is_codec) * 1e-6
        ),
        sync_s=commit_s - database_s,
        commit_s=database_s,
        row_s=row_s,
        gateway_row_s=max(0.0, figures["commit_row_ms"] * 1e-3 - row_s),
        group_rows=int(figures["group_rows"]),
        database_cores=plan.site.database_cores,
        connections=plan.site.connections,
        waiting_bytes=int(figures["waiting_bytes"]),
        refuse_after_s=plan.site.refuse_after_s,
        always_taken=plan.site.always_taken,
    )


def _beside_s(plan: Plan, figures: Figures) -> float:
    rate = plan.requests_per_s / plan.cells / plan.gateways
    samples = plan.fleet.batch_samples
    request_s = figures.request_us(samples, is_codec=plan.fleet.is_codec) * 1e-6
    return plan.gateway_load / rate - request_s


def run(
    plan: Plan,
    figures: Figures,
    trial: Trial,
    *,
    seed: int = 1,
    most_vehicles: int = 40_000,
    pace: Pace | None = None,
    at_random: bool = False,
) -> Outcome:
    """Simulate a trial of one cell.

    Args:
        seed: the same gives the same, to the last digit.
        most_vehicles: that send; a larger cell is made smaller, gateway by gateway.
        pace: other times than those of the figures.
        at_random: Poisson arrivals at gateways drawn by chance, for comparison with formulas.
    """
    random = Random(seed)
    each = plan.gateway_vehicles * plan.fleet.on_the_road
    zones = plan.site.zones
    zone = max(1, min(plan.gateways, int(most_vehicles / each)) // zones)
    count = zone * zones
    vehicles = max(1, round(each * count))
    pace = pace if pace is not None else pace_of(plan, figures)
    env = simpy.Environment()
    cores = max(1, round(pace.database_cores * count / plan.gateways))
    database = Servers(env, cores)
    gateways = [Gateway(env, pace, database, random) for _ in range(count)]
    balancer = Balancer(env, gateways, random, at_random=at_random)
    road = Road(
        env,
        plan.fleet,
        balancer,
        random,
        count=vehicles,
        jitter=trial.jitter,
        spread_s=0.0 if trial.in_step else None,
        at_random=at_random,
    )
    env.run(until=WARM_UP_S)
    event_s = WARM_UP_S
    if trial.kind == STEADY:
        env.run(until=WARM_UP_S + trial.lasts_s)
    elif trial.kind == ZONE:
        lost = gateways[:zone]
        balancer.gone(lost)
        road.measure_from(event_s)
        after(env, trial.lasts_s, lambda: balancer.back(lost))
        env.run(until=event_s + trial.lasts_s + plan.fleet.batch_s)
    else:
        balancer.gone(gateways)
        event_s += trial.lasts_s
        env.run(until=event_s)
        balancer.back(gateways)
        road.measure_from(event_s)
        while road.drained_s is None and env.now < event_s + MOST_AFTER_S:
            env.run(until=env.now + 1)
    return _outcome(plan, trial, road, gateways, event_s, pace, vehicles)


def _outcome(
    plan: Plan,
    trial: Trial,
    road: Road,
    gateways: list[Gateway],
    event_s: float,
    pace: Pace,
    vehicles: int,
) -> Outcome:
    tally = road.tally
    first = int(event_s)
    tried = tally.tried[first:]
    answers = sorted(
        ms
        for ms, at_s in zip(tally.answers_ms, tally.answered_at_s, strict=True)
        if at_s >= event_s
    )
    total = max(1, sum(tried))
    normal = vehicles / plan.fleet.batch_s

    def since(at_s: float | None) -> float | None:
        return None if at_s is None else at_s - event_s

    return Outcome(
        trial=trial,
        vehicles=vehicles,
        gateways=len(gateways),
        tried=sum(tried),
        peak_per_s=max(tried, default=0),
        times_normal=max(tried, default=0) / normal,
        failed_share=sum(tally.failed[first:]) / total,
        late_share=sum(tally.late[first:]) / total,
        p50_ms=_at(answers, 0.5),
        p99_ms=_at(answers, 0.99),
        mean_ms=sum(answers) / max(1, len(answers)),
        most_open=max(gateway.most_open for gateway in gateways),
        drained_s=since(road.drained_s),
        drained_99_s=since(road.drained_99_s),
        in_vain=sum(gateway.in_vain for gateway in gateways),
        predicted_ms=predicted_ms(plan, pace, vehicles, len(gateways))
        if trial.kind == STEADY
        else None,
        predicted_drained_s=predicted_drained_s(plan, pace, trial, vehicles, len(gateways))
        if trial.kind == OUTAGE
        else None,
    )


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan


def predicted_ms(plan: Plan, pace: Pace, vehicles: int, gateways: int) -> float:
    """Give the mean time of an answer on a steady day: the core's queue, then the commit.

    The gateways' commits do not wait for each other here, so the database must not be busy.
    """
    rate = vehicles / plan.fleet.batch_s / gateways
    service_s = pace.request_s(plan.fleet.batch_samples)
    core_s = wait_s(rate, service_s, pace.servers, pace.variation) + service_s
    commit_s = pace.commit_s + pace.sync_s
    return (core_s + commit_wait_s(rate, commit_s, pace.row_s + pace.gateway_row_s)) * 1e3


def predicted_drained_s(
    plan: Plan, pace: Pace, trial: Trial, vehicles: int, gateways: int
) -> float | None:
    """Give the time until the last vehicle has delivered, after an outage that was long.

    With chance in its pauses a vehicle comes back at some time within the longest of them. Without
    it all vehicles try after the same pauses, so that the first to come do so after what is left
    of one; the others follow as they are spread over a batch, or at once where they are in step,
    and then wait until the gateways have worked off what they bring. None where that takes longer
    than a vehicle waits for its answer, or a pause: for trying again in vain there is no formula.
    """
    longest_s = LONGEST_PAUSE_MS / 1000
    if trial.lasts_s < 2 * longest_s:
        return None
    if trial.jitter:
        first_s, spread_s = 0.0, longest_s
    else:
        first_s = _next_try_s(trial.lasts_s) - trial.lasts_s
        spread_s = 0.0 if trial.in_step else plan.fleet.batch_s
    gathered_s = trial.lasts_s + first_s + (longest_s / 2 if trial.jitter else 0.0)
    samples = gathered_s * plan.fleet.rate_hz * plan.fleet.signals
    whole_s = vehicles * pace.request_s(samples) / gateways / pace.servers
    if whole_s > max(spread_s, TIMEOUT_S):
        return None
    return first_s + max(spread_s, whole_s)


def _next_try_s(after_s: float) -> float:
    """Give the first instant after this at which a vehicle without chance tries, from a failure."""
    at_s, pause_s = 0.0, FIRST_PAUSE_MS / 1000
    while at_s < after_s:
        at_s += pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_MS / 1000)
    return at_s
