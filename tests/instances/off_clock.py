"""A gateway on a machine whose clock is wrong: `python -m tests.instances.off_clock OFFSET_S …`.

It runs as `telerig serve` does, with the same configuration; only its wall clock is another. In
production there is no such switch.
"""

from __future__ import annotations

import sys
import time

REAL_NS = time.time_ns
REAL_S = time.time


def main() -> int:
    """Turn the clock, then run the command."""
    offset_s = float(sys.argv[1])
    time.time_ns = lambda: REAL_NS() + round(offset_s * 1e9)
    time.time = lambda: REAL_S() + offset_s
    from rig.cli import main as telerig

    sys.argv[1:] = ["serve", *sys.argv[2:]]
    return telerig()


if __name__ == "__main__":
    sys.exit(main())
