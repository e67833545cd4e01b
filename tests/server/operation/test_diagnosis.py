"""PIDs and trouble codes of the gateway's own car, by the API and by the commands."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.config import parse_config
from server.gateway import Gateway
from server.obd.services import bitmap_of, code_of, codes_of, ecu_name, name_of, pids_of, why_not
from server.operation.dtc import COMMAND as DTC
from server.operation.pids import COMMAND as PIDS
from tests.server.obd.conftest import ScriptedElm
from tests.server.running import QUICK, running

SECRET = "operator-secret-of-this-test"
HEADERS = {"X-API-Key": SECRET}


@pytest.fixture
def elm(tmp_path: Path) -> Iterator[ScriptedElm]:
    """An adapter whose car has two stored codes and one pending, and stands."""
    device = ScriptedElm(tmp_path / "ttyOBD")
    device.replies |= {
        b"010D": b"7E8 03 41 0D 00 \r\r>",
        b"0160": b"NO DATA\r\r>",
        b"03": b"7E8 06 43 02 01 33 C1 00 \r\r>",
        b"07": b"7E8 04 47 01 03 01 \r7E9 02 47 00 \r\r>",
        b"0A": b"NO DATA\r\r>",
        b"04": b"7E8 01 44 \r7E9 03 7F 04 22 \r\r>",
    }
    yield device
    if Path(device.path).is_symlink():
        device.unplug()


def text(elm: ScriptedElm, more: str = "") -> str:
    """A configuration with this adapter, and without a database."""
    return (
        QUICK
        + f"[database]\nenabled = false\n[api]\nsecret = '{SECRET}'\n{more}"
        + f"[links.car]\nkind = 'obd'\nport = '{elm.path}'\n"
        + "plan = [{signal = 'RPM', rate_hz = 20}, {signal = 'SPEED', rate_hz = 5}]\n"
    )


async def connected(gateway: Gateway) -> None:
    """Wait until the car answers."""
    async with asyncio.timeout(15):
        while not gateway.latest:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def command(which: Any, *arguments: str) -> int:
    """Run a command in this process; it blocks, so call it in a thread."""
    parser = argparse.ArgumentParser()
    which.add_arguments(parser)
    return int(which.run(parser.parse_args(arguments)))


@pytest.mark.promise("A07", "D18")
async def test_what_the_car_has_and_its_codes(
    elm: ScriptedElm, capsys: pytest.CaptureFixture[str]
) -> None:
    """PIDs with names and values, codes by kind and ECU; cleared only after a word, and told."""
    async with (
        running(parse_config(text(elm), "t", {})) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers=HEADERS, timeout=30) as client,
    ):
        await connected(gateway)
        answer = (await client.get("/api/v1/obd/pids")).json()
        pids = {pid["pid"]: pid for pid in answer["pids"]}
        assert answer["link"] == "car"
        assert pids["0C"]["name"] == "RPM"
        assert pids["0C"]["value"] == 1726.0
        assert (pids["0C"]["planned"], pids["05"]["planned"]) == (True, False)
        assert pids["0C"]["ecus"] == ["7E8"]
        assert "20" not in pids
        assert len(pids) > 20
        codes = (await client.get("/api/v1/obd/dtcs")).json()
        assert codes["codes"]["stored"] == {"7E8": ["P0133", "U0100"]}
        assert codes["codes"]["pending"] == {"7E8": ["P0301"], "7E9": []}
        assert codes["count"] == 3
        place = ("--url", gateway.url, "--secret", SECRET)
        assert await asyncio.to_thread(command, PIDS, *place, "--missing", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert "RPM" not in [pid["name"] for pid in told["pids"]]
        assert await asyncio.to_thread(command, DTC, "read", *place) == 0
        assert "P0301  pending  7E8" in capsys.readouterr().out
        refused = await client.post("/api/v1/obd/dtcs/clear", json={"confirm": False})
        assert refused.status_code == 400
        assert b"04" not in elm.asked
        assert await asyncio.to_thread(command, DTC, "clear", *place, "--yes") == 0
        out = capsys.readouterr().out
        assert "cleared by: 7E8" in out
        assert "refused by 7E9: conditions not correct" in out
        assert b"04" in elm.asked
        stranger = await client.get("/api/v1/obd/dtcs", headers={"X-API-Key": "x" * 20})
        assert stranger.status_code == 401
        seen = gateway.pipeline.counts.accepted
        async with asyncio.timeout(10):
            while gateway.pipeline.counts.accepted <= seen:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("speed", "found"),
    [(b"7E8 03 41 0D 07 \r\r>", "7 km/h (SPEED)"), (b"NO DATA\r\r>", "no speed")],
)
async def test_a_car_that_moves_is_not_cleared(
    elm: ScriptedElm, speed: bytes, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A car that moves, or does not say that it stands, is left alone."""
    async with running(parse_config(text(elm), "t", {})) as gateway:
        await connected(gateway)
        elm.replies[b"010D"] = speed
        place = ("--url", gateway.url, "--secret", SECRET)
        assert await asyncio.to_thread(command, DTC, "clear", *place, "--yes") == 1
    assert found in capsys.readouterr().err
    assert b"04" not in elm.asked


async def test_who_may_not(elm: ScriptedElm) -> None:
    """[control] allowed rules this command too; a link that is not there is named."""
    config = parse_config(text(elm, "[control]\nallowed = ['reboot']\n"), "t", {})
    async with (
        running(config) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers=HEADERS) as client,
    ):
        refused = await client.post("/api/v1/obd/dtcs/clear", json={"confirm": True})
        assert refused.status_code == 403
        none = await client.get("/api/v1/obd/pids?link=other")
        assert (none.status_code, none.json()["expected"]) == (404, "one of car")


def test_clearing_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --yes and without a person nothing is asked of anybody; a no is a no."""
    assert command(DTC, "clear", "--url", "http://127.0.0.1:1") == 2
    assert "expected --yes" in capsys.readouterr().err

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "no\n"

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert command(DTC, "clear", "--url", "http://127.0.0.1:1") == 2
    assert "not confirmed; nothing was done" in capsys.readouterr().err


def test_what_answers_mean() -> None:
    """Bitmaps, codes of CAN and of older buses, refusals and names."""
    assert pids_of(bytes((0x80, 0, 0, 1)), 0x20) == [0x21, 0x40]
    assert bitmap_of(b"\x41\x00\xbe\x3f\xb8\x13", 0) == b"\xbe\x3f\xb8\x13"
    assert bitmap_of(b"\x41\x20\xbe\x3f\xb8\x13", 0) is None
    assert [code_of(pair) for pair in (b"\x01\x33", b"\x41\x23", b"\x9a\xbc", b"\xe1\x00")] == [
        "P0133",
        "C0123",
        "B1ABC",
        "U2100",
    ]
    assert codes_of(b"\x43\x01\x01\x33", 3) == ["P0133"]
    assert codes_of(b"\x47\x01\x33\x00\x00\x00\x00", 7) == ["P0133"]
    assert codes_of(b"\x7f\x0a\x11", 10) is None
    assert codes_of(b"\x43\x00", 3) == []
    assert why_not(b"\x7f\x04\x22").startswith("conditions not correct")
    assert why_not(b"\x7f\x04\x99") == "reason 0x99"
    assert why_not(b"\x44") == ""
    assert name_of(0x1C)[2] == "OBD standard"
    assert (ecu_name(0x7E8), ecu_name(2)) == ("7E8", "2")
