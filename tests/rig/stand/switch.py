"""A power switch's stand-in: an adapter without power is a process that has ended.

python switch.py off|on FOLDER EMULATOR
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def offered_port(batch: Path) -> str | None:
    """Return the port that ELM327-emulator has written into `batch`; None as long as it has not.

    Where another one runs, or has left its lock file, a warning stands before the port.
    """
    if batch.exists():
        for line in batch.read_text().splitlines(keepends=True):
            if line.startswith("/dev/") and line.endswith("\n"):
                return line.strip()
    return None


def off(folder: Path) -> None:
    """End the emulator; its name goes first."""
    (folder / "adapter").unlink(missing_ok=True)
    pid = folder / "emulator.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink()


def on(folder: Path, program: str) -> None:
    """Start the emulator, and wait for its port."""
    batch = folder / "emulator.txt"
    batch.unlink(missing_ok=True)
    process = subprocess.Popen(
        [program, "-s", "car", "-b", batch],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    (folder / "emulator.pid").write_text(str(process.pid))
    for _ in range(200):
        if port := offered_port(batch):
            (folder / "adapter").symlink_to(port)
            return
        time.sleep(0.05)
    sys.exit("the emulator did not offer a port")


if __name__ == "__main__":
    place = Path(sys.argv[2])
    if sys.argv[1] == "off":
        off(place)
    else:
        on(place, sys.argv[3])
