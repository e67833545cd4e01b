"""deploy/scale: each file is used by the program that it is for, before two real gateways."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from websockets.asyncio.client import connect as connect_websocket

from server.config import parse_config
from server.errors import ConfigError
from server.store.cli import check_compactor
from server.store.config import ELSEWHERE
from server.store.embedded import find_installs
from tests.deploy.test_nginx import NGINX, WRAPPER, free_port
from tests.deploy.test_systemd import SAFE_BELOW, analyze
from tests.server.operation.certificates import write_certificate
from tests.server.running import QUICK, running

SCALE = Path(__file__).parents[2] / "deploy" / "scale"
HAPROXY = shutil.which("haproxy") or ("/usr/sbin/haproxy" if Path("/usr/sbin/haproxy").exists()
                                      else None)  # fmt: skip
PATIENCE_S = 20
FASTER = 100
"""Timeouts of the proxy are so much shorter here: a minute is 0.6 s, an hour 36 s."""
# The example of RFC 6455, 1.3: haproxy looks at the key.
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
STREAM_SILENCE_S, SOCKET_SILENCE_S = 1.0, 4.5


# -- proxies -------------------------------------------------------------------------------------
def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """A file of deploy/ with the ports, names and files of this test; each pattern must occur."""
    for pattern, replacement in pairs:
        text, count = re.subn(pattern, replacement, text)
        assert count, pattern
    return text


def haproxy_files(folder: Path, secure: int, backends: dict[str, int]) -> list[str]:
    """Write haproxy's file; give its command."""
    if HAPROXY is None:
        pytest.skip("haproxy is not installed")
    cert, key = write_certificate(folder)
    both = folder / "both.pem"
    both.write_bytes(Path(cert).read_bytes() + Path(key).read_bytes())
    text = replaced(
        (SCALE / "haproxy.cfg").read_text(encoding="utf-8"),
        (r"bind :80", f"bind 127.0.0.1:{free_port()}"),
        (r"bind :443 ssl crt \S+", f"bind 127.0.0.1:{secure} ssl crt {both}"),
        (r"stats socket \S+", f"stats socket {folder}/admin.sock"),
        (r"maxconn 50000", "maxconn 500"),  # the files of a test's process
        *((rf"{name}:8000", f"127.0.0.1:{port}") for name, port in backends.items()),
    )
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    return [HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")]


def nginx_files(folder: Path, secure: int, backends: dict[str, int]) -> list[str]:
    """Write nginx's files; give its command."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    cert, key = write_certificate(folder)
    text = replaced(
        (SCALE / "nginx-scale.conf").read_text(encoding="utf-8"),
        (r"listen \[::\]:\d+( ssl)?;", ""),
        (r"listen 80;", f"listen 127.0.0.1:{free_port()};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;"),
        (r"ssl_certificate +\S+;", f"ssl_certificate {cert};"),
        (r"ssl_certificate_key +\S+;", f"ssl_certificate_key {key};"),
        *((rf"{name}:8000", f"127.0.0.1:{port}") for name, port in backends.items()),
    )
    (folder / "site.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(WRAPPER.format(folder=folder), encoding="utf-8")
    return [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]


Files = Callable[[Path, int, dict[str, int]], list[str]]


@contextlib.asynccontextmanager
async def proxy(command: list[str], port: int) -> AsyncIterator[None]:
    """Run a proxy until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                assert process.returncode is None, "the proxy ended"
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.mark.parametrize("files", [haproxy_files, nginx_files], ids=["haproxy", "nginx"])
async def test_two_gateways_are_one_address(tmp_path: Path, files: Files) -> None:
    """Requests go to both; live streams pass; one that is gone is not missed; no metrics."""
    text = QUICK + "[database]\nenabled = false\n[api]\nsecret = 'operator-secret-of-this-test'\n"
    operator = {"X-API-Key": "operator-secret-of-this-test"}
    secure = free_port()
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(parse_config(text, "t", {})))
        async with contextlib.AsyncExitStack() as second:
            two = await second.enter_async_context(running(parse_config(text, "t", {})))
            ports = [int(each.url.rpartition(":")[2]) for each in (one, two)]
            command = files(tmp_path, secure, dict(zip(("gw-a", "gw-b"), ports, strict=True)))
            await stack.enter_async_context(proxy(command, secure))
            trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
            url = f"https://127.0.0.1:{secure}"

            async def boot() -> int:
                # A client without cookies, as devices are.
                async with httpx2.AsyncClient(verify=trust) as client:
                    answer = await client.get(f"{url}/health")
                    assert answer.status_code == 200
                    assert re.fullmatch(r"[0-9a-fA-F-]{32,36}", answer.headers["x-request-id"])
                    return int(answer.json()["boot"])

            async with asyncio.timeout(PATIENCE_S):
                found = set()
                while found != {one.boot, two.boot}:
                    with contextlib.suppress(AssertionError):  # until it has looked at them
                        found.add(await boot())
                async with httpx2.AsyncClient(verify=trust) as client:
                    assert (await client.get(f"{url}/metrics")).status_code == 404
                    assert (await client.get(f"{url}/api/v1/links")).status_code == 401
                    known = await client.get(f"{url}/api/v1/links", headers=operator)
                    assert known.status_code == 200
                async with connect_websocket(
                    f"wss://127.0.0.1:{secure}/api/v1/live", ssl=trust, additional_headers=operator
                ) as live:
                    assert '"hello"' in str(await live.recv())
        # The second one is gone now, and nobody is told so.
        assert {await boot() for _ in range(6)} == {one.boot}


async def slow_backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """/ready at once; /stream two halves with a long silence between; /ws an echo after one."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"GET /stream"):
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\none \r\n")
                await asyncio.sleep(STREAM_SILENCE_S)
                writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
            elif head.startswith(b"GET /ws"):
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
                             b"upgrade: websocket\r\n"
                             b"sec-websocket-accept: %b\r\n\r\n" % ACCEPT)  # fmt: skip
                await asyncio.sleep(SOCKET_SILENCE_S)
                writer.write(b"still there\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
    writer.close()


async def test_streams_outlast_silence(tmp_path: Path) -> None:
    """Nearly two minutes without a byte cut no answer, over seven no WebSocket.

    Who listens to an answer may be silent for longer than `timeout client`, and a WebSocket for
    longer than `timeout server` as well: for `timeout tunnel`.
    """
    backend = await asyncio.start_server(slow_backend, "127.0.0.1", 0)
    port, secure = backend.sockets[0].getsockname()[1], free_port()
    command = haproxy_files(tmp_path, secure, {"gw-a": port, "gw-b": port})
    file = tmp_path / "haproxy.cfg"
    text = file.read_text(encoding="utf-8")
    seconds = {"m": 60, "h": 3600}
    text, count = re.subn(
        r"timeout (client|server|tunnel) (\d+)([mh])",
        lambda m: f"timeout {m[1]} {int(m[2]) * seconds[m[3]] * 1000 // FASTER}ms",
        text,
    )
    assert count == 3
    assert "timeout client 600ms" in text
    file.write_text(text, encoding="utf-8")
    trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")

    async def ask(request: bytes, end: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", secure, ssl=trust)
        writer.write(request + b"host: t\r\n\r\n")
        answer = await reader.readuntil(end)
        writer.close()
        return answer

    upgrade = (b"GET /ws HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
               b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n" % KEY)  # fmt: skip
    async with backend, proxy(command, secure), asyncio.timeout(PATIENCE_S):
        stream, socket = await asyncio.gather(
            ask(b"GET /stream HTTP/1.1\r\n", b"two\r\n0\r\n\r\n"), ask(upgrade, b"there\n")
        )
    assert b"one " in stream
    assert b" 101 " in socket


def test_haproxy_and_nginx_find_nothing_wrong(tmp_path: Path) -> None:
    """Their own checks of the files, without a word."""
    ports = {"gw-a": 8000, "gw-b": 8001}
    command = haproxy_files(tmp_path, free_port(), ports)
    said = subprocess.run([*command, "-c", "-q"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    command = nginx_files(tmp_path, free_port(), ports)
    said = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


# -- compose -------------------------------------------------------------------------------------
def compose() -> dict[str, Any]:
    """The file."""
    found: dict[str, Any] = yaml.safe_load((SCALE / "compose.yaml").read_text(encoding="utf-8"))
    return found


def gateways() -> dict[str, dict[str, str]]:
    """Environment of each gateway of the compose file, its secrets filled in."""
    services = compose()["services"]
    found = {name: service for name, service in services.items() if name.startswith("gw-")}
    return {
        name: {
            key: re.sub(r"\$\{\w+:\?[^}]*\}", "secret", value)
            for key, value in service["environment"].items()
        }
        for name, service in found.items()
    }


def test_each_gateway_of_the_compose_file_has_a_configuration() -> None:
    """The gateway's own reader takes it; a variable that it does not know is refused by it."""
    names = set()
    for name, env in gateways().items():
        config = parse_config("", "compose.yaml", env)
        assert config.instances is not None
        names |= {config.device, config.instances.name}
        assert config.instances.url == f"http://{name}:8000"
        assert config.instances.bus == "nats://telerig:secret@nats:4222"
        assert config.store.compactor == ELSEWHERE
        with pytest.raises(ConfigError, match="TELERIG_INSTANCES_NAMES"):
            parse_config("", "compose.yaml", {**env, "TELERIG_INSTANCES_NAMES": name})
    assert names == {"gw-a", "gw-b"}


def test_who_compacts_in_the_compose_file() -> None:
    """Two processes with names of their own, whose configuration the command takes."""
    found = [one for one in compose()["services"].values() if one.get("command") == ["compact"]]
    names = set()
    for service in found:
        env = {
            key: re.sub(r"\$\{[^}]*\}", "x", text) for key, text in service["environment"].items()
        }
        config = parse_config("", "compose.yaml", env)
        check_compactor(config, None)
        assert config.instances is not None
        names.add(config.instances.name)
    assert len(names) == len(found) == 2


def test_the_files_name_each_other() -> None:
    """Proxies know every gateway; addresses, mounts, bounds and passwords fit together."""
    file = compose()
    services = file["services"]
    for name in ("haproxy.cfg", "nginx-scale.conf"):
        text = (SCALE / name).read_text(encoding="utf-8")
        servers = re.findall(r"server (?:gw-\w )?(gw-\w):8000", text)
        assert servers == sorted(gateways()), name
        assert set(re.findall(r"max_?conns?[ =](4000)", text)) == {"4000"}, name
    own = services["haproxy"]["networks"]["default"]["ipv4_address"]
    for env in gateways().values():
        assert env["FORWARDED_ALLOW_IPS"] == own
        assert env["TELERIG_HTTP_CONNECTIONS"] == "4000"
    for service in services.values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            if source.startswith("./") and source != "./certs":
                assert (SCALE / source).is_file(), source
            elif not source.startswith("."):
                assert source in file["volumes"], source
        for needed in service.get("depends_on", []):
            assert needed in services


def test_the_template_of_an_instance_is_a_configuration() -> None:
    """Read by the gateway's reader; a key too many is refused with its line."""
    text = (SCALE / "telerig.toml").read_text(encoding="utf-8")
    config = parse_config(text, "gw-a.toml", {})
    assert config.instances is not None
    assert (config.device, config.instances.name) == ("gw-a", "gw-a")
    check_compactor(config, None)
    with pytest.raises(ConfigError, match=r"gw-a.toml:\d+: .*lease_ms"):
        parse_config(text.replace("lease_s = 1.0", "lease_ms = 1"), "gw-a.toml", {})


# -- PostgreSQL, pgbouncer, systemd ---------------------------------------------------------------
def test_postgresql_takes_its_settings(tmp_path: Path) -> None:
    """PostgreSQL itself reads the file: every name is one of its own, every value possible."""
    text = (SCALE / "postgresql.conf").read_text(encoding="utf-8")
    # The one that comes with us is built without lz4.
    text = replaced(text, (r"wal_compression = lz4", "wal_compression = pglz"))
    (tmp_path / "postgresql.conf").write_text(text, encoding="utf-8")
    for name, expected in (("max_connections", "300"), ("synchronous_commit", "on")):
        command = [str(find_installs()[0] / "bin" / "postgres"), "-C", name, "-D", str(tmp_path)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.stdout.strip() == expected, said.stderr


def test_pgbouncer_gives_gateways_sessions() -> None:
    """The database that gateways use is pooled by session: they LISTEN, lock and prepare."""
    file = configparser.ConfigParser(inline_comment_prefixes=None, interpolation=None)
    file.read(SCALE / "pgbouncer.ini", encoding="utf-8")
    assert "pool_mode=session" in file["databases"]["telerig"]
    assert "pool_mode=transaction" in file["databases"]["telerig_read"]


@pytest.mark.parametrize("name", ["telerig", "telerig-compact"])
def test_systemd_accepts_the_template(tmp_path: Path, name: str) -> None:
    """Not a word of complaint about an instance; as sealed as the unit of one gateway."""
    text = (SCALE / f"{name}@.service").read_text(encoding="utf-8")
    unit = tmp_path / f"{name}@.service"
    unit.write_text(re.sub(r"/opt/telerig/\S+", "/bin/true", text), encoding="utf-8")
    (tmp_path / f"{name}@gw-a.service").symlink_to(unit)
    said = analyze("verify", str(tmp_path / f"{name}@gw-a.service"))
    assert [line for line in said.splitlines() if "telerig" in line] == []
    said = analyze("security", "--offline=yes", str(unit))
    (found,) = re.findall(rf"Overall exposure level for {name}@\S+: ([\d.]+)", said)
    assert float(found) < SAFE_BELOW
