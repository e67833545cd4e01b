"""The commands of docs/export.md."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import httpx2
import pytest
from starlette.responses import Response

from server.export import cli as exporting
from server.export.job import Job
from server.gateway import Gateway
from server.importer import cli as importing
from server.importer.plan import parse_rules

DOCS = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("telerig")])
def test_the_commands_are_understood(line: str) -> None:
    """Each command line has arguments that the command takes."""
    words = shlex.split(line.partition(" | ")[0], comments=True)
    assert words[0] == "telerig"
    parser = argparse.ArgumentParser()
    if words[1] == "export":
        exporting.COMMAND.add_arguments(parser)
        assert exporting.path_of(parser.parse_args(words[2:])).startswith("/api/v1/export/")
    else:
        assert words[1] == "import"
        importing.COMMAND.add_arguments(parser)
        parse_rules(parser.parse_args(words[2:]).map)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_addresses_answer(
    served: Gateway, session: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address is understood, and asks for a file of the name that it ends with."""

    def named(exports: object, job: Job) -> Response:
        return Response(job.file_name)

    monkeypatch.setattr("server.export.routes.ExportResponse", named)
    found = [shlex.split(line)[-1] for line in LINES if line.startswith("curl")]
    assert len(found) == 7
    async with httpx2.AsyncClient(base_url=served.url) as client:
        for address in found:
            path = address.removeprefix("$GATEWAY").replace("/12/", f"/{session}/")
            answer = await client.get(path)
            assert answer.status_code == 200, path
            asked = path.partition("?")[0].rpartition("/")[2]
            assert answer.text.removesuffix(".gz").endswith(f"_{asked}")
