"""docs/quickstart.md and docs/operations.md tell the truth: their commands are run, or parsed."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8")
         for name in ("quickstart.md", "operations.md")}  # fmt: skip
NOT_RUN = "<!-- not run"


def blocks(page: str) -> list[tuple[bool, str]]:
    """The shell blocks of a page, and whether each is to be run."""
    found = re.findall(r"(?:(<!-- [^\n]* -->)\n)?```sh\n(.*?)```", page, re.DOTALL)
    return [(not mark.startswith(NOT_RUN), text) for mark, text in found]


@pytest.mark.promise("O10")
def test_the_quickstart_works(tmp_path: Path) -> None:
    """All of its commands, one after the other, in an empty folder; nothing fails."""
    page = PAGES["quickstart.md"]
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "telerig.toml").write_text(toml.replace("8000", str(port)), encoding="utf-8")
    program = f'exec "{sys.executable}" -c "import sys; from rig.cli import main; sys.exit(main())"'
    script = "".join(text for is_run, text in blocks(page) if is_run).replace("8000", str(port))
    (tmp_path / "bin").mkdir()
    telerig = tmp_path / "bin" / "telerig"
    telerig.write_text(f'#!/bin/sh\n{program} "$@"\n', encoding="utf-8")
    telerig.chmod(0o755)
    env = {name: text for name, text in os.environ.items() if not name.startswith("TELERIG_")}
    env |= {
        "PATH": f"{tmp_path / 'bin'}:{env['PATH']}",
        "TELERIG_URL": f"http://127.0.0.1:{port}",
        "PYTHONPATH": str(ROOT),
    }
    env.pop("TELERIG_TEST_URL", None)
    # `telerig test` is to start a gateway of its own, as for a reader without TELERIG_URL.
    script = script.replace("telerig test", "env -u TELERIG_URL telerig test")
    done = subprocess.run(
        ["bash", "-eumc", f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{script}trap - EXIT\n"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in ("all is well", '"ready":true', '"accepted":1', '"SPEED"', "telerig_ready 1.0"):
        assert expected in done.stdout.replace(" ", "") or expected in done.stdout, expected
    assert "stopped" in done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    """Each `telerig …` is a command, with options that it has; each file of deploy/ is there."""
    points = {point.name: point for point in entry_points(group="telerig.commands")}
    text = PAGES[page]
    commands = [line for _, block in blocks(text) for line in block.splitlines()]
    commands += re.findall(r"`(telerig [^`\n]*)`", text)
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for line in commands:
        for part in re.findall(r"(?:^|bin/)telerig (\w[^&|>]*)", line):
            name, *words = shlex.split(part, comments=True)
            assert re.search(rf"^{name} = ", declared, re.M) or name in ("users", "migrate"), line
            options = [word for word in words if word.startswith("--")]
            if name in points and options:
                help_text = help_of(points[name].load())
                assert all(option in help_text for option in options), line
    for path in set(re.findall(r"(?<!tests/)deploy/[\w.-]+\w", text)):
        assert list((ROOT / "deploy").glob(path.removeprefix("deploy/") + "*")), path


def help_of(command: object) -> str:
    """All help of a command, that of its actions too."""
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)  # type: ignore[attr-defined]
    texts = [parser.format_help()]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts += [sub.format_help() for sub in action.choices.values()]
    return "\n".join(texts)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """No link to a page of ours is dead."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page]):
        assert (ROOT / "docs" / target).exists(), target


def test_metrics_of_the_table_exist() -> None:
    """Each metric that the page alerts on is one that the gateway tells."""
    from server.operation import metrics

    source = Path(metrics.__file__).read_text(encoding="utf-8")
    for name in set(re.findall(r"telerig_(\w+)", PAGES["operations.md"])):
        stem = re.sub(r"_total$", "", name)
        parts = {stem, stem.partition("_")[2]}
        parts |= {stem.removeprefix(f"{room}_") for room in ("readings", "compactor", "forward")}
        assert any(f"{part}" in source for part in parts), name
