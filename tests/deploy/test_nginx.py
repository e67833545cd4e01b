"""nginx.conf before a real gateway, with a real nginx: TLS, pages, WebSockets, request ids."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect as connect_websocket

from server.config import parse_config
from tests.server.operation.certificates import write_certificate
from tests.server.running import QUICK, running

CONF = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
WRAPPER = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  include {folder}/site.conf;
}}
"""


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def write_site(folder: Path, backend: int, plain: int, secure: int) -> None:
    """The file of deploy/, with the ports, names and files of this test."""
    cert, key = write_certificate(folder)
    text = CONF.read_text(encoding="utf-8")
    for pattern, replacement in (
        (r"server 127\.0\.0\.1:8000;", f"server 127.0.0.1:{backend};"),
        (r"listen \[::\]:\d+( ssl)?;", ""),
        (r"listen 80;", f"listen 127.0.0.1:{plain};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;"),
        (r"ssl_certificate +\S+;", f"ssl_certificate {cert};"),
        (r"ssl_certificate_key +\S+;", f"ssl_certificate_key {key};"),
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count, pattern
    (folder / "site.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(WRAPPER.format(folder=folder), encoding="utf-8")


@contextlib.asynccontextmanager
async def nginx(folder: Path, secure: int) -> AsyncIterator[None]:
    """Run nginx until the end of the block."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", secure)
                    writer.close()
                    break
                assert process.returncode is None, "nginx ended"
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.mark.promise("X09")
async def test_through_nginx(tmp_path: Path) -> None:
    """Plain HTTP is sent on to https; the API, the live stream and ids go through; metrics not."""
    plain, secure = free_port(), free_port()
    text = QUICK + "[database]\nenabled = false\n[api]\nsecret = 'operator-secret-of-this-test'\n"
    operator = {"X-API-Key": "operator-secret-of-this-test"}
    async with running(parse_config(text, "t", {})) as gateway:
        write_site(tmp_path, int(gateway.url.rpartition(":")[2]), plain, secure)
        trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        async with nginx(tmp_path, secure), httpx2.AsyncClient(verify=trust) as client:
            moved = await client.get(f"http://127.0.0.1:{plain}/health")
            assert moved.status_code == 301
            assert moved.headers["location"].startswith("https://")
            url = f"https://127.0.0.1:{secure}"
            health = await client.get(f"{url}/health")
            assert health.json()["boot"] == gateway.boot
            assert re.fullmatch(r"[0-9a-f]{32}", health.headers["x-request-id"])
            assert "max-age" in health.headers["strict-transport-security"]
            assert (await client.get(f"{url}/metrics")).status_code == 404
            # Through a proxy nobody counts as local.
            stranger = await client.get(f"{url}/api/v1/links")
            assert stranger.status_code == 401
            assert (await client.get(f"{url}/api/v1/links", headers=operator)).status_code == 200
            async with connect_websocket(
                f"wss://127.0.0.1:{secure}/api/v1/live", ssl=trust, additional_headers=operator
            ) as live:
                assert json.loads(await live.recv())["type"] == "hello"
