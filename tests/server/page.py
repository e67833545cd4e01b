"""Commands that stand on a page of docs/, run as a reader would."""

from __future__ import annotations

import asyncio
import os
import re


def blocks(page: str, language: str) -> list[str]:
    """Give the code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def examples(page: str) -> list[tuple[str, str]]:
    """Give each command of a page, and the answer that stands below it."""
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            ends = next(i for i, line in enumerate(lines) if line.startswith('{"'))
            found.append(("\n".join(lines[:ends]), "\n".join(lines[ends:])))
    return found


async def run(command: str, env: dict[str, str]) -> str:
    """Run a shell command; give its output."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, env=os.environ | env, stdout=-1, stderr=-1
    )
    output, complaint = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, complaint) == (0, b"")
    return output.decode()
