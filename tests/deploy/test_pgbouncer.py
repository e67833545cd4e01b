"""pgbouncer.ini between two real gateways and PostgreSQL: pooled by session all of it works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx2
import pytest

from server.config import parse_config
from server.gateway import Gateway
from server.store.connection import connect
from sim.capacity.fleet import OWN_CONNECTIONS
from tests.deploy.test_nginx import free_port
from tests.deploy.test_scale import SCALE, replaced
from tests.server.instances.two import until
from tests.server.running import QUICK, running

PGBOUNCER = shutil.which("pgbouncer") or (
    "/usr/sbin/pgbouncer" if Path("/usr/sbin/pgbouncer").exists() else None
)
PATIENCE_S = 30
SECRET, KEY = "operator-secret-of-this-test", "key-of-the-car-in-this-test"
POOL = 2
NOBODY = "nobody"


@pytest.fixture
def pgbouncer(database_url: str, tmp_path: Path) -> Iterator[int]:
    """pgbouncer with the file of deploy/, before the database of this test; gives its port."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed")
    parts = urlsplit(database_url)
    folder = Path(parse_qs(parts.query)["host"][0])
    port = free_port()
    place = f"host={folder} port=5432 dbname={parts.path.lstrip('/')} user={parts.username}"
    text = replaced(
        (SCALE / "pgbouncer.ini").read_text(encoding="utf-8"),
        (r"host=db port=5432 dbname=telerig", place),
        (r"listen_addr = \S+", "listen_addr = 127.0.0.1"),
        (r"listen_port = \d+", f"listen_port = {port}"),
        (r"auth_type = \S+", "auth_type = any"),
        (r"auth_file = \S+", "unix_socket_dir ="),
        (r"default_pool_size = \d+", "default_pool_size = 30"),
    )
    file = tmp_path / "pgbouncer.ini"
    file.write_text(text, encoding="utf-8")
    command = [PGBOUNCER, str(file)]
    opened: list[tuple[Path, int]] = []
    if os.geteuid() == 0:  # it does not run as root, and another user has no way to the socket
        command[1:1] = ["-u", NOBODY]
        for path, mode in ((folder, 0o755), *((each, 0o777) for each in folder.glob(".s.*"))):
            opened.append((path, path.stat().st_mode & 0o777))
            path.chmod(mode)
        for path in (file, *tmp_path.parents):
            if path.stat().st_uid == 0 and not path.stat().st_mode & 0o005 and path != Path("/"):
                opened.append((path, path.stat().st_mode & 0o777))
                path.chmod(path.stat().st_mode & 0o777 | 0o055)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        for path, mode in reversed(opened):
            path.chmod(mode)


@contextlib.asynccontextmanager
async def gateway(name: str, url: str) -> AsyncIterator[Gateway]:
    """One of several gateways on this database."""
    text = (
        f'{QUICK}[gateway]\ndevice = "{name}"\n[database]\nurl = "{url}"\npool_size = {POOL}\n'
        f'[api]\nsecret = "{SECRET}"\ndevice_keys = ["car:{KEY}"]\n'
        f'[store]\ncompact_after_s = 0.2\nlatest_s = 0.1\n[instances]\nname = "{name}"\n'
    )
    async with running(parse_config(text, "telerig.toml", {})) as found:
        yield found


async def reached(url: str) -> None:
    """Wait until it answers through pgbouncer."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                await (await asyncpg.connect(url)).close()
                return
            await asyncio.sleep(0.05)


async def test_sessions_carry_gateways(pgbouncer: int, postgres: object, database_url: str) -> None:
    """In session mode all works: every reading is taken, on either; the bus is well."""
    url = f"postgresql://telerig@127.0.0.1:{pgbouncer}/telerig"
    await reached(url)
    async with gateway("gw-a", url) as one, gateway("gw-b", url) as two:
        async with httpx2.AsyncClient(headers={"X-API-Key": KEY}) as car:
            for seq in range(1, 11):
                reading = {"boot": 1, "seq": seq, "signal": "RPM", "value": seq,
                           "time_ns": time.time_ns()}  # fmt: skip
                to = (one, two)[seq % 2].url
                answer = await car.post(f"{to}/api/v1/ingest", json=reading)
                assert answer.status_code == 200, answer.text
        await until(lambda: not (one.instances.bus.failing or two.instances.bus.failing))
        connection = await connect(database_url)
        count = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()
        assert count <= 2 * (POOL + OWN_CONNECTIONS)
