"""`telerig test` measures a gateway, a simulated one and one that runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from typing import Any

import pytest

import server.store.embedded as embedded
from server.config import parse_config
from server.operation.trial import COMMAND, Trial
from tests.server.running import QUICK, running


def run(*arguments: str) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args(arguments))


@pytest.mark.promise("A07", "F02")
def test_a_simulated_gateway(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sixteen signals at 10 Hz arrive and are stored; nothing but numbers is printed."""

    class Server(contextlib.nullcontext[Any]):
        def __init__(self, **_: object) -> None:
            super().__init__(self)

        def start(self) -> str:
            return database_url

    monkeypatch.setattr(embedded, "EmbeddedPostgres", Server)
    assert run("--duration", "1.5", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert len(found["signals"]) == 16
    assert found["readings_per_s"] > 100
    assert found["latency_ms"]["p50"] > 0
    assert found["stored_ms"]["p50"] > 0
    assert found["links"] == {"simulated": "up"}


async def test_a_running_gateway(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway without readings is found out, and left as it was; one of this machine is not asked
    through a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    text = QUICK + "[database]\nenabled = false\n"
    async with running(parse_config(text, "t", {})) as gateway:
        code = await asyncio.to_thread(run, "--duration", "0.3", "--url", gateway.url)
    assert code == 1
    assert "PROBLEM: no reading came" in capsys.readouterr().out


async def test_a_gateway_that_wants_to_know_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    """The word of a refused listener says what is missing."""
    text = QUICK.replace("viewer", "none") + "[database]\nenabled = false\n"
    async with running(parse_config(text, "t", {})) as gateway:
        for secret, found in (((), "none"), (("--secret", "s" * 20), "another")):
            assert await asyncio.to_thread(run, "--url", gateway.url, *secret) == 1
            expected = f"the gateway's API secret in TELERIG_API_SECRET, found {found}"
            assert expected in capsys.readouterr().err


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody there is 1, a duration that is none is 2."""
    assert run("--url", "http://127.0.0.1:1") == 1
    assert "expected a gateway's live stream at ws://127.0.0.1:1" in capsys.readouterr().err
    assert run("--duration", "0") == 2


def test_what_is_told() -> None:
    """Drops, a failing store and a link that is down are problems."""
    trial = Trial()
    trial.take({"type": "hello", "device": "car-1", "signals": {"12": "RPM"}}, 0)
    row = [1, 12, 0, 900.0, 1_000_000, 0]
    trial.take({"type": "readings", "device": "car-1", "readings": [row]}, 3_000_000)
    trial.take({"type": "stored", "device": "car-1", "upto": 1}, 5_000_000)
    trial.take({"type": "dropped", "count": 7}, 0)
    trial.take({"type": "link", "name": "obd", "state": "down"}, 0)
    trial.take({"type": "store", "state": "failing", "reason": "disk full"}, 0)
    found = trial.report(2.0, {"ready": True, "links": {}})
    assert (trial.latencies_ms, trial.stored_ms) == ([2.0], [4.0])
    assert found["signals"] == {"RPM": 0.5}
    assert found["problems"] == [
        "this listener was too slow for 7 frames",
        "the store fails: disk full",
        "link obd is down",
    ]
