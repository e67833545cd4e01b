"""`telerig replay`: to the screen, and into another gateway (T09)."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from server.gateway import Gateway
from server.readings import Reading, State
from server.replay.cli import COMMAND
from server.replay.sending import Sender
from server.store.embedded import EmbeddedPostgres

KEY = "key-of-the-replaying-device"
TO = f"[api]\ndevice_keys = ['ghost:{KEY}']\n"
START_NS = 1_700_000_000 * 10**9

Telerig = Callable[[str], Awaitable[tuple[int, str, str]]]


def run(words: str) -> int:
    """Run `telerig replay WORDS` in this process."""
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args(shlex.split(words)))


@pytest.fixture
def telerig(capsys: pytest.CaptureFixture[str]) -> Telerig:
    """Run the command beside the gateway; give exit code, output, and complaints."""

    async def replay(words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, words)
        return code, *capsys.readouterr()

    return replay


async def record(gateway: Gateway) -> None:
    """Store two seconds of two signals; one reading was restored, and one is lost."""
    readings = [
        Reading(signal, START_NS + n * 10**8, float(n), START_NS)
        for n in range(20)
        for signal in (12, 13)
    ]
    later_ns = START_NS + 2 * 10**9
    readings.append(Reading(12, later_ns, 20.0, START_NS, State.BOUNDED))
    readings.append(Reading(13, later_ns, float("nan"), START_NS, State.LOST))
    gateway.pipeline.offer(readings)
    async with asyncio.timeout(20):
        while gateway.pipeline.counts.stored < len(readings):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def stored(gateway: Gateway, device: str) -> list[tuple[int, int, float | None, int]]:
    """Signal, instant, value and state of what a gateway has of a device."""
    async with httpx2.AsyncClient(base_url=gateway.url) as client:
        answer = await client.get("/api/v1/readings", params={"device": device, "limit": 1000})
        found = answer.json()["readings"]
    return sorted((r["signal"], r["time_ns"], r["value"], r["state"]) for r in found)


@pytest.mark.promise("T09")
async def test_into_another_gateway(
    run_gateway: Callable[..., Any],
    postgres: EmbeddedPostgres,
    telerig: Telerig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything arrives there once, as it was, whatever answers are lost on the way."""
    url = postgres.create_database("replay_to")
    lost = iter([True, False] * 1000)
    sent = Sender._try

    def flaky(sender: Sender, body: bytes) -> tuple[int, bytes, float]:
        status, text, _ = sent(sender, body)
        return (0, b"lost", 0.0) if next(lost) else (status, text, 0.0)

    monkeypatch.setattr(Sender, "_try", flaky)
    async with run_gateway() as here, run_gateway(TO, url=url) as there:
        await record(here)
        words = f"{here.hotlog.session_id} --url {here.url} --to {there.url} --speed 20"
        code, out, err = await telerig(f"{words} --key {KEY} --json")
        assert (code, err) == (0, "")
        told = json.loads(out)
        assert (told["readings"], told["lost"], told["rejected"]) == (42, 1, 0)
        assert told["duplicates"] == 41  # each answer was lost once
        here_stored = await stored(here, "car-1")
        assert await stored(there, "ghost") == [row for row in here_stored if row[2] is not None]
        assert (12, START_NS + 2 * 10**9, 20.0, State.BOUNDED) in await stored(there, "ghost")
        before_ns = time.time_ns()
        code, _, err = await telerig(f"{words} --key {KEY} --times now --signal RPM")
        assert code == 0
        assert "21 readings, 21 stored" in err
        now = [row for row in await stored(there, "ghost") if row[1] > before_ns]
        assert [row[2] for row in now] == [float(n) for n in range(21)]
        span_s = (now[-1][1] - now[0][1]) / 1e9
        assert span_s == pytest.approx(2 / 20, abs=1e-6)
    postgres.drop_database("replay_to")


async def test_to_the_screen(run_gateway: Callable[..., Any], telerig: Telerig) -> None:
    """Without another gateway messages are lines, and the last one says that it has ended."""
    async with run_gateway() as here:
        await record(here)
        words = f"--device car-1 --url {here.url} --speed 100 --form points"
        code, out, _ = await telerig(words)
        assert code == 0
        messages = [json.loads(line) for line in out.splitlines()]
        assert messages[0]["type"] == "hello"
        assert sum(message["type"] == "reading" for message in messages) == 42
        assert (messages[-1]["type"], messages[-1]["state"]) == ("replay", "ended")


async def test_what_goes_wrong_is_a_line(run_gateway: Callable[..., Any], telerig: Telerig) -> None:
    """Wrong words are 2, a gateway that refuses or is not there is 1, each with a reason."""
    assert (await telerig(""))[0] == 2
    assert (await telerig("7 --to http://127.0.0.1:1"))[0] == 2
    assert (await telerig("7 --url nonsense"))[0] == 2
    code, _, err = await telerig("7 --url http://127.0.0.1:1")
    assert (code, err.count("\n")) == (1, 1)
    assert "start it with telerig serve" in err
    async with run_gateway() as here:
        code, _, err = await telerig(f"1000000 --url {here.url}")
        assert code == 1
        assert "session: expected the number of a session" in err
        await record(here)
        words = f"{here.hotlog.session_id} --url {here.url} --to {here.url} --speed 100"
        code, _, err = await telerig(f"{words} --key wrong-key-of-somebody")
        assert code == 1
        assert "into the other gateway" in err
