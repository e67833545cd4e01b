"""docs/promises.md: every promise of the older systems has an answer, and a kept one a test."""

from __future__ import annotations

import ast
import configparser
import functools
import re
import tomllib
from pathlib import Path

import pytest

from rig.scenario import expand_scenario

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "promises.md"
SOURCE = ROOT.parent / "shared" / "PROMISES.md"
# How many there are of each kind: none can go away quietly.
COUNTS = {"E": 38, "W": 14, "P": 20, "D": 18, "T": 15, "A": 8, "X": 9, "F": 16, "O": 17}
PROMISED = [f"{kind}{number:02d}" for kind, most in COUNTS.items() for number in range(1, most + 1)]
_ROW = re.compile(r"^\| ([A-Z]\d\d) \| (.+?) \| (.+) \|$", re.MULTILINE)


def _answers() -> dict[str, str]:
    rows = _ROW.findall(PAGE.read_text())
    found = {row[0]: row[2] for row in rows}
    assert len(found) == len(rows), "an id stands twice"
    return found


@functools.cache
def _marked() -> frozenset[str]:
    """Give the ids that tests are marked with, read from the sources: nothing is collected."""
    found = set()
    for folder in ("tests", "scenarios"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            if "mark.promise" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == (
                        "pytest.mark.promise"
                    ):
                        found.update(ast.literal_eval(argument) for argument in mark.args)
    return frozenset(found)


def test_every_promise_has_a_line() -> None:
    """The page has each id once, and no other."""
    assert sorted(_answers()) == sorted(PROMISED)


@pytest.mark.parametrize("promise", PROMISED)
def test_each_is_kept_or_better(promise: str) -> None:
    """A kept promise has a test; a better way or a figure says what and why."""
    answer = _answers()[promise]
    if answer.startswith("**Better:**"):
        assert len(answer) > 60, "a better way needs its reason"
    elif answer.startswith("**Measured:**"):
        assert promise.startswith("F"), "only figures are measured beside the tests"
        assert re.search(r"\d", answer), "a measured figure says which"
    else:
        assert promise in _marked(), f"no test is marked {promise}"


def test_marks_name_promises() -> None:
    """No test keeps a promise that nobody made."""
    assert _marked() <= set(PROMISED)


def test_nothing_promised_was_forgotten() -> None:
    """The list is that of the page that was handed over."""
    if not SOURCE.exists():
        pytest.skip("the page of promises is not at hand")
    ids = re.findall(r"^\| ([A-Z]\d\d) \|", SOURCE.read_text(), re.MULTILINE)
    assert sorted(ids) == sorted(PROMISED)


@pytest.mark.promise("F14")
def test_coverage_is_demanded() -> None:
    """The command that measures coverage fails below 90 %."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["coverage"]["report"]["fail_under"] >= 90
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    assert "--cov " in tox["testenv:coverage"]["commands"]


@pytest.mark.promise("O13")
def test_each_room_of_the_gateway_has_tests() -> None:
    """A package of the gateway has a folder of tests."""
    rooms = {path.parent.name for path in (ROOT / "server").glob("*/__init__.py")}
    folder = ROOT / "tests" / "server"
    assert [room for room in sorted(rooms) if not any((folder / room).rglob("test_*.py"))] == []


@pytest.mark.promise("O16")
def test_the_licence() -> None:
    """It is MIT, and what is GPL comes with extras alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    needed = {re.split(r"[>=<\[]", text)[0] for text in project["dependencies"]}
    assert not needed & {"obd", "meshtastic"}


@pytest.mark.promise("D03")
@pytest.mark.parametrize("name", ["idle", "cruise", "acceleration", "hard_driving"])
def test_the_drives_that_were_promised(name: str) -> None:
    """Each is a scenario with limits."""
    for scenario in expand_scenario(ROOT / "scenarios" / f"{name}.scenario.yaml"):
        assert [limit.name for limit in scenario.limits]
