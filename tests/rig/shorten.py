"""Shipped scenarios, cut short for tests: less time, the same limits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from rig.scenario import expand_scenario
from rig.scenario.model import Scenario

SHIPPED = Path(__file__).parents[2] / "scenarios"


def shorten(
    folder: Path, name: str, cuts: Mapping[str, str], without: Collection[str] = ()
) -> Scenario:
    """Write the first variant of a shipped scenario into `folder`, cut short, and return it.

    `cuts` says what replaces what in the file's text. Each text must be there once, and only times
    may change: the limits stay the shipped ones. Links of `without` are left out with their limits.
    """
    shipped = SHIPPED / f"{name}.scenario.yaml"
    text = shipped.read_text(encoding="utf-8")
    for link in without:
        text, count = re.subn(rf"^(needs: .*), {link}\b", r"\1", text, flags=re.MULTILINE)
        assert count == 1, f"{shipped.name}: expected {link!r} among what it needs"
        text = re.sub(rf"^  {link}\..*$", "", text, flags=re.MULTILINE)
    for old, new in cuts.items():
        assert text.count(old) == 1, f"{shipped.name}: expected {old!r} once: cut it elsewhere"
        text = text.replace(old, new)
    copy = folder / shipped.name
    copy.write_text(text, encoding="utf-8")
    long, short = expand_scenario(shipped)[0], expand_scenario(copy)[0]
    kept = tuple(limit for limit in long.limits if limit.name.split(".")[0] not in without)
    assert (short.limits, short.after) == (kept, long.after)
    assert (short.world, short.gateway) == (long.world, long.gateway)
    return short
