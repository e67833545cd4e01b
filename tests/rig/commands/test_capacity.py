"""`telerig capacity`: its tables and its JSON, and what it says to options that make no fleet."""

from __future__ import annotations

import argparse
import json

import pytest

from rig.commands.capacity import COMMAND, CapacityUsageError


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    assert COMMAND.run(parser.parse_args(words)) == 0
    return capsys.readouterr().out


def test_it_names_sizes_and_what_gives_way_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of the fleet, and the limits, the tightest first."""
    out = told(capsys, "--vehicles", "1e6", "--rate-hz", "1", "--signals", "20", "--figures")
    assert "1,000,000 vehicles" in out
    assert "20,000,000" in out
    assert "What gives way first in a cell" in out
    assert "compact_us" in out


def test_json_has_all_of_it_and_figures_can_be_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """Plan, trials and figures in one document; a storm is the same each time."""
    words = ("--vehicles", "300", "--gateways", "3", "--storm", "--json", "--set", "row_us=40")
    document = json.loads(told(capsys, *words))
    assert document["plan"]["requests_per_s"] == pytest.approx(30)
    assert document["figures"]["row_us"]["value"] == 40
    assert [trial["trial"]["kind"] for trial in document["trials"]].count("outage") == 4
    assert document == json.loads(told(capsys, *words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--set", "row_us=none"), "NAME=VALUE above 0"),
        (("--set", "speed=3"), "found 'speed'"),
        (("--hours-a-day", "25"), "at most 24 hours"),
    ],
)
def test_wrong_options_are_refused_in_words(words: tuple[str, ...], expected: str) -> None:
    """What was expected, and what came."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    with pytest.raises(CapacityUsageError, match=expected):
        COMMAND.run(parser.parse_args(words))


@pytest.mark.parametrize("words", [("--vehicles", "0"), ("--vehicles", "many"),
                                   ("--on-the-road", "2")])  # fmt: skip
def test_numbers_are_checked_where_they_are_read(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse says it."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(words)
    assert "expected" in capsys.readouterr().err
