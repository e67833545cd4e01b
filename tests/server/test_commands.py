"""`telerig serve` as a process: exit codes, messages, signals, imports."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import server.commands as commands
import server.serve as serve_module
from server.commands import COMMAND, default_data_dir
from server.config import GatewayConfig
from server.gateway import Gateway
from server.store.migrate import load_migrations

ROOT = Path(__file__).parents[2]
PROGRAM = """
import argparse, sys
from server.commands import COMMAND
parser = argparse.ArgumentParser("telerig serve")
COMMAND.add_arguments(parser)
sys.exit(COMMAND.run(parser.parse_args()))
"""


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def started(
    *arguments: str, start_new_session: bool = False, **env: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command until it listens; give the process and the URL."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, "TELERIG_HTTP_PORT": "0", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), process.communicate()
            yield process, line.split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_life_with_the_embedded_database(tmp_path: Path, number: int) -> None:
    """Without any configuration it serves on its own PostgreSQL, and ends cleanly on a signal."""
    with started(TELERIG_DATABASE_DATA_DIR=str(tmp_path / "data")) as (process, url):
        with urllib.request.urlopen(f"{url}/ready") as answer:
            assert json.load(answer)["ready"] is True
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "stopped  readings=0" in err
    assert "Traceback" not in err + out
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("who", ["server", "keeper"])
def test_the_end_of_the_embedded_database(tmp_path: Path, who: str) -> None:
    """Its own PostgreSQL is killed: exit code 1, one line that says so, and it can start again."""
    data_dir = tmp_path / "data"
    for _attempt in range(2):
        with started(TELERIG_DATABASE_DATA_DIR=str(data_dir)) as (process, _):
            server = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
            parent = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(server if who == "server" else parent, signal.SIGKILL)
            _, err = process.communicate(timeout=40)
        assert process.returncode == 1, err
        (line,) = [line for line in err.splitlines() if line.startswith("telerig serve: ")]
        how = "was killed by signal 9" if who == "server" else "was stopped from outside"
        assert line == (
            f"telerig serve: the embedded PostgreSQL {how}; see {data_dir / 'postgres.log'}; "
            "start the gateway again"
        )
        assert "Traceback" not in err


def test_on_a_given_database(empty_database_url: str, tmp_path: Path) -> None:
    """With a database URL no server of its own is started."""
    file = tmp_path / "telerig.toml"
    file.write_text("[log]\nformat = 'json'\n")
    env = {"TELERIG_DATABASE_URL": empty_database_url, "TELERIG_USERS_LOCAL_ROLE": "viewer"}
    with started("-c", str(file), **env) as (process, url):
        with urllib.request.urlopen(f"{url}/api/v1/sessions") as answer:
            assert len(json.load(answer)["sessions"]) == 1
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in err.splitlines()]
    migrations = ["migration applied"] * len(load_migrations())
    assert events == [*migrations, "listening", "stopped"]


@pytest.mark.promise("O10")
def test_a_hangup_reads_the_configuration_again(tmp_path: Path) -> None:
    """SIGHUP without a terminal: a new link starts, systemd is told, and the gateway goes on."""
    file = tmp_path / "telerig.toml"
    port = tmp_path / "ttyGPS"
    text = "[log]\nformat = 'json'\n[database]\nenabled = false\n"
    file.write_text(text)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PORT": "1"}
        with started("-c", str(file), start_new_session=True, **env) as (process, url):
            assert systemd.recv(1000).decode() == f"READY=1\nSTATUS=listening on {url}"
            file.write_text(f"{text}[links.gps]\nkind = 'gps'\nport = '{port}'\n")
            process.send_signal(signal.SIGHUP)
            assert systemd.recv(1000).decode().startswith("RELOADING=1\n")
            assert systemd.recv(1000).decode().startswith("READY=1\n")
            process.terminate()
            assert systemd.recv(1000).decode().startswith("STOPPING=1\n")
            _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    (reloaded,) = [
        line for line in map(json.loads, err.splitlines()) if line["event"] == "reloaded"
    ]
    assert reloaded["changed"] == "link gps started"


def test_arguments_win(tmp_path: Path) -> None:
    """--port and --host come before file and environment."""
    file = tmp_path / "telerig.toml"
    file.write_text("[http]\nport = 1\n")
    answer = run("-c", str(file), "--check", "--port", "70000", TELERIG_HTTP_PORT="2")
    assert answer.returncode == 2
    assert "TELERIG_HTTP_PORT: expected a whole number from 0 to 65535" in answer.stderr
    assert run("-c", str(file), "--check", "--port", "0").returncode == 0


def test_usage_errors(tmp_path: Path) -> None:
    """A wrong configuration is one line on stderr and exit code 2."""
    file = tmp_path / "telerig.toml"
    file.write_text("[http]\n\nprot = 1\n")
    answer = run("-c", str(file))
    assert answer.returncode == 2
    assert answer.stderr == (
        f"telerig serve: {file}:3: expected a key that http has (did you mean 'port'?), "
        "found unknown key 'prot'\n"
    )
    assert run("-c", str(tmp_path / "absent")).returncode == 2
    assert run("--no-such-option").returncode == 2


def test_failures() -> None:
    """An unreachable database is one line on stderr and exit code 1."""
    answer = run(TELERIG_DATABASE_URL="postgresql://u:secret@127.0.0.1:1/d", TELERIG_HTTP_PORT="0")
    assert answer.returncode == 1
    assert answer.stderr.startswith("telerig serve: expected PostgreSQL at postgresql://u@127")
    assert answer.stderr.count("\n") == 1
    assert "secret" not in answer.stderr


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` reads the configuration and starts nothing."""
    file = tmp_path / "telerig.toml"
    file.write_text("[links.f]\nkind = 'fake'\n")
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    assert COMMAND.run(parser.parse_args(["-c", str(file), "--check"])) == 0
    assert capsys.readouterr().out == "configuration is right: 1 links\n"
    assert "TELERIG_DATABASE_URL" in parser.format_help()


@pytest.mark.parametrize("embedded", [True, False])
def test_a_life_in_this_process(
    embedded: bool,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command runs on uvloop until SIGTERM and gives 0, with either database."""
    real = serve_module.serve

    async def serve(config: GatewayConfig, **options: Any) -> None:
        on_ready = options.pop("on_ready")

        def ready(gateway: Gateway) -> None:
            on_ready(gateway)
            os.kill(os.getpid(), signal.SIGTERM)

        await real(config, on_ready=ready, **options)

    monkeypatch.setattr(serve_module, "serve", serve)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setenv("TELERIG_HTTP_PORT", "0")
    if embedded:
        monkeypatch.setenv("TELERIG_DATABASE_DATA_DIR", str(tmp_path / "data"))
    else:
        monkeypatch.setenv("TELERIG_DATABASE_URL", database_url)
    assert COMMAND.run(argparse.Namespace(config=None, check=False)) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("listening on http://127.0.0.1:")
    assert "stopped" in captured.err
    logging.captureWarnings(False)


def test_an_error_in_this_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the configuration is one line and exit code 2."""
    monkeypatch.setenv("TELERIG_HTTP_PORT", "x")
    assert COMMAND.run(argparse.Namespace(config=None, check=False)) == 2
    assert capsys.readouterr().err.startswith("telerig serve: TELERIG_HTTP_PORT: expected")


def test_where_the_data_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """./telerig-data where it exists, then XDG, then root's or the user's own place."""
    monkeypatch.chdir(tmp_path)
    assert default_data_dir({"XDG_STATE_HOME": "/state"}) == Path("/state/telerig")
    monkeypatch.setattr(commands.os, "geteuid", lambda: 0)
    assert default_data_dir({"XDG_STATE_HOME": "relative"}) == Path("/var/lib/telerig")
    monkeypatch.setattr(commands.os, "geteuid", lambda: 1000)
    assert default_data_dir({}) == Path.home() / ".local/state/telerig"
    (tmp_path / "telerig-data").mkdir()
    assert default_data_dir({}) == Path("telerig-data")


def test_what_is_not_imported() -> None:
    """Serving imports neither the world, nor pages, nor a link that is not configured."""
    heavy = (
        "simpy dash plotly obd pyarrow dask pint numpy serial pynmea2 meshtastic can yaml pytest"
        " argon2 jwt bcrypt cryptography"
    )
    program = (
        "import sys; import server.serve, server.commands, server.logs, server.store.embedded;"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
