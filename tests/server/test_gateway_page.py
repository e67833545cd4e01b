"""The page docs/gateway.md tells the truth: its example link runs, its configuration loads."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from server.config import parse_config
from server.gateway import Gateway
from server.serve import serve
from tests.server.stored import fetch_readings

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")


def block(language: str, having: str) -> str:
    """Give the code block of the page that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [text for text in blocks if having in text]
    return found


def test_the_example_configuration_loads() -> None:
    """Every key of the page's configuration is known."""
    config = parse_config(block("toml", "[pipeline]"), "page", {})
    assert [link.name for link in config.links] == ["obd", "gps"]


@pytest.mark.promise("D08")
async def test_the_example_link_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    """The page's link, found by its entry point, has its readings stored by a real gateway."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "barometer.py").write_text(block("python", "class BarometerLink"))
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    entry = re.search(r"^barometer = \"(.*)\"$", block("toml", "telerig.links"), re.MULTILINE)
    assert entry is not None
    (info / "entry_points.txt").write_text(f"[telerig.links]\nbarometer = {entry[1]}\n")
    monkeypatch.syspath_prepend(tmp_path)
    pressure = tmp_path / "in_pressure_input"
    pressure.write_text("98.7\n")
    table = block("toml", "[links.cabin]")
    text = re.sub(r'path = ".*"', f'path = "{pressure}"', table) + "[http]\nport = 0\n"
    config = parse_config(text, "page", {}).with_database_url(database_url)
    stop = asyncio.Event()
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result))
    gateway = await asyncio.wait_for(ready, 10)
    while gateway.pipeline.counts.stored < 3:  # noqa: ASYNC110  it offers no event
        await asyncio.sleep(0.05)
    stop.set()
    await running
    readings = await fetch_readings(database_url)
    assert {reading.value for reading in readings} == {98.7}
    assert [reading.seq for reading in readings] == list(range(1, len(readings) + 1))
