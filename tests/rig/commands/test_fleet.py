"""`telerig fleet`: a fleet against a real gateway, and what is said of options that make none."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from rig.commands.fleet import COMMAND, SECRET_VARIABLE
from rig.errors import RigError
from rig.fleet.record import Record
from server.store.embedded import EmbeddedPostgres
from tests.server.running import QUICK, gateway_config, running

SECRET = "a secret of the tests, long enough"
QUICKLY = "--vehicles 10 --rate 20 --signals 4 --batch 0.5s --models 1 --lap 2s --for 3s"


@pytest.fixture
def database_url(server: EmbeddedPostgres) -> Iterator[str]:
    """A database without a table."""
    yield server.create_database("fleet_command")
    server.drop_database("fleet_command")


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Keep the gateway's log from the command's output."""
    structlog.configure(
        processors=[structlog.testing.LogCapture()], cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()


def _arguments(text: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return parser.parse_args(text.split())


async def test_a_fleet_is_driven_and_checked(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Devices are registered, driven through an outage, and all that was acknowledged is there."""
    record = tmp_path / "fleet.npz"
    async with running(gateway_config(database_url, f'{QUICK}[api]\nsecret = "{SECRET}"\n')) as it:
        text = f"{QUICKLY} --gateway {it.url} --database {database_url} --record {record} --json"
        arguments = _arguments(f"{text} --outage 1s+0.5s --share 50")
        arguments.secret = SECRET  # it has spaces
        code = await asyncio.to_thread(COMMAND.run, arguments)
    figures = json.loads(capsys.readouterr().out)
    assert code == 0, figures
    check = figures["check"]
    assert (check["missing"], check["doubled"], check["out_of_order"], check["wrong"]) == (0,) * 4
    assert check["compared"] == 10
    assert len(Record.load(record)) * 40 == figures["readings_acknowledged"] == check["stored"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--gateway ftp://127.0.0.1", "expected a gateway as http://host:port"),
        ("--signals 99", "signals: expected 1 to 30, found 99"),
        ("--outage 60s", "--outage: expected a time and how long, '60s+30s', found '60s'"),
        ("--vehicles 3 --models 1 --lap 10s", "expected --secret"),
    ],
)
def test_mistakes_are_said_in_words(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line: what was expected, and what came."""
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    with pytest.raises(RigError) as caught:
        COMMAND.run(_arguments(text))
    assert words in str(caught.value)
    assert caught.value.usage
