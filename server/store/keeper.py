"""Runs one PostgreSQL server and ends it when whoever asked for it is gone.

A program of its own, started by `server.store.embedded` with one JSON argument; imports nothing
but the standard library, and nothing of this project. It answers with one JSON line on stdout,
{"socket_dir": …, "pid": …} or {"error": …}, and then waits. At the end of its stdin (the parent
closed it, or died by whatever means) it stops the server and removes what was temporary. Where the
server ends by itself, a second line says how, {"ended": …}, and the keeper ends as well.

PostgreSQL refuses to run as root. As root, this process therefore enters a user namespace in
which root is another, known uid: nothing changes outside. initdb wants its uid to have a name; a
user without one (a container with an arbitrary uid) enters such a namespace too. Where namespaces
are refused, root's server runs as an unprivileged uid, with its data (and, if that uid cannot read
them, a copy of the binaries) in a folder made for it. No user is created, no permission of an
existing folder is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
NOBODY_UID = 65534  # on every Linux of today, if /etc/passwd does not say otherwise
LOCK_WAIT_S = 10.0  # a predecessor that was killed needs a moment to end
START_WAIT_S = 60.0
STOP_WAIT_S = 10.0
LOOK_S = 0.5
LOG_LIMIT_BYTES = 10_000_000
MEMORY = Path("/dev/shm")
MEMORY_LEAST_BYTES = 2 << 30
MEMORY_PREFIX = "tr-pg-data-"

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "huge_pages": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
}
SETTINGS_18 = {"io_method": "sync"}  # no I/O worker processes
SETTINGS_NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "256MB",
}

_libc = ctypes.CDLL(None, use_errno=True)


class KeeperError(Exception):
    """The server cannot be started; the message is for a person."""


class Keeper:
    """One server: where its things are, and as whom it runs.

    Args:
        installs: folders with PostgreSQL (`bin`, `lib`, `share`), the preferred one first.
        data_dir: folder of a lasting server; None for one that leaves nothing behind.
        durable: False switches off everything that survives a crash of the machine.
        namespaces: False never tries a user namespace.
    """

    def __init__(
        self, installs: list[Path], data_dir: Path | None, durable: bool, namespaces: bool
    ) -> None:
        self.installs = installs
        self.data_dir = data_dir
        self.durable = durable
        self.namespaces = namespaces
        self.uid: int | None = None
        self.scratch: Path | None = None
        self.memory: Path | None = None
        self.server: subprocess.Popen[bytes] | None = None
        self.lock: int | None = None

    def start(self) -> dict[str, Any]:
        """Start the server; give what the parent needs to reach it."""
        if self.data_dir is not None and not self.data_dir.exists():
            self.data_dir.mkdir(parents=True, mode=0o700)
            made_data_dir = True
        else:
            made_data_dir = False
        if self.data_dir is not None:
            self.lock = self._lock()
        self._take_identity()
        # A socket's path may have 107 bytes at most, so never under a long TMPDIR.
        parent = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None
        self.scratch = Path(tempfile.mkdtemp(prefix="tr-pg-", dir=parent))
        self._own(self.scratch)
        if made_data_dir and self.data_dir is not None:
            self._own(self.data_dir)
        if self.data_dir is None and not self.durable:
            self.memory = self._in_memory()
        home = self.data_dir or self.memory or self.scratch
        self._check_reach(home)
        cluster = home / "postgres"
        install = self._reachable(self._choose(cluster))
        if not (cluster / "PG_VERSION").exists():
            self._init(install, home, cluster)
        self._launch(install, cluster, home / "postgres.log")
        assert self.server is not None
        return {"socket_dir": str(self.scratch), "pid": self.server.pid}

    def wait(self, stdin: int) -> None:
        """Return when the parent is gone, a SIGTERM came, or the server ended by itself."""
        wake, wake_in = os.pipe()
        os.set_blocking(wake_in, False)
        signal.set_wakeup_fd(wake_in)
        signal.signal(signal.SIGTERM, lambda *_: None)
        parent = os.getppid()
        while True:
            ready, _, _ = select.select([stdin, wake], [], [], LOOK_S)
            if wake in ready or (stdin in ready and not os.read(stdin, 1)):
                return
            # A fork of the parent may hold the pipe open although the parent is dead.
            if os.getppid() != parent or (self.server and self.server.poll() is not None):
                return

    def stop(self) -> None:
        """Stop the server and remove what was temporary."""
        if self.server is not None and self.server.poll() is None:
            # Fast shutdown writes a checkpoint; what is thrown away needs none.
            lasting = self.data_dir is not None
            self.server.send_signal(signal.SIGINT if lasting else signal.SIGQUIT)
            try:
                self.server.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                self.server.send_signal(signal.SIGQUIT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.server.wait(STOP_WAIT_S)
                self.server.kill()
        for folder in (self.scratch, self.memory):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def _lock(self) -> int:
        assert self.data_dir is not None
        descriptor = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline_s = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    os.close(descriptor)
                    raise KeeperError(
                        f"the data folder {self.data_dir} is in use by another gateway: "
                        "stop that one, or choose another data_dir"
                    ) from None
                time.sleep(0.05)
            else:
                return descriptor

    def _in_memory(self) -> Path | None:
        """Make a folder in memory for data that need not last; None where there is little room.

        A database costs half as much there: most of it is making and removing its 300 files.
        """
        try:
            remove_orphans(MEMORY)
            if shutil.disk_usage(MEMORY).free < MEMORY_LEAST_BYTES:
                return None
            folder = Path(tempfile.mkdtemp(prefix=MEMORY_PREFIX, dir=MEMORY))
        except OSError:  # there is none, or not for us
            return None
        # A lock has its name only when it is held: a folder without one is just being made.
        unnamed = folder / "lock.new"
        self.lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        unnamed.rename(folder / "lock")
        self._own(folder)
        return folder

    def _take_identity(self) -> None:
        """As root, or without a name, become somebody whom PostgreSQL accepts."""
        if os.geteuid() != 0:
            if not has_name(os.geteuid()) and not (self.namespaces and enter_namespace()):
                raise KeeperError(
                    f"uid {os.geteuid()} has no name, which PostgreSQL's initdb wants, and user "
                    "namespaces are refused: give it an entry in /etc/passwd, or name another "
                    "server with TELERIG_DATABASE_URL"
                )
            return
        owner = 0
        if self.data_dir is not None:
            with contextlib.suppress(FileNotFoundError):
                owner = (self.data_dir / "postgres" / "PG_VERSION").stat().st_uid
        if owner != 0:
            self.uid = owner
        elif not self.namespaces or not enter_namespace():
            self.uid = unprivileged_uid()

    def _own(self, folder: Path) -> None:
        """Give a folder that was made here to the user of the server."""
        if self.uid is not None:
            os.chown(folder, self.uid, self.uid)

    def _check_reach(self, home: Path) -> None:
        if self.uid is not None and not can_reach(home, self.uid):
            raise KeeperError(
                f"uid {self.uid}, under which PostgreSQL has to run here (it refuses root, and "
                f"user namespaces are refused), cannot enter {home}: choose another data_dir, "
                "for example /var/lib/telerig, or do not run as root"
            )

    def _choose(self, cluster: Path) -> Path:
        """Give the installation of the major version that made the cluster."""
        try:
            version = (cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return self.installs[0]
        for install in self.installs:
            if major(install) == version:
                return install
        raise KeeperError(
            f"{cluster} was made by PostgreSQL {version}, found only "
            f"{', '.join(major(install) for install in self.installs)}: install that version, "
            "or choose another data_dir"
        )

    def _reachable(self, install: Path) -> Path:
        """Give the installation, or a copy where the server's user cannot read it."""
        if self.uid is None:
            return install
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            self._run([install / "bin" / "postgres", "--version"])
            return install
        assert self.scratch is not None
        # The binaries look for their libraries beside the package, `../../../<package>.libs`:
        # the copy keeps that order.
        package = install.parent
        copy = self.scratch / "install" / package.name / install.name
        libraries = package.with_name(f"{package.name}.libs")
        skip = shutil.ignore_patterns("*.a", "include", "doc")
        shutil.copytree(install, copy, ignore=skip)
        if libraries.is_dir():
            shutil.copytree(libraries, self.scratch / "install" / libraries.name)
        for path in (self.scratch / "install").rglob("*"):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        return copy

    def _init(self, install: Path, home: Path, cluster: Path) -> None:
        """Make the cluster beside its place and move it there, so that there is no half one."""
        fresh = home / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._own(fresh)
        command = [install / "bin" / "initdb", "-D", fresh, "-U", "postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
        if not self.durable:
            command.append("--no-sync")
        try:
            self._run(command)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = complaint(error.stderr.splitlines())
            raise KeeperError(f"PostgreSQL cannot make its data in {home}: {reason}") from None
        fresh.rename(cluster)

    def _launch(self, install: Path, cluster: Path, log: Path) -> None:
        settings = dict(SETTINGS)
        if int((cluster / "PG_VERSION").read_text()) >= 18:
            settings |= SETTINGS_18
        if not self.durable:
            settings |= SETTINGS_NOT_DURABLE
        command: list[Any] = [install / "bin" / "postgres", "-D", cluster, "-k", self.scratch]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        is_long = log.exists() and log.stat().st_size > LOG_LIMIT_BYTES
        mode = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if is_long else os.O_APPEND)
        descriptor = os.open(log, mode, 0o600)
        begin = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            self.server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                preexec_fn=self._before_exec,
                **self._who(),
            )
        finally:
            os.close(descriptor)
        self._wait_ready(cluster / "postmaster.pid", log, begin)

    def _wait_ready(self, status: Path, log: Path, begin: int) -> None:
        assert self.server is not None
        deadline_s = time.monotonic() + START_WAIT_S
        while True:
            # Line 8 of postmaster.pid is the state that pg_ctl looks at as well.
            with contextlib.suppress(OSError, IndexError):
                lines = status.read_text().splitlines()
                if lines[0] == str(self.server.pid) and lines[7].strip() == "ready":
                    return
            if self.server.poll() is not None:
                reason = complaint(read_from(log, begin))
                raise KeeperError(f"PostgreSQL does not start: {reason} (see {log})")
            if time.monotonic() > deadline_s:
                raise KeeperError(f"PostgreSQL was not ready within {START_WAIT_S:g} s (see {log})")
            time.sleep(0.005)

    def _who(self) -> dict[str, Any]:
        environment = {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}
        who: dict[str, Any] = {"env": environment, "cwd": "/"}
        if self.uid is not None:
            who |= {"user": self.uid, "group": self.uid, "extra_groups": []}
        return who

    def _run(self, command: list[Any]) -> None:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            **self._who(),
        )

    @staticmethod
    def _before_exec() -> None:
        # Should this process be killed as well, the kernel stops the server at once.
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def remove_orphans(memory: Path) -> None:
    """Remove what keepers have left in memory that were killed: nobody holds its lock."""
    for folder in memory.glob(f"{MEMORY_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def has_name(uid: int) -> bool:
    """Tell whether a uid has an entry in the user database."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def named_uid() -> int:
    """Give the smallest uid with a name that is not root's: "daemon" or "bin" nearly everywhere."""
    return min((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), default=NOBODY_UID)


def unprivileged_uid() -> int:
    """Give the uid of "nobody"."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return NOBODY_UID


def enter_namespace() -> bool:
    """Enter a user namespace in which we are an ordinary, named user; False where it is refused."""
    user, group, inner = os.geteuid(), os.getegid(), named_uid()
    # The question is asked in a child: a namespace that cannot be mapped cannot be left.
    child = os.fork()
    if child == 0:
        os._exit(0 if _map_namespace(user, group, inner) else 1)
    if os.waitpid(child, 0)[1] != 0:
        return False
    return _map_namespace(user, group, inner)


def _map_namespace(user: int, group: int, inner: int) -> bool:
    if _libc.unshare(CLONE_NEWUSER) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{inner} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{inner} {group} 1")
    except OSError:
        return False
    return True


def can_reach(folder: Path, uid: int) -> bool:
    """Tell whether a user can enter a folder."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os._exit(0 if os.access(folder, os.X_OK) else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def major(install: Path) -> str:
    """Give the major version of an installation, as PG_VERSION has it."""
    answer = subprocess.run(
        [install / "bin" / "postgres", "--version"], check=True, capture_output=True, text=True
    )
    return answer.stdout.split()[-1].partition(".")[0]


def complaint(lines: list[str]) -> str:
    """Give PostgreSQL's own reason: the first FATAL, PANIC or error line, else the last line."""
    for line in lines:
        for word in ("FATAL:", "PANIC:", "error:"):
            if word in line:
                return line.partition(word)[2].strip()
    return lines[-1].strip() if lines else "it says nothing"


def how_ended(code: int) -> str:
    """Say what an exit code of the server means."""
    return f"was killed by signal {-code}" if code < 0 else f"ended by itself with code {code}"


def read_from(log: Path, begin: int) -> list[str]:
    """Give the lines of a log after a place in it."""
    with log.open("rb") as file:
        file.seek(begin)
        return file.read(100_000).decode("utf-8", "replace").splitlines()


def main() -> NoReturn:
    """Start the server, answer, and stay until it is no longer needed."""
    request = json.loads(sys.argv[1])
    os.chdir("/")
    os.umask(0o022)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    keeper = Keeper(
        [Path(install) for install in request["installs"]],
        Path(request["data_dir"]) if request["data_dir"] else None,
        request["durable"],
        request["namespaces"],
    )
    code = 0
    try:
        answer = keeper.start()
    except KeeperError as error:
        answer, code = {"error": str(error)}, 1
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        answer = {"error": f"PostgreSQL cannot be started: {error.strerror or error}{name}"}
        code = 1
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(answer).encode() + b"\n")
    ended = None
    if code == 0:
        keeper.wait(0)
        ended = keeper.server.poll() if keeper.server is not None else None
    keeper.stop()
    if ended is not None:
        with contextlib.suppress(OSError):
            os.write(1, json.dumps({"ended": how_ended(ended)}).encode() + b"\n")
    os._exit(code)


if __name__ == "__main__":
    main()
