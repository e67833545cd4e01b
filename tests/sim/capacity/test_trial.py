"""The simulated cell: as theory says where it says something, and the same from the same seed."""

from __future__ import annotations

import dataclasses

import pytest
import simpy

from sim.capacity import Fleet, Site, plan, read_figures
from sim.capacity.queueing import wait_s
from sim.capacity.stations import Pace, Servers, after
from sim.capacity.trial import OUTAGE, STEADY, ZONE, Trial, predicted_ms, run

FIGURES = read_figures()
PLAN = plan(Fleet(1500), Site(gateways=3), FIGURES)
AGREE = 0.12
"""Tolerance between formula and simulation, of the mean: some ten thousand answers by chance."""


@pytest.mark.parametrize("variation", [0.0, 1.0])
@pytest.mark.parametrize("load", [0.5, 0.75])
@pytest.mark.parametrize("servers", [1, 4])
def test_servers_wait_as_erlang_says(servers: int, load: float, variation: float) -> None:
    """Arrivals by chance at `Servers`: the mean wait is that of the formula."""
    from random import Random

    random, env = Random(7), simpy.Environment()
    line = Servers(env, servers)
    rate = load * servers
    waits: list[float] = []

    def arrive() -> None:
        came_s = env.now
        service_s = random.expovariate(1.0) if variation else 1.0
        line.serve(service_s, lambda: waits.append(env.now - came_s - service_s))
        after(env, random.expovariate(rate), arrive)

    arrive()
    env.run(until=30_000 / rate)
    expected_s = wait_s(rate, 1.0, servers, variation)
    # Exact for one server and for exponential service, else an approximation for several.
    agree = AGREE if servers == 1 or variation else 0.2
    assert sum(waits) / len(waits) == pytest.approx(expected_s, rel=agree)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_a_steady_day_is_as_predicted(load: float) -> None:
    """Core, then group commit: the mean answer of the simulation is that of the formula."""
    rate = 1500 / 10 / 3
    pace = Pace(
        request_s=lambda samples: load / rate,
        variation=1.0,
        commit_s=0.0,
        row_s=0.0,
        sync_s=0.08,
        gateway_row_s=0.001,
    )
    found = run(PLAN, FIGURES, Trial(STEADY, 120.0), pace=pace, at_random=True)
    assert found.gateways == 3
    expected_ms = predicted_ms(PLAN, pace, found.vehicles, found.gateways)
    assert found.predicted_ms == expected_ms
    assert found.mean_ms == pytest.approx(expected_ms, rel=AGREE)
    assert found.failed_share == found.late_share == 0


@pytest.mark.parametrize("trial", [
    Trial(OUTAGE, 120.0),
    Trial(OUTAGE, 120.0, jitter=False),
    Trial(OUTAGE, 120.0, jitter=False, in_step=True),
], ids=["chance", "alike", "in step"])  # fmt: skip
def test_an_outage_drains_as_predicted(trial: Trial) -> None:
    """The last vehicle is back when its pause is over; nothing that it gathered is left."""
    found = run(PLAN, FIGURES, trial)
    assert found.predicted_drained_s is not None
    assert found.drained_s == pytest.approx(found.predicted_drained_s, rel=0.1)
    assert found.late_share == 0


def test_chance_in_the_pauses_spreads_a_storm() -> None:
    """In step and all alike everybody comes at once; chance takes most of that peak away."""
    alike = run(PLAN, FIGURES, Trial(OUTAGE, 120.0, jitter=False))
    chance = run(PLAN, FIGURES, Trial(OUTAGE, 120.0))
    assert chance.peak_per_s < 0.7 * alike.peak_per_s
    in_step = run(PLAN, FIGURES, Trial(OUTAGE, 120.0, jitter=False, in_step=True))
    assert in_step.peak_per_s >= in_step.vehicles


def test_a_zone_that_fails_costs_nobody_more_than_a_batch() -> None:
    """What was under way is sent again; the rest carries it; nothing is refused for long."""
    found = run(PLAN, FIGURES, Trial(ZONE, 30.0))
    assert found.drained_s is not None
    assert found.drained_s < PLAN.fleet.batch_s + 3
    assert found.failed_share < 0.02


def test_too_few_gateways_do_the_same_work_twice() -> None:
    """Where answers come later than devices wait, rows are committed in vain, and peaks last."""
    slow = FIGURES.replaced(request_1000_us=60_000)
    patient = plan(PLAN.fleet, dataclasses.replace(PLAN.site, refuse_after_s=None), FIGURES)
    found = run(patient, slow, Trial(OUTAGE, 120.0, jitter=False, in_step=True))
    assert found.late_share > 0.1
    assert found.in_vain > 0
    assert found.predicted_drained_s is None
    assert found.drained_s is None or found.drained_s > 15


def test_a_full_gateway_refuses() -> None:
    """Beyond its connections a gateway says no, and who is refused comes again."""
    site = dataclasses.replace(PLAN.site, connections=200)
    narrow = dataclasses.replace(PLAN, site=site)
    found = run(narrow, FIGURES, Trial(OUTAGE, 120.0, jitter=False, in_step=True))
    assert found.most_open == 200
    assert found.failed_share > 0.2
    assert found.drained_s is not None


def test_who_refuses_early_comes_back_and_who_does_not_stays_down() -> None:
    """Edge loggers after ten minutes: all answers late and in vain, or some refused and all done.

    What has gathered is more work than devices wait for; a gateway that decodes it all the same
    answers nobody in time, and is sent it again.
    """
    fleet, outage = Fleet(1600, wire="codec"), Trial(OUTAGE, 600.0)
    patient = plan(fleet, Site(gateways=3, refuse_after_s=None), FIGURES)
    found = run(patient, FIGURES, outage)
    assert found.drained_s is None or found.drained_s > 300
    assert found.late_share > 0.3
    hasty = plan(fleet, Site(gateways=3), FIGURES)
    found = run(hasty, FIGURES, outage)
    assert found.drained_99_s is not None
    assert found.drained_99_s < 200
    assert found.late_share == 0
    assert found.in_vain == 0


def test_the_same_seed_gives_the_same() -> None:
    """To the last digit; another seed gives something else."""
    first, again, other = (run(PLAN, FIGURES, Trial(ZONE, 10.0), seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
