"""A gateway that is broken on purpose fails a shipped scenario, by the limit that is meant for it.

Each run breaks the real gateway by one function of the package `mutations`. The scenarios are the
shipped ones, shorter where that is possible, with the shipped limits; the unbroken gateway passes
the same files: those that were cut here, the others as they are in `pytest scenarios`.

Of the ways to break one limit of a scenario CI tries the first of `CASES`; the further ones are
marked long: `pytest tests/rig/test_mutations.py -m long`, or with the score of all ways
`python -m tests.benchmarks mutations`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.runner.runner import Request, Run, Runner
from rig.scenario.model import Scenario
from tests.rig.mutation_cases import CASES, CUTS, WITHOUT

Shorten = Callable[..., Scenario]


def drive(runner: Runner, scenario: Scenario, mutation: str = "") -> Run:
    """Run `scenario` against the gateway, broken by `mutation` if one is named."""
    preload = f"mutations:{mutation}" if mutation else ""
    return runner.run(Request(scenario, scenario.seed, "virtual", preload))


def broken(run: Run) -> list[str]:
    """The limits that a run that came to its end did not keep."""
    if run.failure:  # no assertion: an expected failure must not hide it
        raise RuntimeError(run.failure)
    return [verdict.limit.name for verdict in run.verdicts if verdict.outcome.is_failure]


def ways() -> Iterator[object]:
    """Yield the cases; a further way to break the same limit of a scenario is long."""
    seen: set[tuple[str, str]] = set()
    for mutation, name, limit in CASES:
        is_further = (name, limit) in seen
        seen.add((name, limit))
        yield pytest.param(mutation, name, limit, marks=[pytest.mark.long] * is_further)


@pytest.mark.parametrize("name", [name for name in CUTS if CUTS[name] or name in WITHOUT])
def test_the_unbroken_gateway_passes(name: str, runner: Runner, shortened: Shorten) -> None:
    """Each scenario that is cut here passes as long as nothing is broken."""
    assert broken(drive(runner, shortened(name, CUTS[name], WITHOUT.get(name, ())))) == []


@pytest.mark.parametrize(("mutation", "name", "limit"), list(ways()))
def test_a_broken_gateway_fails(
    mutation: str, name: str, limit: str, runner: Runner, shortened: Shorten
) -> None:
    """A mistake in the gateway breaks the limit that is meant for it."""
    scenario = shortened(name, CUTS[name], WITHOUT.get(name, ()))
    assert limit in broken(drive(runner, scenario, mutation))


def test_every_mutation_is_tried() -> None:
    """No function of the package `mutations` is forgotten by the tests."""
    folder = Path(__file__).parent
    names = {
        node.name
        for module in (folder / "mutations").glob("*.py")
        if module.stem != "patching"
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    tests = [folder / "mutation_cases.py", folder / "test_determinism.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in tests)
    assert {name for name in names if f'"{name}"' not in text} == set()
