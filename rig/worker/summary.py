"""What both clocks share about a run: its manifest and its result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rig import assembly
from rig.scenario.model import Scenario
from rig.versions import versions
from rig.worker.gateway_log import LogCapture
from rig.worker.job import Job
from rig.worker.recording import TRUTH_COLUMNS


def manifest_of(
    scenario: Scenario, job: Job, mode: str, epoch_ns: int, config: Mapping[str, Any]
) -> dict[str, Any]:
    """What the record says about a run before it begins."""

    def utc_ns(time_s: float) -> int:
        return epoch_ns + round(time_s * 1e9)

    return {
        "scenario": scenario.id,
        "scenario_path": str(job.scenario),
        "seed": job.seed,
        "mode": mode,
        "epoch_ns": epoch_ns,
        "command": job.command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "matrix": dict(scenario.matrix),
        "phases": [
            (name, utc_ns(start_s), utc_ns(end_s))
            for name, start_s, end_s in assembly.phase_windows(scenario)
        ],
        "plan": assembly.plan_of(scenario),
        "truth_columns": TRUTH_COLUMNS,
        "limits": [*scenario.limits, *scenario.after],
        "versions": {**versions(), "config": assembly.config_hash(config)},
    }


def result_of(
    *,
    sim_s: float,
    wall_s: float,
    exit_code: int,
    counters: Mapping[str, Mapping[str, int]],
    log: LogCapture,
    **gateway: float,
) -> dict[str, Any]:
    """What only the runner can know about a run."""
    return {
        "sim_s": sim_s,
        "wall_s": wall_s,
        "gateway": {"exit": exit_code, **gateway},
        "counters": {link: dict(values) for link, values in counters.items()},
        "log": {"errors": log.error_count, "warnings": log.warning_count},
    }
