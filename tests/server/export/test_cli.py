"""`telerig export` against a gateway."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from server.devices.client import UsageError
from server.export.cli import COMMAND, path_of
from server.gateway import Gateway
from tests.server.export.conftest import drive

pytestmark = pytest.mark.asyncio(loop_scope="module")


def parsed(*arguments: str) -> argparse.Namespace:
    """Arguments of a command line."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return parser.parse_args(arguments)


async def run(*arguments: str) -> int:
    """Run the command beside the gateway."""
    return await asyncio.to_thread(COMMAND.run, parsed(*arguments))


async def test_what_is_asked() -> None:
    """The file's name says format and compression; the rest are filters."""
    assert path_of(parsed("12")) == "/api/v1/export/sessions/12/signals.csv"
    assert path_of(parsed("12", "-o", "a/b.json.gz")) == (
        "/api/v1/export/sessions/12/signals.json?compress=gzip"
    )
    assert path_of(parsed("12", "-o", "t.kml")) == "/api/v1/export/sessions/12/track.kml"
    given = parsed("--device", "a b", "--frames", "--period-ms", "0", "--sources", "gps,obd")
    assert path_of(given) == (
        "/api/v1/export/devices/a%20b/frames.csv?sources=gps%2Cobd&period_ms=0"
    )
    for wrong in (
        [],
        ["12", "--device", "x"],
        ["12", "-o", "x.doc"],
        ["1", "--frames", "-o", "t.gpx"],
    ):
        with pytest.raises(UsageError):
            path_of(parsed(*wrong))


async def test_a_session_becomes_a_file(
    served: Gateway, session: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is there when it is whole; --json says what was done; a refusal says why."""
    file = tmp_path / "drive.csv.gz"
    assert await run(str(session), "-o", str(file), "--url", served.url, "--json") == 0
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == 60 * 24 + 1
    said = json.loads(capsys.readouterr().out)
    assert said == {"file": str(file), "bytes": file.stat().st_size}
    assert await run("999999", "-o", str(file), "--url", served.url) == 1
    assert "the id of a session" in capsys.readouterr().err
    missing = tmp_path / "no" / "drive.csv"
    assert await run(str(session), "-o", str(missing), "--url", served.url) == 1
    assert "expected to write" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["drive.csv.gz"]


async def test_a_broken_export_leaves_no_file(
    served: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An export whose process dies in the middle is an error for who downloads it, not a short
    file."""
    await drive(served, 3600, "esp-3")
    path = tmp_path / "drive.csv"
    running = asyncio.create_task(run("--device", "esp-3", "-o", str(path), "--url", served.url))
    async with asyncio.timeout(20):
        while not os.listdir(tmp_path):  # noqa: ASYNC110 (nobody tells of a file)
            await asyncio.sleep(0.01)
    for process in list(served.exports._processes):
        process.kill()
    assert await running == 1
    assert "broke" in capsys.readouterr().err
    assert not os.listdir(tmp_path)


async def test_what_cannot_be_written_is_told_as_that(
    served: Gateway, session: int, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A folder, or a full disk, is no gateway that does not answer; who reads the standard output
    of the command and has enough ends it quietly."""
    assert await run(str(session), "-o", str(tmp_path), "--format", "csv", "--url", served.url) == 1
    assert await run(str(session), "-o", ".", "--format", "csv", "--url", served.url) == 1
    said = capfdbinary.readouterr().err.decode()
    assert said.count("expected to write") == 2
    command = f"{sys.executable} -m rig.cli export {session} -o - --url {served.url}"
    for shell, code, told in (
        (f"{command} | head -c 9; exit ${{PIPESTATUS[0]}}", 0, b""),
        (f"{command} > /dev/full", 1, b"expected to write the standard output, got: No space left"),
    ):
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", shell, stdout=PIPE, stderr=PIPE, cwd=Path(__file__).parents[3]
        )
        _, errors = await process.communicate()
        assert process.returncode == code, errors
        assert told in errors
        assert bool(errors) == bool(told)
