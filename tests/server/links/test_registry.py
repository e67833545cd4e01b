"""Kinds of links, those of other packages included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.config import parse_config
from server.config_section import Where
from server.errors import ConfigError
from server.links.registry import BUILT_IN, link_class

EXAMPLE = '''
"""A barometer on a serial line: the smallest link."""
import asyncio
from server.config_section import Section
from server.links.base import Link

class BarometerLink(Link):
    kind = "barometer"

    @classmethod
    def parse(cls, name, table, where):
        section = Section(table, where)
        port = section.text("port")
        section.done()
        return port

    async def run(self):
        self.report.up()
        await asyncio.Event().wait()
'''


@pytest.fixture
def barometer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that brings a kind of its own."""
    (tmp_path / "barometer_for_telerig.py").write_text(EXAMPLE)
    info = tmp_path / "barometer_for_telerig-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: barometer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[telerig.links]\n"
        "barometer = barometer_for_telerig:BarometerLink\n"
        "broken = barometer_for_telerig:Nothing\n"
        "odd = pathlib:Path\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("barometer")
@pytest.mark.promise("D04")
def test_a_package_brings_a_kind() -> None:
    """A link of another package is found by its entry point and reads its own options."""
    text = "[links.b]\nkind = 'barometer'\nport = '/dev/ttyS0'"
    (link,) = parse_config(text, "f", {}).links
    assert (link.name, link.kind, link.options) == ("b", "barometer", "/dev/ttyS0")
    with pytest.raises(ConfigError, match=r"f:3: .*did you mean 'port'"):
        parse_config("[links.b]\nkind = 'barometer'\nprot = 1\nport = 'x'", "f", {})


@pytest.mark.usefixtures("barometer")
def test_kinds_that_cannot_be_loaded() -> None:
    """A broken entry point, a class that is no link and an unknown kind are told apart."""
    where = Where("f", ("links", "b"))
    with pytest.raises(ConfigError, match="a kind that can be loaded"):
        link_class("broken", where)
    with pytest.raises(ConfigError, match=r"a subclass of server\.links\.base\.Link"):
        link_class("odd", where)
    with pytest.raises(ConfigError, match=r"one of .*barometer.*did you mean barometer"):
        link_class("baromter", where)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind whose library is not installed says what to install."""
    monkeypatch.setitem(BUILT_IN, "ghost", "server.links.ghost:GhostLink")
    with pytest.raises(ConfigError, match=r"pip install 'telerig\[ghost\]'"):
        link_class("ghost", Where("f", ("links", "g")))


def test_kinds_are_loaded_only_when_named() -> None:
    """Reading a configuration without links imports none of their libraries."""
    program = (
        "import sys; from server.config import parse_config; parse_config('', 'f', {});"
        "print([m for m in ('obd', 'serial', 'pynmea2', 'server.obd.link') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
