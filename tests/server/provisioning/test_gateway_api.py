"""Registering a device and seeing its first reading, at a real gateway."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from server.provisioning.errors import ProvisionError
from server.provisioning.gateway_api import GatewayApi, GatewayUnreachable

SECRET = "correct horse battery"
API = f"[api]\nsecret = '{SECRET}'\n"

RunGateway = Callable[..., Any]


async def read(url: str, key: str, seq: int) -> None:
    """Send one reading as a device does."""
    body = {"boot": 7, "seq": seq, "signal": "RPM", "time": "2026-01-01T00:00:00Z", "value": 800}
    async with httpx2.AsyncClient(base_url=url, headers={"X-API-Key": key}) as client:
        answer = await client.post("/api/v1/ingest", json=body)
        assert answer.status_code == 200, answer.text


async def test_a_new_device_gets_a_key_and_its_first_reading_is_seen(
    run_gateway: RunGateway,
) -> None:
    """Whatever the device's clock says: it had no reading before."""
    async with run_gateway(API) as gateway:
        api = GatewayApi(gateway.url, SECRET)
        made = await asyncio.to_thread(api.register, "esp-1", "WF0DXXGAKDDK12345")
        assert made.device == "esp-1"
        assert made.key.startswith("vtg_dev_esp-1_")
        assert not made.known_before
        assert made.since_ns > 0
        assert not await asyncio.to_thread(api.has_reading, made)
        await read(gateway.url, made.key, 1)
        assert await asyncio.to_thread(api.has_reading, made)


async def test_a_known_device_gets_another_key_and_old_readings_do_not_count(
    run_gateway: RunGateway,
) -> None:
    """Its readings from before the key was made are not its first."""
    async with run_gateway(API) as gateway:
        api = GatewayApi(gateway.url, SECRET)
        first = await asyncio.to_thread(api.register, "esp-1", None)
        await read(gateway.url, first.key, 1)
        second = await asyncio.to_thread(api.register, "esp-1", None)
        assert second.known_before
        assert second.key != first.key
        assert not await asyncio.to_thread(api.has_reading, second)


async def test_older_keys_work_until_the_new_one_has_proven_itself(
    run_gateway: RunGateway,
) -> None:
    """A run that fails cuts no device off; one that ends well leaves only its own key."""
    async with run_gateway(API) as gateway:
        api = GatewayApi(gateway.url, SECRET)
        first = await asyncio.to_thread(api.register, "esp-1", None)
        failed = await asyncio.to_thread(api.register, "esp-1", None)
        await asyncio.to_thread(api.revoke, failed)
        (only,) = [key for key in await gateway.registry.keys("esp-1") if key.live]
        assert (only.id, only.expires_ns) == (first.key_id, None)
        third = await asyncio.to_thread(api.register, "esp-1", None)
        assert third.older == (first.key_id,)
        await asyncio.to_thread(api.end_older, third)
        (only,) = [key for key in await gateway.registry.keys("esp-1") if key.live]
        assert only.id == third.key_id


async def test_a_key_made_in_vain_is_ended(run_gateway: RunGateway) -> None:
    """It is refused from then on."""
    async with run_gateway(API) as gateway:
        api = GatewayApi(gateway.url, SECRET)
        made = await asyncio.to_thread(api.register, "esp-1", None)
        await asyncio.to_thread(api.revoke, made)
        assert await gateway.registry.authenticate(made.key) is None


async def test_a_wrong_secret_is_told_with_the_next_step(run_gateway: RunGateway) -> None:
    """And the secret is not in the line."""
    async with run_gateway(API) as gateway:
        api = GatewayApi(gateway.url, "wrong horse battery")
        with pytest.raises(ProvisionError, match=r"status 401.*TELERIG_API_SECRET") as caught:
            await asyncio.to_thread(api.register, "esp-1", None)
        assert "wrong horse" not in str(caught.value)


async def test_an_id_that_is_no_devices_is_told(run_gateway: RunGateway) -> None:
    """The gateway's own id is taken, and has no keys: the refusal is the first one."""
    async with run_gateway(API) as gateway:
        api = GatewayApi(gateway.url, SECRET)
        with pytest.raises(ProvisionError, match="status 409"):
            await asyncio.to_thread(api.register, gateway.config.device, None)


def test_no_gateway_is_told() -> None:
    """With the address and the next step."""
    with pytest.raises(GatewayUnreachable, match="is it running"):
        GatewayApi("http://127.0.0.1:9", SECRET).register("esp-1", None)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (201, b"<html>", "expected a key"),
        (201, b'{"key": 5, "key_id": "x"}', "expected a key"),
        (302, b"", "status 302"),
        (500, b'{"error": "on fire\\u001b[2J"}', "status 500, on fire"),
        (200, b"[" * 100_000, "status 200"),
    ],
)
def test_another_server_is_told(status: int, body: bytes, reason: str) -> None:
    """HTML, redirects (not followed: the secret stays here), errors of any form."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 (the name is http.server's)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with pytest.raises(ProvisionError, match=reason) as caught:
            GatewayApi(f"http://127.0.0.1:{server.server_address[1]}", SECRET).register("e", None)
        assert "\x1b" not in str(caught.value)
        assert asked == ["/api/v1/devices"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
