"""`telerig view`: what it says, how it ends, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.reports.view.served import ServedGateway, serving_view

COMMAND = [sys.executable, "-m", "rig.cli", "view"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_it_says_one_line_and_ends_quietly(tmp_path: Path) -> None:
    """The line is the address, which answers; Ctrl-C ends it with exit code 0 and no words."""
    process = subprocess.Popen(
        [*COMMAND, str(tmp_path), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("telerig view: http://127.0.0.1:")
    with urllib.request.urlopen(line.partition(": ")[2].strip(), timeout=60) as answer:
        assert b"<title>" in answer.read()
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_it_ends_at_once_with_open_sockets(gateway: ServedGateway) -> None:
    """A page that listens does not keep it from ending, nor make it say anything."""
    process = subprocess.Popen(
        [*COMMAND, "--gateway", gateway.url, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    headers = {"x-api-key": gateway.secret}
    live = url.replace("http", "ws") + "api/v1/live"
    with connect(live, additional_headers=headers) as socket_of_page:
        socket_of_page.recv(60)
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_a_busy_port_is_one_line(tmp_path: Path) -> None:
    """It names the port and the option that takes another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(str(tmp_path), "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {port}: address already in use" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "found no folder 'nowhere'"),
        (["--gateway", "ftp://x"], "expected an address like"),
        (["--port", "x"], "--port"),
        ([".", "--port", "99999"], "expected 0 to 65535"),
        ([".", "--host", "no.such.host.invalid"], "cannot listen on"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], expected: str) -> None:
    """Each says what was expected, and none is a traceback."""
    done = run(*words)
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert expected in line


def test_without_words_it_shows_the_runs_of_here(tmp_path: Path) -> None:
    """The folder is ./runs; where there is none, it says how to get one."""
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "telerig run FILE" in done.stderr


def test_a_damaged_folder_does_not_end_it(tmp_path: Path) -> None:
    """A run that is half there leaves the pages, and the rest of the runs, as they are."""
    (tmp_path / "20260101-broken").mkdir()
    (tmp_path / "20260101-broken" / "manifest.json").write_text('{"scenario": ')
    with serving_view(tmp_path, os.environ) as view:
        assert "runs" in view.ask("/api/runs")
