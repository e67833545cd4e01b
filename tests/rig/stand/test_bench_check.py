"""The look at a bench on which another project's emulator stands for the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rig.bench import read_bench
from rig.bench.check import check_bench
from server.operation.checks.finding import OK


class Adapter(Protocol):
    """The emulator, see conftest.py."""

    path: Path

    def pull(self) -> None: ...


def test_an_emulator_is_an_adapter(adapter: Adapter, tmp_path: Path) -> None:
    """It is recognised and says what it is; once it is pulled out that is told."""
    bench = tmp_path / "desk.yaml"
    bench.write_text(f"bench: 1\nlinks: {{obd: {{real: {adapter.path}}}}}\n", encoding="utf-8")
    checked = check_bench(read_bench(bench))
    found = checked.findings[0]
    assert (found.check, found.state) == ("obd", OK), found
    assert found.found.startswith("an ELM327 (")
    assert "ELM327" in checked.identities["obd"]["ATI"]
    adapter.pull()
    assert "expected a serial port" in check_bench(read_bench(bench)).broken(["obd"])
