"""Backup and restore as the documentation has them, on a real database with pg_dump."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.store.embedded import EmbeddedPostgres, find_installs
from tests.server.running import QUICK, gateway_config, running

DEPLOY = Path(__file__).parents[2] / "deploy"


def script(name: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the tools of the embedded PostgreSQL."""
    return subprocess.run(
        [str(DEPLOY / name), *arguments],
        env={"PATH": os.environ["PATH"], "PG_BIN": str(find_installs()[0] / "bin"), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder: Path) -> list[Path]:
    """What a folder has, by name."""
    return sorted(folder.iterdir())


async def content(url: str) -> dict[str, list[Any]]:
    """Every row of every table."""
    connection = await asyncpg.connect(url)
    names = await connection.fetch(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
        " AND c.relkind = 'r' ORDER BY 1"
    )
    found = {
        row["relname"]: sorted(
            str(tuple(line)) for line in await connection.fetch(f'SELECT * FROM "{row["relname"]}"')
        )
        for row in names
    }
    await connection.close()
    return found


async def fill(url: str) -> None:
    """Have a gateway store something."""
    config = gateway_config(url, QUICK + "[links.f]\nkind = 'fake'\nlives = 50\n")
    async with running(config) as gateway:
        while gateway.pipeline.counts.stored < 50:
            import asyncio

            await asyncio.sleep(0.01)


@pytest.mark.promise("O11")
async def test_a_backup_comes_back(
    database_url: str, postgres: EmbeddedPostgres, tmp_path: Path, fake_link: None
) -> None:
    """All rows of all tables are the same in the restored database, and again in the next one."""
    await fill(database_url)
    env = {"TELERIG_DATABASE_URL": database_url, "TELERIG_BACKUP_DIR": str(tmp_path)}
    made = script("backup.sh", **env)
    assert made.returncode == 0, made.stderr
    (backup,) = files(tmp_path)
    assert str(backup) in made.stdout
    assert backup.stat().st_mode & 0o077 == 0
    before = await content(database_url)
    assert len(before["sessions"]) == 1
    name = "restored"
    target = postgres.create_database(name)
    try:
        first = script("restore.sh", str(backup), TELERIG_DATABASE_URL=target)
        assert first.returncode == 0, first.stderr
        assert await content(target) == before
        refused = script("restore.sh", str(backup), TELERIG_DATABASE_URL=target)
        assert refused.returncode == 1
        assert "expected an empty database, found" in refused.stderr
        async with running(gateway_config(target)):
            connected = script("restore.sh", str(backup), "--replace", TELERIG_DATABASE_URL=target)
        assert "a gateway is connected" in connected.stderr
        assert await content(target) != before  # one session more
        replaced = script("restore.sh", str(backup), "--replace", TELERIG_DATABASE_URL=target)
        assert replaced.returncode == 0, replaced.stderr
        assert await content(target) == before
        half = tmp_path / "half.dump"
        half.write_bytes(backup.read_bytes()[: backup.stat().st_size * 3 // 4])
        broken = script("restore.sh", str(half), "--replace", TELERIG_DATABASE_URL=target)
        assert broken.returncode == 1
        assert await content(target) == before, "all or nothing"
    finally:
        postgres.drop_database(name)


async def test_old_backups_go(
    database_url: str, postgres: EmbeddedPostgres, tmp_path: Path, fake_link: None
) -> None:
    """So many are kept; a database that is not a gateway's is refused and leaves nothing."""
    for day in range(1, 5):
        (tmp_path / f"telerig-2020010{day}T000000Z.dump").write_bytes(b"")
    env = {
        "TELERIG_DATABASE_URL": database_url,
        "TELERIG_BACKUP_DIR": str(tmp_path),
        "TELERIG_BACKUP_KEEP": "3",
    }
    other = {**env, "TELERIG_DATABASE_URL": postgres.url("postgres")}
    empty = script("backup.sh", **other)
    assert empty.returncode == 1
    assert "is this the gateway's database?" in empty.stderr
    assert len(files(tmp_path)) == 4
    async with running(gateway_config(database_url)):
        made = script("backup.sh", **env)
    assert made.returncode == 0, made.stderr
    kept = [path.name for path in files(tmp_path)]
    assert kept[:2] == ["telerig-20200103T000000Z.dump", "telerig-20200104T000000Z.dump"]
    assert len(kept) == 3
    env["TELERIG_BACKUP_KEEP"] = "none"
    assert "expected a number" in script("backup.sh", **env).stderr


async def test_the_embedded_database(tmp_path: Path, fake_link: None) -> None:
    """Its backup needs no URL: the folder of its data is enough, while the gateway runs."""
    data = tmp_path / "data"
    nothing = script("backup.sh", TELERIG_DATABASE_DATA_DIR=str(data))
    assert "expected a running embedded PostgreSQL" in nothing.stderr
    with EmbeddedPostgres(data, durable=False) as server:
        await fill(server.start())
        made = script(
            "backup.sh",
            TELERIG_DATABASE_DATA_DIR=str(data),
            TELERIG_BACKUP_DIR=str(tmp_path / "backups"),
        )
        assert made.returncode == 0, made.stderr
        assert len(files(tmp_path / "backups")) == 1
