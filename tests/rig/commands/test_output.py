"""What the commands print, and to whom: terminals, pipes, scripts, nobody."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rig.cli
from rig.cli import main

Telerig = Callable[..., Any]
COMMANDS = ("demo", "device", "report", "run", "serve")
REPO = Path(__file__).parents[3]


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell; `$T` is telerig."""
    command = f"{sys.executable} -m rig.cli"
    return subprocess.run(
        ["bash", "-c", line.replace("$T", command)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_json(telerig: Telerig, tiny: Path, server_url: str) -> None:
    """--json prints one document and nothing else; it tells verdict, figures and the record."""
    ended = telerig("run", tiny, "--json", TELERIG_DATABASE_URL=server_url)
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    (run,) = document["runs"]
    assert document["passed"] is run["passed"] is True
    assert [limit["limit"] for limit in run["limits"]] == ["gps.coverage", "readings.lost"]
    assert run["command"] == "telerig run tiny.scenario.yaml --seed 5"
    assert (Path(run["record"]) / "run.json").is_file()


def test_a_narrow_window(telerig: Telerig, tiny: Path, server_url: str) -> None:
    """In 40 columns every name and number is whole: a limit takes two lines."""
    ended = telerig("run", tiny, COLUMNS="40", TELERIG_DATABASE_URL=server_url)
    assert ended.code == 0
    lines = ended.out.splitlines()
    at = lines.index("PASS    gps.coverage [idle]")
    assert lines[at + 1].strip() == "100 %, bound >= 90, margin 10"
    assert "1 of 1 runs passed" in ended.out


def test_several_files_and_a_folder(telerig: Telerig, tiny: Path, server_url: str) -> None:
    """A folder stands for the scenario files in it."""
    ended = telerig("run", ".", "--seeds", "2", TELERIG_DATABASE_URL=server_url)
    assert ended.code == 0
    assert "2 of 2 runs passed" in ended.out


def test_a_reader_that_leaves(tiny: Path, server_url: str) -> None:
    """`| head -1` gets its line; the command ends without a word on standard error."""
    line = "$T run tiny.scenario.yaml | head -1; echo code ${PIPESTATUS[0]}"
    done = shell(line, tiny.parent, TELERIG_DATABASE_URL=server_url)
    assert done.stdout.startswith("tiny, seed 5, virtual")
    assert done.stdout.rstrip().endswith(("code 0", "code 1"))
    assert done.stderr == ""


@pytest.mark.parametrize("closing", ["<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tiny: Path, server_url: str, closing: str) -> None:
    """With its streams closed a run still runs, judges and leaves a whole record."""
    line = f"$T run tiny.scenario.yaml {closing}"
    done = shell(line, tiny.parent, TELERIG_DATABASE_URL=server_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (record,) = tiny.parent.glob("runs/*/run.json")
    assert "tiny" in record.read_text()
    assert (tiny.parent / "runs" / "report.html").read_text().startswith("<!")


def test_a_full_output(tiny: Path, server_url: str) -> None:
    """Where the output cannot be written, one line says so; exit code 1."""
    done = shell("$T run tiny.scenario.yaml > /dev/full", tiny.parent)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_on_a_terminal(tiny: Path, server_url: str) -> None:
    """A terminal gets colours and a bar; a pipe gets neither (other tests compare plain text)."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "rig.cli", "run", "tiny.scenario.yaml"],
        cwd=tiny.parent,
        env={**os.environ, "TERM": "xterm", "TELERIG_DATABASE_URL": server_url},
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
    ):
        os.close(slave)
        seen = b""
        while True:
            try:
                seen += os.read(master, 65536)
            except OSError:  # EIO: everybody has gone
                break
    os.close(master)
    assert b"\x1b[" in seen
    assert b"1 of 1 runs passed" in seen


# -- help ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_teaches(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every help fits 100 columns, and has an example to copy and the exit codes."""
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        main(words)
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(len(line) <= 100 for line in text.splitlines())
    if words[0] == "serve":
        assert "example configuration" in text
    else:
        assert "\n  telerig " in text
    assert "exit code" in text.lower()


def test_no_words_at_all(telerig: Telerig) -> None:
    """`telerig` alone shows the help on standard error; exit code 2."""
    ended = telerig()
    assert (ended.code, ended.out) == (2, "")
    assert "start here" in ended.err


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("platform", "darwin", ("expected Linux", "found darwin")),
        ("platform", "win32", ("expected Linux", "WSL 2")),
        ("version_info", (3, 10, 4), ("expected Python 3.11 to 3.13", "found 3.10.4")),
        ("version_info", (3, 14, 0), ("expected Python 3.11 to 3.13", "found 3.14.0")),
    ],
)
def test_an_unsupported_machine(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    attribute: str,
    value: object,
    words: tuple[str, ...],
) -> None:
    """Another system or Python: one clear line before anything else happens; exit code 2."""
    monkeypatch.setattr(rig.cli.sys, attribute, value)
    code = main(["run", "x"])
    monkeypatch.undo()
    shown = capsys.readouterr().err
    assert (code, shown.count("\n")) == (2, 1)
    assert all(word in shown for word in words), shown


def test_a_mistake_of_our_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that nobody foresaw is one line; TELERIG_TRACEBACK=1 shows where it is."""

    def break_down(*_: object) -> int:
        raise TypeError("two\nlines")

    monkeypatch.setattr(rig.cli, "_run", break_down)
    assert main(["run"]) == 1
    assert "TypeError: two lines; please report" in capsys.readouterr().err
    monkeypatch.setenv("TELERIG_TRACEBACK", "1")
    with pytest.raises(TypeError):
        main(["run"])


def test_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command whose packages are not installed names the package and the extra; exit code 2."""
    monkeypatch.setitem(sys.modules, "rig.commands.run", None)
    assert main(["run", "x"]) == 2
    assert "pip install 'telerig[all]'" in capsys.readouterr().err
