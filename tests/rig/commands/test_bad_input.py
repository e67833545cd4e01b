"""What a user can get wrong: one line that says where, what was expected, what came, what to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from rig.runner.databases import with_database
from server.clock import SystemClock
from server.store.connection import connect
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import Migration, load_migrations, migrate

Telerig = Callable[..., Any]
USAGE, FAILED = 2, 1

BAD_FILES: dict[str, tuple[bytes, int, tuple[str, ...]]] = {
    "unknown key": (
        b"rig: 1\nseeed: 3\nphases:\n  - {idle: 5 s}\n",
        2,
        ("expected a key", "'seeed'", "did you mean 'seed'?"),
    ),
    "wrong unit": (b"rig: 1\nphases:\n  - {idle: 5 km}\n", 3, ("a duration", "'5 km'", "'30 s'")),
    "no phases": (b"rig: 1\n", 1, ("'phases'", "add, say")),
    "missing phase": (
        b"rig: 1\nphases: [{idle: 5 s}]\nlimits:\n  obd.rate: {min: 1/s, phase: cruise}\n",
        4,
        ("the name of a phase", "'cruise'", "known: idle"),
    ),
    "unknown measure": (
        b"rig: 1\nphases: [{idle: 5 s}]\nlimits:\n  obd.latnecy.p95: {max: 1 ms}\n",
        4,
        ("'obd.latnecy.p95'", "obd.latency.p95"),
    ),
    "not YAML": (b"rig: 1\nphases: [\n", 3, ("expected YAML",)),
    "binary": (b"\x7fELF\x00\n\xff\xfe", 2, ("UTF-8", "0xff")),
    "nothing": (b"", 1, ("an empty file", "rig: 1")),
    "a list": (b"- 1\n", 1, ("expected", "found a list")),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_wrong_scenario_file(telerig: Telerig, tmp_path: Path, case: str) -> None:
    """The one line names file and line, what was expected and what came; exit code 2."""
    content, line, words = BAD_FILES[case]
    (tmp_path / "bad.scenario.yaml").write_bytes(content)
    ended = telerig("run", "bad.scenario.yaml")
    ended.complaint(USAGE, f"bad.scenario.yaml:{line}: expected", "found", *words)
    assert not (tmp_path / "runs").exists()


BAD_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "no such file": (("run", "no.scenario.yaml"), ("no.scenario.yaml", "no such file")),
    "a folder without scenarios": (("run", "."), (".: expected scenario files", ".scenario.yaml")),
    "seed": (("run", "a", "--seed", "x"), ("--seed", "whole number from 0", "'x'", "--help")),
    "seeds": (("run", "a", "--seeds", "0"), ("--seeds", "from 1", "'0'")),
    "no file": (("run",), ("FILE", "telerig run --help")),
    "command": (
        ("rnu",),
        ("expected a command of bench, campaign, capacity", "'rnu'", "did you mean 'run'?"),
    ),
    "option": (("run", "a", "--nope"), ("expected an option", "'--nope'", "telerig run --help")),
    "option of telerig": (("--nope",), ("'--nope'", "see telerig --help")),
    "mode": (("run", "a", "--mode", "fast"), ("'fast'", "virtual", "paced")),
    "device": (("device", "lin"), ("'lin'", "obd", "gps")),
    "port number": (("device", "obd", "--tcp", "99999"), ("65535", "'99999'")),
    "rate of an obd": (("device", "obd", "--rate", "5"), ("--rate", "gps")),
    "rate that a chip has not": (("device", "gps", "--rate", "1000"), ("1000", "expected")),
    "variant without scenario": (("device", "obd", "--variant", "x"), ("--scenario FILE",)),
    "configuration": (("serve", "-c", "no.toml"), ("no.toml", "No such file")),
    "run to report": (("report", "nothing"), ("'nothing'", "expected a folder")),
    "nothing to report": (("report",), ("runs: expected a run", "telerig run FILE")),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_wrong_words(telerig: Telerig, case: str) -> None:
    """The one line names the word, and says what is known or where to read on; exit code 2."""
    words, parts = BAD_WORDS[case]
    telerig(*words).complaint(USAGE, *parts)


def test_an_unknown_variant(telerig: Telerig, tiny: Path) -> None:
    """A variant that no matrix has is a usage error."""
    telerig("run", tiny, "--variant", "x").complaint(USAGE, "'x'")


def test_twice_in_wall_time(telerig: Telerig, tiny: Path) -> None:
    """Wall time never repeats itself: --twice refuses it before anything runs."""
    telerig("run", tiny, "--twice", "--mode", "paced").complaint(USAGE, "--twice", "virtual")


@pytest.mark.parametrize("place", ["/proc/runs", "a file", "a file/runs"])
def test_runs_where_nothing_can_be_written(
    telerig: Telerig, tiny: Path, tmp_path: Path, place: str
) -> None:
    """A folder for records that cannot be made is a usage error."""
    (tmp_path / "a file").touch()
    telerig("run", tiny, "--runs", place).complaint(USAGE, f"{place}: expected a folder", "choose")


def test_a_report_that_cannot_be_written(telerig: Telerig, tiny: Path) -> None:
    """No folder for the report: known before the first run starts."""
    telerig("run", tiny, "--report", "no/report.html").complaint(USAGE, "--report", "no/report")


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:secret@127.0.0.1:1/x", "postgresql://u:secret@nowhere.invalid/x", "nonsense"],
)
def test_a_database_that_does_not_answer(telerig: Telerig, tiny: Path, url: str) -> None:
    """The one line names the server, without its password, and the variable; exit code 1."""
    ended = telerig("run", tiny, TELERIG_DATABASE_URL=url)
    line = ended.complaint(FAILED, "expected", "found", "TELERIG_DATABASE_URL")
    assert "secret" not in line
    served = telerig("serve", TELERIG_DATABASE_URL=url, TELERIG_HTTP_PORT="0")
    assert served.code in (USAGE, FAILED)
    assert served.err.count("\n") == 1
    assert "secret" not in served.err


async def make_database(server_url: str, name: str) -> None:
    """Make an empty one."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"DROP DATABASE IF EXISTS {name}")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def test_a_database_of_the_future(telerig: Telerig, server_url: str) -> None:
    """A schema that this version does not know is refused, not changed; exit code 1."""
    url = with_database(server_url, "future")

    async def make() -> None:
        await make_database(server_url, "future")
        connection = await connect(url)
        future = Migration(999, "warp_drive", "CREATE TABLE warp_drive (x int);")
        await migrate(connection, SystemClock(), (*load_migrations(), future))
        await connection.close()

    asyncio.run(make())
    ended = telerig("serve", TELERIG_DATABASE_URL=url, TELERIG_HTTP_PORT="0")
    ended.complaint(FAILED, "0999_warp_drive", "newer telerig")


def test_a_busy_http_port(telerig: Telerig, server_url: str) -> None:
    """The one line names host and port and the way out; exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        ended = telerig("serve", TELERIG_DATABASE_URL=server_url, TELERIG_HTTP_PORT=port)
    ended.complaint(FAILED, port, "address already in use", "[http] port")


def test_a_busy_tcp_port_of_a_device(telerig: Telerig) -> None:
    """A port that another program listens on is refused with the way out; exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        telerig("device", "obd", "--tcp", port).complaint(FAILED, f"--tcp {port}", "0 for any")


GATEWAY = """\
[http]
port = 0
[links.obd]
kind = "obd"
port = "{port}"
plan = [{{signal = "RPM", rate_hz = 5}}]
"""


def test_an_absent_serial_port(server_url: str, telerig: Telerig, tmp_path: Path) -> None:
    """A gateway whose adapter is not plugged in says so, keeps trying, and ends cleanly."""
    told = '[log]\nlevel = "debug"\n'  # the same failure again is told at this level alone
    (tmp_path / "g.toml").write_text(told + GATEWAY.format(port=tmp_path / "nowhere"))
    checked = telerig("serve", "-c", "g.toml", "--check")
    assert (checked.code, checked.err) == (0, "")
    environment = {**os.environ, "TELERIG_DATABASE_URL": with_database(server_url, "absent")}
    asyncio.run(make_database(server_url, "absent"))
    command = [sys.executable, "-m", "rig.cli", "serve", "-c", str(tmp_path / "g.toml")]
    gateway = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert gateway.stderr is not None
    lines = []
    for line in gateway.stderr:
        lines.append(line)
        if "again, after: expected a serial port at" in line and str(tmp_path / "nowhere") in line:
            gateway.send_signal(signal.SIGTERM)
            break
    rest = gateway.communicate(timeout=30)[1]
    assert gateway.returncode == 0, lines
    assert "Traceback" not in "".join(lines) + rest


# -- disks -----------------------------------------------------------------------------------------
@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a memory file system there; skips where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_for_runs_that_is_read_only(telerig: Telerig, tiny: Path, tmp_path: Path) -> None:
    """A read-only file system is found before anything runs; exit code 2."""
    with mounted(tmp_path / "runs", "ro") as runs:
        telerig("run", tiny, "--runs", runs).complaint(USAGE, "Read-only file system")


def test_a_disk_that_fills_up_during_a_run(
    telerig: Telerig, tiny: Path, tmp_path: Path, server_url: str
) -> None:
    """The run failed, its reason is the disk, and the exit code is 1."""
    with mounted(tmp_path / "disk", "size=40k") as disk:
        ended = telerig("run", tiny, "--runs", disk, TELERIG_DATABASE_URL=server_url)
    assert ended.code == FAILED
    assert "No space left on device" in ended.out
    assert "0 of 1 runs passed" in ended.out


def test_a_disk_without_room_for_the_report(
    telerig: Telerig, tiny: Path, tmp_path: Path, server_url: str
) -> None:
    """The verdict is shown, the page is missed in one line, and the exit code is 1."""
    with mounted(tmp_path / "disk", "size=8k") as disk:
        ended = telerig(
            "run", tiny, "--report", disk / "page.html", TELERIG_DATABASE_URL=server_url
        )
    ended.complaint(FAILED, "page.html", "No space left on device")
    assert "1 of 1 runs passed" in ended.out


def test_a_limit_on_the_size_of_files(
    telerig: Telerig, tiny: Path, tmp_path: Path, server_url: str
) -> None:
    """Where a file may not grow (ulimit -f) a run fails in one line, for any user."""
    # Smaller than the stream of truth, larger than what is written before the run.
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (12000, 12000)); "
        "from rig.cli import main; sys.exit(main())"
    )
    environment = {**os.environ, "TELERIG_DATABASE_URL": server_url}
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(tiny)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == FAILED, done
    assert "Traceback" not in done.stdout + done.stderr
    assert "File too large" in done.stdout + done.stderr


def test_a_full_disk_under_the_gateway(telerig: Telerig, tmp_path: Path) -> None:
    """A gateway without room for its database says so in one line; exit code 1."""
    with mounted(tmp_path / "disk", "size=5m") as disk:
        (tmp_path / "g.toml").write_text(
            f'[http]\nport = 0\n[database]\ndata_dir = "{disk / "data"}"\n'
        )
        telerig("serve", "-c", "g.toml").complaint(FAILED, "No space left on device")


# -- a database that dies --------------------------------------------------------------------------
LONGER = "rig: 1\nneeds: [gps]\nphases: [{idle: 20 min}]\nlimits: {readings.lost: {equals: 0}}\n"


def test_a_database_that_dies_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """The run ends by itself, failed, with one line about it; no traceback."""
    (tmp_path / "long.scenario.yaml").write_text(LONGER)
    with EmbeddedPostgres(durable=False) as server:
        environment = {**os.environ, "TELERIG_DATABASE_URL": server.start()}
        starter = subprocess.Popen(
            [sys.executable, "-m", "rig.cli", "run", "long.scenario.yaml"],
            cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline_s = time.monotonic() + 60
        while not [*tmp_path.glob("runs/*/samples*")] and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert starter.poll() is None
        server.stop()
        out, err = starter.communicate(timeout=100)
    assert starter.returncode == FAILED, out + err
    assert "Traceback" not in out + err
    assert "0 of 1 runs passed" in out
