"""What docs/known-issues.md says can be repeated."""

from __future__ import annotations

import re
from pathlib import Path

from rig.scenario import load_scenario

DOCS = Path(__file__).parents[1] / "docs"


def test_every_issue_says_how_to_repeat_it() -> None:
    """Each section names a seed or a file; the files are scenarios with limits to break."""
    text = (DOCS / "known-issues.md").read_text(encoding="utf-8")
    sections = text.split("\n## ")[1:]
    assert [s for s in sections if not re.search(r"--?seed|of seed \d|telerig run", s)] == []
    named = set(re.findall(r"docs/(known_issues/\w+\.scenario\.yaml)", text))
    there = {str(path.relative_to(DOCS)) for path in DOCS.glob("known_issues/*")}
    assert named == there
    assert all(load_scenario(DOCS / name).limits for name in named)
