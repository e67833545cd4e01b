"""What a bench hides from the judge, and what every bench is judged for."""

from __future__ import annotations

from typing import Any

import pytest

from rig.judge.desk import desk_of, judge_manifest, limits_of
from rig.judge.limits import Limit, Outcome
from rig.measures.measures import Measured
from rig.record.manifest import Manifest


class Figures:
    """Measures that are what they are said to be."""

    def __init__(self, **values: float) -> None:
        self._values = values

    def get(
        self, name: str, phase: str | None = None, except_faults: bool = False
    ) -> Measured | None:
        """Return one of them."""
        value = self._values.get(name.replace(".", "_"))
        return None if value is None else Measured(value, "")


def manifest(*names: str, **more: Any) -> Manifest:
    """Return that of a run with limits of these names."""
    limits = [Limit(name, "", max=1.0) for name in names]
    return Manifest(scenario="a", seed=1, mode="paced", epoch_ns=0, limits=limits, **more)


REMOTE = {"gateway": "http://box:8000", "has_database": False}


@pytest.mark.parametrize("name", ["gateway.exit", "log.errors", "gateway.cpu", "store.segments"])
def test_what_a_gateway_elsewhere_keeps_to_itself_is_skipped(name: str) -> None:
    """Neither its process nor its log is at hand; a gateway here is judged."""
    figures = Figures(gateway_exit=0, log_errors=0, gateway_cpu=0, store_segments=0)
    (verdict,) = judge_manifest(manifest(name, bench=REMOTE), figures)
    assert verdict.outcome is Outcome.SKIPPED
    assert "http://box:8000" in verdict.reason
    (verdict,) = judge_manifest(manifest(name), figures)
    assert verdict.outcome is Outcome.PASS


def test_a_database_that_is_named_is_judged() -> None:
    """What only the store tells is there then."""
    told = manifest("store.segments", bench={**REMOTE, "has_database": True})
    (verdict,) = judge_manifest(told, Figures(store_segments=0))
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("is_tapped", "outcome"), [(False, Outcome.SKIPPED), (True, Outcome.UNSET)]
)
def test_what_only_the_wire_could_tell_is_skipped_without_it(
    is_tapped: bool, outcome: Outcome
) -> None:
    """With the wire on the record it could have been measured, and fails."""
    bench = {"links": {"obd": {"is_tapped": is_tapped}}}
    told = manifest("obd.coverage", bench=bench, real_links=["obd"])
    (verdict,) = judge_manifest(told, Figures())
    assert verdict.outcome is outcome


def test_what_is_derived_of_a_real_link_has_no_truth() -> None:
    """Boost comes out of the car's answers."""
    (verdict,) = judge_manifest(manifest("derived.fidelity.max", real_links=["obd"]), Figures())
    assert verdict.outcome is Outcome.SKIPPED
    (verdict,) = judge_manifest(manifest("derived.fidelity.max", real_links=["gps"]), Figures())
    assert verdict.outcome is Outcome.UNSET


def test_a_real_device_must_stay_unless_the_scenario_says_otherwise() -> None:
    """Each watched one has a limit; one of the scenario's own takes its place."""
    gone = {"gone": {"obd": [], "gps": []}}
    told = manifest("obd.gone", real_links=["obd", "gps", "can"], result=gone)
    assert [(limit.name, limit.max) for limit in limits_of(told)] == [
        ("obd.gone", 1.0),
        ("gps.gone", None),
    ]
    assert limits_of(manifest("obd.rate")) == manifest("obd.rate").limits


def test_a_simulated_link_cannot_be_pulled_out() -> None:
    """A limit on it is skipped with that reason."""
    (verdict,) = judge_manifest(manifest("obd.gone"), Figures())
    assert verdict.outcome is Outcome.SKIPPED
    assert "simulated" in verdict.reason


def test_a_record_of_before_has_no_bench() -> None:
    """All is here, and all is simulated."""
    desk = desk_of(manifest())
    assert (desk.gateway, desk.has_store, desk.unheard) == ("", True, [])
