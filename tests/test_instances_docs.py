"""docs/instances.md tells the truth: two gateways are set up with its commands, one is killed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.instances.config import InstancesConfig
from tests.server.conftest import postgres
from tests.test_operations_docs import blocks

__all__ = ["postgres"]
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "instances.md").read_text(encoding="utf-8")

TIMEOUT_S = 100


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def test_the_steps_work(tmp_path: Path, postgres: object) -> None:
    """All of its commands, one after the other, on an empty database; nothing fails."""
    url = postgres.create_database("instances_docs")  # type: ignore[attr-defined]
    one, two = free_ports(2)
    toml = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "gw-a.toml").write_text(toml.replace("8000", str(one)), encoding="utf-8")
    script = "".join(text for is_run, text in blocks(PAGE) if is_run)
    export = "export TELERIG_DATABASE_URL=postgresql://telerig@db.example/telerig\n"
    assert export in script
    script = script.replace(export, f"export TELERIG_DATABASE_URL='{url}'\n")
    script = script.replace("8000", str(one)).replace("8001", str(two))
    (tmp_path / "bin").mkdir()
    telerig = tmp_path / "bin" / "telerig"
    program = "import sys; from rig.cli import main; sys.exit(main())"
    telerig.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}" "$@"\n')
    telerig.chmod(0o755)
    env = {name: text for name, text in os.environ.items() if not name.startswith("TELERIG_")}
    env |= {"PATH": f"{tmp_path / 'bin'}:{env['PATH']}", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        ["bash", "-eumc", f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{script}trap - EXIT\n"],
        cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.terminate()  # and its gateways: the trap
        out, err = process.communicate()
    postgres.drop_database("instances_docs")  # type: ignore[attr-defined]
    assert process.returncode == 0, out + err
    assert out.count('"accepted":1') == 3
    assert re.search(r"^gw-a +gw-a +\S+ +32 ", out, re.M), out
    assert "telerig_instances_living 2" in out


def test_keys_metrics_and_links_are_there() -> None:
    """Each key of the table is one of [instances], each metric is told, each link leads on."""
    table = PAGE.partition("## Configuration")[2].partition("##")[0]
    keys = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert keys == set(InstancesConfig.__struct_fields__)
    source = (ROOT / "server" / "operation" / "metrics.py").read_text(encoding="utf-8")
    for name in set(re.findall(r"telerig_([a-z_]+)", PAGE)) - {"bus"}:
        stem = name.removesuffix("_total")
        known = stem in source or stem.removeprefix("bus_").removeprefix("feed_") in source
        assert known, name
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


@pytest.mark.parametrize("name", ["scale", "instances"])
def test_anchors_lead_to_headings(name: str) -> None:
    """A link to a part of a page of ours leads to a heading that it has."""
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([\w-]*\.md|)#([^)]*)\)", page):
        there = ROOT / "docs" / (target or f"{name}.md")
        headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.M)
        anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}
        assert anchor in anchors, (target, anchor)
