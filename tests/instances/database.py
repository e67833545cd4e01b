"""PostgreSQL as a primary with a streaming replica: servers of their own on TCP, as in a zone.

The binaries are those of the wheel (`server.store.embedded`); each server is a process that ends
with the test.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg

from server.clock import SystemClock
from server.store.connection import DATABASE_ERRORS, connect
from server.store.embedded import KEEPER, USER, find_installs
from server.store.migrate import migrate
from tests.instances.children import Children, free_port, kill

START_WAIT_S = 60.0
NAME = "fleet"
HERE = Path(__file__).parent

SETTINGS = {
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "huge_pages": "off",
    "jit": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "io_method": "sync",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "autovacuum": "off",
    # A crash of the machine is no part of these tests; a crash of the server is.
    "fsync": "off",
}
"""Of every server."""


class Server:
    """One server: a folder and a port.

    Args:
        children: who starts it.
        folder: where its data are or will be; a short path that everybody may enter.
        hosts: addresses that it listens on; the first is the one of its URL.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self, children: Children, folder: Path, name: str, hosts: tuple[str, ...] = ("127.0.0.1",)
    ) -> None:
        self.port = free_port()
        self.name = name
        self.folder = folder / name
        self._hosts = hosts
        self._children = children
        self._bin = find_installs()[0] / "bin"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, host: str | None = None, name: str = NAME) -> str:
        """Give the URL of a database of this server."""
        return f"postgresql://{USER}@{host or self._hosts[0]}:{self.port}/{name}"

    def init(self) -> None:
        """Make an empty cluster which lets everybody in who reaches it, replicas too."""
        self.run("initdb", "-D", str(self.folder), "-U", USER, "--auth=trust", "--no-sync",
                 "--encoding=UTF8", "--locale=C", "--no-instructions")  # fmt: skip
        with (self.folder / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.0.0.0/8 trust\nhost replication all 10.0.0.0/8 trust\n")

    def copy_of(self, primary: Server) -> None:
        """Make a replica that streams from a primary, under this server's name."""
        place = f"host=127.0.0.1 port={primary.port} user={USER} application_name={self.name}"
        self.run("pg_basebackup", "-D", str(self.folder), "-R", "-X", "stream",
                 "--checkpoint=fast", "--no-sync", "-d", place)  # fmt: skip

    def start(self, **settings: str) -> None:
        """Start it; return when it takes connections (a replica: for reading)."""
        command = [*self._as_postgres(), str(self._bin / "postgres"), "-D", str(self.folder)]
        fixed = {"listen_addresses": ",".join(self._hosts), "port": str(self.port)}
        for key, value in (SETTINGS | fixed | settings).items():
            command += ["-c", f"{key}={value}"]
        self._process = self._children.start(self.name, command)
        due_s = time.monotonic() + START_WAIT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > due_s:
                raise RuntimeError(
                    f"PostgreSQL {self.name} does not start:\n{self._children.log(self.name)}"
                )
            time.sleep(0.02)

    def crash(self) -> None:
        """Kill the server and all that it has started, as a machine that goes away does."""
        assert self._process is not None
        # At once, without a word to its clients or to a replica.
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(START_WAIT_S)

    def close(self) -> None:
        """Kill it."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGQUIT)
                try:
                    self._process.wait(START_WAIT_S)
                except subprocess.TimeoutExpired:
                    kill(self._process)
            self._process = None

    def promote(self) -> None:
        """Make a primary of this replica."""
        assert self.psql("SELECT pg_promote(true, 30)") == "t"

    def psql(self, statement: str, name: str = "postgres") -> str:
        """Run one statement; give what it says, without headings."""
        command = [str(self._bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", name]
        done = subprocess.run(
            [*command, "-c", statement],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs as its user.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            [*self._as_postgres(), str(self._bin / program), *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()}")

    def _as_postgres(self) -> list[str]:
        launcher = HERE / "as_postgres.py"
        keeper, folder = str(KEEPER), str(self.folder.parent)
        return [sys.executable, "-I", "-S", str(launcher), keeper, folder]

    def _is_ready(self) -> bool:
        return not subprocess.run(
            [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        ).returncode


class Database:
    """A primary with the gateway's tables, and a replica where one is asked for.

    Everything is gone after the block.

    Args:
        children: who starts the servers.
        hosts: addresses that the primary listens on.

    Attributes:
        primary: the server that takes writes, at first.
        replica: follows it; None before `add_replica`.
    """

    def __init__(self, children: Children, hosts: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self._children = children
        self._folder = Path(tempfile.mkdtemp(prefix="tr-ha-", dir="/tmp"))
        self.primary = Server(children, self._folder, "primary", hosts)
        self.replica: Server | None = None

    @property
    def url(self) -> str:
        """URL of the primary."""
        return self.primary.url()

    @property
    def either_url(self) -> str:
        """URL of whichever of both takes writes."""
        assert self.replica is not None
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.replica.port}"
        return f"postgresql://{USER}@{hosts}/{NAME}?target_session_attrs=read-write"

    def start(self) -> None:
        """Start the primary with all tables; not from within an event loop."""
        self.primary.init()
        self.primary.start()
        _in_thread(self._fill())

    def fresh(self, name: str) -> str:
        """Make another database with all tables on the primary; give its URL."""
        self.primary.psql(f'CREATE DATABASE "{name}" TEMPLATE "{NAME}"')
        return self.primary.url(name=name)

    def drop(self, name: str) -> None:
        """Remove a database, and end its connections."""
        self.primary.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def add_replica(self) -> Server:
        """Add a replica; from now on no commit is acknowledged that it does not have."""
        self.replica = Server(self._children, self._folder, "replica")
        self.replica.copy_of(self.primary)
        self.replica.start(synchronous_standby_names="")
        _in_thread(self._synchronize())
        return self.replica

    def follow_late(self, port: int) -> None:
        """Have the replica follow through another port, and nobody wait for it any more."""
        assert self.replica is not None
        place = f"host=127.0.0.1 port={port} user={USER} application_name=late"
        for server, setting in (
            (self.primary, "synchronous_standby_names = ''"),
            (self.replica, f"primary_conninfo = '{place}'"),
        ):
            server.psql(f"ALTER SYSTEM SET {setting}")
            server.psql("SELECT pg_reload_conf()")
        query = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'late'"
        due_s = time.monotonic() + START_WAIT_S
        while self.primary.psql(query) != "1":
            assert time.monotonic() < due_s
            time.sleep(0.05)

    def close(self) -> None:
        """End the servers and remove their data."""
        for server in (self.replica, self.primary):
            if server is not None:
                server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _fill(self) -> None:
        self.primary.psql(f"CREATE DATABASE {NAME}")
        connection = await connect(self.url)
        await migrate(connection, SystemClock())
        await connection.close()

    async def _synchronize(self) -> None:
        connection = await asyncpg.connect(self.primary.url(name="postgres"))
        try:
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
            await connection.execute("SELECT pg_reload_conf()")
            query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            due_s = time.monotonic() + START_WAIT_S
            while not await connection.fetchval(query):
                assert time.monotonic() < due_s
                await asyncio.sleep(0.05)
        finally:
            await connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own, in a thread of its own: a test may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def patiently(url: str, patience_s: float = 20.0) -> asyncpg.Connection:
    """Connect to a server that may be away for a moment."""
    due_s = time.monotonic() + patience_s
    while True:
        try:
            return await connect(url)
        except DATABASE_ERRORS:
            if time.monotonic() > due_s:
                raise
            await asyncio.sleep(0.2)
