"""Provisioning over HTTP: an admin begins, the gateway's machine speaks with the device."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.gateway import Gateway
from server.provisioning.job import in_words
from tests.firmware.provisioning.board import PASSPHRASE
from tests.server.provisioning.device_server import DeviceServer, serving

SECRET = "correct horse battery"
CONFIG = f'[api]\nsecret = "{SECRET}"\n[provisioning]\nnetworks = ["127.0.0.0/8"]\n'
PATH = "/api/v1/provisioning"
PATIENCE_S = 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    pytest.importorskip("cryptography", reason="provisioning needs the library cryptography")
    monkeypatch.setattr("server.provisioning.flow.POLL_S", 0.01)


def client_of(gateway: Gateway) -> httpx2.AsyncClient:
    """An admin's client."""
    headers = {"x-api-key": SECRET}
    return httpx2.AsyncClient(base_url=gateway.url, headers=headers, timeout=PATIENCE_S)


def order(board: DeviceServer, **more: Any) -> dict[str, Any]:
    """The body that provisions a device over HTTP."""
    address = f"127.0.0.1:{board.port}"
    return {"way": "http", "address": address, "password": "abcd1234", **more}


async def until(client: httpx2.AsyncClient, job: int, *states: str) -> dict[str, Any]:
    """Ask until a job is in one of these states."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown: dict[str, Any] = (await client.get(f"{PATH}/{job}")).json()
            if shown["state"] in states:
                return shown
            assert shown["state"] in ("running", "choosing"), shown
            await asyncio.sleep(0.02)


@pytest.mark.promise("P18")
async def test_a_device_gets_its_network_and_a_key(run_gateway: Callable[..., Any]) -> None:
    """It is scanned, a network is chosen, its key works, and its first reading ends it."""
    async with run_gateway(CONFIG) as gateway, client_of(gateway) as client:
        with serving() as device:
            body = order(device, gateway_url=gateway.url, device="esp-7")
            answer = await client.post(PATH, json=body)
            assert answer.status_code == 201, answer.text
            job = answer.json()["id"]
            shown = await until(client, job, "choosing")
            assert [one["ssid"] for one in shown["networks"]] == ["Home", "Café"]
            assert [one["open"] for one in shown["networks"]] == [False, True]
            assert shown["step"] == "network"
            wrong = await client.post(
                f"{PATH}/{job}/network", json={"ssid": "Home", "passphrase": "x"}
            )
            assert (wrong.status_code, wrong.json()["where"]) == (400, "passphrase")
            chosen = {"ssid": "Home", "passphrase": PASSPHRASE}
            assert (await client.post(f"{PATH}/{job}/network", json=chosen)).status_code == 200
            async with asyncio.timeout(PATIENCE_S):
                while (shown := (await client.get(f"{PATH}/{job}")).json())["step"] != "reading":
                    assert shown["state"] == "running", shown
                    await asyncio.sleep(0.02)
            assert shown["connected"]
            nvs = device.rig.board.nvs
            assert nvs["wifi.ssid"] == b"Home"
            key = next(value for name, value in nvs.items() if value.startswith(b"vtg_")).decode()
        rows = {
            "boot": 1,
            "seq": 1,
            "readings": [{"signal": "RPM", "time_ns": 10**18, "value": 900}],
        }
        sent = await client.post("/api/v1/ingest/batch", json=rows, headers={"x-api-key": key})
        assert sent.status_code == 200, sent.text
        shown = await until(client, job, "done")
        assert (shown["device"], shown["first_reading"], shown["error"]) == ("esp-7", True, "")
        assert "abcd1234" not in str(shown)
        assert PASSPHRASE not in str(shown)
        jobs = (await client.get(PATH)).json()["jobs"]
        assert [one["id"] for one in jobs] == [job]


async def test_a_scan_alone_tells_the_networks(run_gateway: Callable[..., Any]) -> None:
    """And changes nothing on the device."""
    async with run_gateway(CONFIG) as gateway, client_of(gateway) as client:
        with serving() as device:
            answer = await client.post(PATH, json=order(device, scan_only=True))
            shown = await until(client, answer.json()["id"], "done")
            assert [one["security"] for one in shown["networks"]] == ["WPA2", "open"]
            assert "wifi.ssid" not in device.rig.board.nvs


async def test_a_failure_is_told_in_words(run_gateway: Callable[..., Any]) -> None:
    """Without options of the command; and a key that was made in vain works no more."""
    async with run_gateway(CONFIG) as gateway, client_of(gateway) as client:
        with serving() as device:
            answer = await client.post(PATH, json=order(device) | {"password": "wrong"})
            shown = await until(client, answer.json()["id"], "failed")
            assert "refused user 'wifiprov' with this password" in shown["error"]
            assert "--" not in shown["error"]
            device.rig.poll(60_000)
            wanted = {"ssid": "Home", "passphrase": "wrong horse", "gateway_url": gateway.url}
            answer = await client.post(PATH, json=order(device, device="esp-8", **wanted))
            shown = await until(client, answer.json()["id"], "failed")
            assert "wrong passphrase" in shown["error"]
        keys = (await client.get("/api/v1/devices/esp-8")).json()["keys"]
        assert [key["live"] for key in keys] == [False]


async def test_one_at_a_time_and_it_can_be_ended(run_gateway: Callable[..., Any]) -> None:
    """A second one is refused with 409 until the first is over, whoever ended it."""
    async with run_gateway(CONFIG) as gateway, client_of(gateway) as client:
        with serving() as device:
            job = (await client.post(PATH, json=order(device))).json()["id"]
            await until(client, job, "choosing")
            answer = await client.post(PATH, json=order(device))
            assert answer.status_code == 409
            assert answer.json()["found"] == f"number {job}, at work"
            assert (await client.delete(f"{PATH}/{job}")).status_code == 200
            shown = await until(client, job, "cancelled")
            assert shown["error"] == ""
            late = await client.post(f"{PATH}/{job}/network", json={"ssid": "Home"})
            assert (late.status_code, late.json()["found"]) == (409, "cancelled")


@pytest.mark.parametrize(
    ("address", "config"),
    [
        ("127.0.0.1:80", '[provisioning]\nnetworks = ["192.168.4.0/24"]\n'),
        ("127.0.0.1:80", ""),
        ("169.254.169.254", ""),
        ("localhost", CONFIG.partition("\n[provisioning]")[2]),
        ("gateway.example.org", ""),
        ("192.168.4.1/proto-ver", ""),
        ("0x7f000001", ""),
    ],
)
async def test_other_addresses_are_not_dialled(
    run_gateway: Callable[..., Any], address: str, config: str
) -> None:
    """Only addresses in the networks of the configuration, and none by name."""
    head = CONFIG.partition("[provisioning]")[0]
    text = head + (config if config.startswith("[") else f"[provisioning]{config}")
    async with run_gateway(text) as gateway, client_of(gateway) as client:
        body = {"way": "http", "address": address, "password": "abcd1234"}
        answer = await client.post(PATH, json=body)
        assert (answer.status_code, answer.json()["where"]) == (400, "address")
        assert (await client.get(PATH)).json()["jobs"] == []


async def test_serial_ports_are_those_that_are_named(
    run_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    """No other file is opened, and none that a link holds."""
    mine, links = tmp_path / "tty1", tmp_path / "tty2"
    for path in (mine, links):
        path.touch()
    text = (
        f'[api]\nsecret = "{SECRET}"\n[provisioning]\nserial = ["{tmp_path}/tty*"]\n'
        f'[links.gps]\nkind = "gps"\nport = "{links}"\n'
    )
    async with run_gateway(text) as gateway, client_of(gateway) as client:
        ports = (await client.get(PATH)).json()["ports"]
        assert str(mine) in [port["path"] for port in ports]
        assert str(links) not in [port["path"] for port in ports]
        for address in (str(links), "/etc/passwd", f"{tmp_path}/../x"):
            body = {"way": "serial", "address": address, "password": "abcd1234"}
            answer = await client.post(PATH, json=body)
            assert (answer.status_code, answer.json()["where"]) == (400, "address")


async def test_it_can_be_switched_off(run_gateway: Callable[..., Any]) -> None:
    """Then nothing is begun, and who asks is told where."""
    text = CONFIG + "enabled = false\n"
    async with run_gateway(text) as gateway, client_of(gateway) as client:
        body = {"way": "http", "address": "127.0.0.1", "password": "abcd1234"}
        answer = await client.post(PATH, json=body)
        assert (answer.status_code, answer.json()["where"]) == (403, "[provisioning] enabled")


def test_words_of_the_command_line_are_not_shown() -> None:
    """A page has no options; other words stay."""
    said = in_words("give it again, or give a longer --timeout; check --gateway and the key")
    assert said == "give it again, or give it more time; check the gateway's address and the key"
