"""Reads a Dockerfile: its instructions by stage, with variables filled in."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One stage: its base, its name, its instructions as (keyword, text)."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def texts(self, keyword: str) -> list[str]:
        """The texts of one kind of instruction."""
        return [text for found, text in self.instructions if found == keyword]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV and ARG set; their own variables filled in."""
        env: dict[str, str] = {}
        for keyword, text in self.instructions:
            if keyword in ("ENV", "ARG"):
                for pair in shlex.split(text):
                    name, _, value = pair.partition("=")
                    env[name] = fill(value, env)
        return env


def read_dockerfile(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """Give the arguments before the first stage, and the stages."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        keyword, _, rest = line.strip().partition(" ")
        keyword, rest = keyword.upper(), rest.strip()
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(fill(base, arguments), name))
        elif not stages:
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            stages[-1].instructions.append((keyword, rest))
    return arguments, stages


def fill(text: str, variables: dict[str, str]) -> str:
    """Fill in `${NAME}` and `$NAME` of known variables."""
    return re.sub(
        r"\$\{(\w+)\}|\$(\w+)",
        lambda found: variables.get(found[1] or found[2], found[0]),
        text,
    )


def exec_form(text: str) -> list[str]:
    """Give the words of an instruction in exec form, `["a", "b"]`."""
    words = json.loads(text)
    assert isinstance(words, list)
    return [str(word) for word in words]
