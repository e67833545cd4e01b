"""The commands of a bench engineer, with stand-ins on the desk."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rig.measures.measures import measure
from rig.record.reader import RecordReader
from tests.rig.conftest import clean_environment
from tests.rig.stand.conftest import Adapter

SCENARIO = """\
rig: 1
needs: [{needs}]
gateway: {{plan: {{RPM: 5 Hz}}}}
phases: [{{idle: 8 s}}]
limits: {{readings.lost: {{equals: 0}}}}
"""
PULLED_S = 15.0
LIMIT_S = 200.0


def _write(folder: Path, adapter: Adapter, **needs: str) -> Path:
    for name, links in needs.items():
        (folder / f"{name}.scenario.yaml").write_text(SCENARIO.format(needs=links))
    bench = folder / "desk.yaml"
    bench.write_text(f"bench: 1\nlinks: {{obd: {{real: {adapter.path}}}}}\n")
    return bench


def test_telerig_run_with_a_bench(
    adapter: Adapter, tmp_path: Path, child_coverage: Mapping[str, str]
) -> None:
    """`telerig run FILE --bench FILE` ends with 0; its record names adapter and command."""
    bench = _write(tmp_path, adapter, drive="obd, gps")
    words = [sys.executable, "-m", "rig.cli", "run", "drive.scenario.yaml", "--bench", bench.name]
    done = subprocess.run(
        words, cwd=tmp_path, env=clean_environment(**child_coverage),
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (path.parent for path in tmp_path.glob("runs/*/run.json"))
    manifest = RecordReader(folder).manifest
    assert "--bench desk.yaml" in manifest.command
    assert manifest.bench["identities"]["obd"]["ATI"]


def test_a_suite_goes_on_without_the_adapter(
    adapter: Adapter, tmp_path: Path, child_coverage: Mapping[str, str]
) -> None:
    """Pulled in the first scenario: that one fails and says so, the next one that needs it is
    skipped, the one that does not passes."""
    bench = _write(tmp_path, adapter, a_first="obd, gps", b_second="obd", c_third="gps")
    words = [sys.executable, "-m", "pytest", "-v", "-rs", "-p", "no:cacheprovider", ".",
             "--rig-bench", bench.name]  # fmt: skip
    suite = subprocess.Popen(
        words, cwd=tmp_path, env=clean_environment(**child_coverage),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        deadline_s = time.monotonic() + LIMIT_S
        while not list(tmp_path.glob("**/run.json")) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        time.sleep(PULLED_S)
        adapter.pull()
        out, _ = suite.communicate(timeout=LIMIT_S)
    finally:
        suite.kill()
    assert re.search(r"a_first\S* FAILED", out), out
    assert re.search(r"b_second\S* SKIPPED", out), out
    assert re.search(r"c_third\S* PASSED", out), out
    assert re.search(r"obd\.gone is 1.*went away at idle\+", out), out
    assert "bench broken" in out
    folder = next(path.parent for path in tmp_path.glob("**/*first*/run.json"))
    record = RecordReader(folder)
    assert record.finished
    assert measure(record).get("gps.rate") is not None
