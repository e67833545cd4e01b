"""Sizes of a fleet: sums that anybody can check, and what moves which limit."""

from __future__ import annotations

import dataclasses

import pytest

from sim.capacity import Fleet, Site, plan, read_figures
from sim.capacity.plan import shares

FIGURES = read_figures()


def test_demand_is_plain_arithmetic() -> None:
    """A thousand vehicles, 20 signals a second, batches of 10 s: 100 requests, 20,000 samples."""
    found = plan(Fleet(1000), Site(), FIGURES)
    assert found.requests_per_s == pytest.approx(100)
    assert found.samples_per_s == pytest.approx(20_000)
    per_day_gb = 20_000 * 86_400 * FIGURES["stored_bytes"] / 1e9
    assert found.disk_gb_a_day == pytest.approx(per_day_gb)
    bodies = 200 * FIGURES["columns_bytes"] + FIGURES["head_bytes"]
    assert found.in_mb_s == pytest.approx(100 * bodies / 1e6)
    assert found.cells == 1


def test_who_rests_costs_disk_only_for_the_hours_it_drives() -> None:
    """The busiest time sizes machines, the hours of a day size disks."""
    always = plan(Fleet(100_000), Site(), FIGURES)
    seldom = plan(Fleet(100_000, on_the_road=0.1, hours_a_day=1.2), Site(), FIGURES)
    assert seldom.requests_per_s == pytest.approx(always.requests_per_s / 10)
    assert seldom.disk_gb_a_day == pytest.approx(always.disk_gb_a_day / 20)


@pytest.mark.parametrize("vehicles", [1, 10_000, 1_000_000, 100_000_000])
@pytest.mark.parametrize("batch_s", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("wire", ["columns", "codec"])
def test_every_plan_keeps_its_own_limits(vehicles: int, batch_s: float, wire: str) -> None:
    """Whatever the fleet: no cell and no gateway of the plan has more than it carries."""
    site = Site()
    found = plan(Fleet(vehicles, batch_s=batch_s, wire=wire), site, FIGURES)
    left = (site.zones - 1) / site.zones
    for limit in found.limits:
        has = found.cell_vehicles if limit.scope == "cell" else found.gateway_vehicles / left
        assert has <= limit.vehicles * 1.000001, limit.name
    assert found.database_cores <= site.database_cores
    assert found.gateways % site.zones == 0
    assert found.database_connections <= site.database_connections


def test_a_figure_moves_the_limit_that_it_is_about() -> None:
    """Half the price of compaction doubles what the compactor carries, and nothing else."""
    before = {limit.name: limit.vehicles for limit in plan(Fleet(1000), Site(), FIGURES).limits}
    cheaper = FIGURES.replaced(compact_us=FIGURES["compact_us"] / 2)
    after = {limit.name: limit.vehicles for limit in plan(Fleet(1000), Site(), cheaper).limits}
    moved = {name: after[name] / before[name] for name in before}
    compactor = moved.pop("cell: the one compactor")
    assert compactor == pytest.approx(2)
    assert list(moved.values()) == pytest.approx([1] * len(moved))


def test_clients_cost_cores_memory_and_connections() -> None:
    """Ten thousand who look at one vehicle each are not free."""
    quiet = plan(Fleet(10_000), Site(), FIGURES)
    watched = plan(Fleet(10_000, clients=10_000), Site(), FIGURES)
    fanned = 200_000 * FIGURES["fanout_us"] * 1e-6
    cores = watched.gateway_cores - quiet.gateway_cores
    assert cores == pytest.approx(fanned, rel=0.01)
    assert watched.memory_mb > quiet.memory_mb
    assert watched.connections > 10_000 / watched.gateways


def test_packets_cost_their_decoding() -> None:
    """An edge logger's upload is dear to a gateway's core, and cheap on the wire."""
    columns = plan(Fleet(10_000), Site(), FIGURES)
    codec = plan(Fleet(10_000, wire="codec"), Site(), FIGURES)
    assert codec.in_mb_s < columns.in_mb_s / 5
    decoding = 200_000 * FIGURES["decode_us"] * 1e-6
    assert codec.gateway_cores - columns.gateway_cores > decoding


def test_requests_cost_what_was_measured_and_lines_between() -> None:
    """The measured sizes exactly; between and beyond them a line."""
    alone_us = FIGURES["alone_us"]
    for size in (20, 200, 1000):
        assert FIGURES.request_us(size) == pytest.approx(alone_us + FIGURES[f"request_{size}_us"])
    middle = (FIGURES["request_200_us"] + FIGURES["request_1000_us"]) / 2
    assert FIGURES.request_us(600) == pytest.approx(alone_us + middle)
    assert FIGURES.request_us(2000) > FIGURES.request_us(1000)


def test_every_figure_says_where_it_comes_from() -> None:
    """A value, its unit, a source, a date and a machine; found within low and high."""
    for figure in FIGURES:
        assert figure.value > 0
        assert figure.unit
        assert figure.source
        assert figure.machine
        assert figure.date.year >= 2026
        if figure.low is not None and figure.high is not None:
            assert figure.low <= figure.value <= figure.high, figure.name


def test_a_fleet_that_is_none_is_refused() -> None:
    """No vehicles, or more than all of them on the road."""
    for wrong in ({"vehicles": 0}, {"on_the_road": 1.1}, {"hours_a_day": 25.0}):
        with pytest.raises(ValueError, match="expected vehicles"):
            dataclasses.replace(Fleet(10), **wrong)  # type: ignore[arg-type]


def test_a_vehicle_is_the_same_in_any_fleet() -> None:
    """Shares do not depend on how many there are, as long as nobody looks at them."""
    assert shares(Fleet(10), Site(), FIGURES) == shares(Fleet(10**8), Site(), FIGURES)
