"""Makes server/wire/profiles/focus_st_mesh.profile: the uplink's default plan, a row each second.

    python -m bench.focus_st_mesh_profile [--seeds N]

Drives bench/focus_st_mesh.scenario.yaml with an untrained logger that takes every signal once a
second, picks the plan's signals out of its rows, and trains on them. The last seed's drive is kept
apart, to tell what the profile is worth. The benchmark `mesh_airtime` trains on the same drives.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bench.focus_st_profile import PROFILE, Rows, bits_per_reading, rows_of
from firmware_stubs import signals as firmware
from firmware_stubs.plan import Plan
from rig.scenario.load import load_scenario
from rig.scenario.model import BOARD_GPS_SIGNALS
from server.mesh.uplink.plan import DEFAULT_RATES_HZ, plan_of
from server.training.learning import train
from server.wire.codec.profile import Profile, SignalPlan

HERE = Path(__file__).parent
SCENARIO = HERE / "focus_st_mesh.scenario.yaml"
MESH_PROFILE = PROFILE.with_name("focus_st_mesh.profile")
FIRST_SEED = 971
PERIOD_MS = 1000
HARD_S = 1500
_TARGETS_KMH = (0, 20, 35, 50, 60, 80, 100, 110, 120, 130)


def hard_cycle(seed: int) -> str:
    """Make a cycle of full throttle and full brakes, as CSV."""
    rng = random.Random(seed)
    speeds = [0.0] * 5
    now = 0.0
    while len(speeds) < HARD_S:
        target = max(0.0, rng.choice(_TARGETS_KMH) + rng.uniform(-8, 8))
        step = 3.6 * rng.uniform(0.8, 3.2)
        while abs(now - target) > step:
            now += step if target > now else -step
            speeds.append(now)
        now = target
        for _ in range(int(rng.expovariate(1 / 12)) + 2):
            now = max(0.0, now + rng.gauss(0, 0.8)) if target > 3 else 0.0
            speeds.append(now)
    return "t_s,speed_kph\n" + "".join(f"{at},{kmh:.1f}\n" for at, kmh in enumerate(speeds))


@dataclass(frozen=True, slots=True)
class EveryRow:
    """A drive as a logger has taken it: all of its signals, once a second.

    Attributes:
        sources: the signals, in the order of a row.
        rows: in the firmware's steps.
    """

    sources: Sequence[firmware.Signal]
    rows: Rows

    def picked(self, plan: Sequence[SignalPlan]) -> Rows:
        """Give the rows of a plan, in the plan's steps."""
        columns = [next(i for i, s in enumerate(self.sources) if s.id == p.id) for p in plan]
        shifts = [_shift(self.sources[at], p) for at, p in zip(columns, plan, strict=True)]
        found: Rows = []
        for number, row in enumerate(self.rows):
            values: list[int | None] = []
            for column, shift, p in zip(columns, shifts, plan, strict=True):
                if number % p.divider == p.phase:
                    value = row[column]
                    values.append(None if value is None else value + shift)
            found.append(values)
        return found


def drive(scenario: Path, folder: Path, seed: int | None = None) -> EveryRow:
    """Run a copy of a scenario, with the hard.csv of a seed beside it; give the logger's rows."""
    room = folder / f"{scenario.name}-{seed}"
    room.mkdir()
    copy = Path(shutil.copy(scenario, room))
    (room / "hard.csv").write_text(hard_cycle(seed or 0))
    command = [sys.executable, "-m", "rig.cli", "run", str(copy), "--runs", str(room / "runs")]
    command += [] if seed is None else ["--seed", str(seed)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (run,) = [path for path in (room / "runs").iterdir() if path.is_dir()]
    wanted = load_scenario(copy).world.esp32.plan
    plan = Plan({"rates": {**wanted, **dict.fromkeys(BOARD_GPS_SIGNALS, 1)}})
    return EveryRow(plan.sources, rows_of(run, plan.profile(None)))


def _shift(source: firmware.Signal, plan: SignalPlan) -> int:
    """Give the plan's step of the firmware's step 0."""
    offset = source.offset - Fraction(plan.offset_num, plan.offset_den)
    return int(offset / Fraction(plan.scale_num, plan.scale_den))


def main() -> int:
    """Drive, train, write, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6, help="drives, the last to judge by (6)")
    count: int = parser.parse_args().seeds
    plan = plan_of(DEFAULT_RATES_HZ, None, PERIOD_MS / 1000)
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(FIRST_SEED, FIRST_SEED + count)
        drives = [drive(SCENARIO, Path(folder), seed).picked(plan) for seed in seeds]
    profile = train(drives[:-1], plan, period_ms=PERIOD_MS)
    MESH_PROFILE.write_bytes(profile.to_bytes())
    print(f"{MESH_PROFILE}: {MESH_PROFILE.stat().st_size} bytes")
    for name, one in (("without training", Profile.cold(PERIOD_MS, plan)), ("trained", profile)):
        print(f"{name}: {bits_per_reading(one, drives[-1]):.2f} bits a reading")
    return 0


if __name__ == "__main__":
    sys.exit(main())
