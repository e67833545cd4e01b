"""The examples of docs/dialects.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

DOCS = (Path(__file__).parents[3] / "docs" / "dialects.md").read_text(encoding="utf-8")


def blocks(language: str) -> str:
    """The code blocks of a language, together."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL))


async def test_the_examples_work(run_gateway: Callable[..., Any]) -> None:
    """The configuration loads, and each curl command is taken whole."""
    async with run_gateway(blocks("toml")) as gateway:
        _, minted = await gateway.registry.register("phone-1")
        words = shlex.split(blocks("sh").replace("$KEY", minted.key))
        paths = [word for word in words if word.startswith("$GATEWAY")]
        bodies = [words[place + 1] for place, word in enumerate(words) if word == "-d"]
        assert len(paths) == len(bodies) == 3
        async with httpx2.AsyncClient(base_url=gateway.url) as client:
            for path, body in zip(paths, bodies, strict=True):
                answer = await client.post(path.removeprefix("$GATEWAY"), content=body)
                assert answer.status_code == 200, answer.text
                assert answer.json()["rejected"] == 0
