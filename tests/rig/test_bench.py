"""Bench files: what stands on the desk."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.bench import read_bench
from rig.scenario.errors import ScenarioError


def bench(folder: Path, text: str) -> Path:
    """Write a bench file."""
    path = folder / "desk.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_bench_names_an_interface(tmp_path: Path) -> None:
    """Bit rates are numbers or have a unit; what else python-can wants stands in options."""
    path = bench(
        tmp_path,
        """
# the desk in the cellar
can:
  interface: pcan
  channel: PCAN_USBBUS1
  bitrate: 250 kbit/s
  options: {auto_reset: true, state: ACTIVE, sjw: 2, name: "7"}
""",
    )
    can = read_bench(path).can
    assert can is not None
    assert (can.interface, can.channel, can.bitrate_bps) == ("pcan", "PCAN_USBBUS1", 250_000)
    assert can.options == {"auto_reset": True, "state": "ACTIVE", "sjw": 2, "name": "7"}
    assert can.place == f"{path}:4"


def test_defaults(tmp_path: Path) -> None:
    """500 kbit/s; a channel that is a number is one; without the section there is none."""
    can = read_bench(bench(tmp_path, "can: {interface: kvaser, channel: 0}")).can
    assert can is not None
    assert (can.channel, can.bitrate_bps, can.options) == (0, 500_000, {})
    assert read_bench(bench(tmp_path, "can:")).can is None
    bare = read_bench(bench(tmp_path, "can: {interface: x, channel: y, bitrate: 125000}")).can
    assert bare is not None
    assert bare.bitrate_bps == 125_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a bench, found an empty file; start with `can: {interface:"),
        ("cna: {}", ":1: expected a key of a bench, found 'cna'; did you mean 'can'?"),
        ("can: [a]", ":1: expected 'can', found a list"),
        ("can:\n  interface: pcan", ":2: expected 'channel' in 'can', found interface; add, say"),
        ("can: {interface: pcan, channel: }", "expected a channel, found nothing"),
        ("can: {interface: a b, channel: c}", "an interface: a letter, then letters"),
        ("can: {interface: a, channel: c, bitrate: 3}", "a whole number from 5000 to 1000000"),
        ("can: {interface: a, channel: c, bitrate: 5 Mbit/s}", "expected at most 1e+06 bit/s"),
        ("can: {interface: a, channel: c, options: 3}", "expected 'options', keywords of can.Bus"),
        ("can: {interface: a, channel: c, interface: b}", "each key once in 'can'"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, words: str) -> None:
    """File, line, what was expected, what stands there, what to do."""
    path = bench(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_bench(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is called what it should have been."""
    with pytest.raises(ScenarioError, match="expected a readable bench file, found no such file"):
        read_bench(tmp_path / "none.yaml")
