"""A null modem of two PTYs: what is written at one link is read at the other.

python pty_bridge.py LINK LINK
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tty
from pathlib import Path


def main() -> None:
    """Pass bytes until somebody ends it."""
    masters = []
    for path in map(Path, sys.argv[1:3]):
        master, slave = os.openpty()  # the slave stays open here: no hang-up between two clients
        tty.setraw(slave)
        os.set_blocking(master, False)
        path.symlink_to(os.ttyname(slave))
        masters.append(master)
    print("ready", flush=True)
    other = dict(zip(masters, reversed(masters), strict=True))
    while True:
        for master in select.select(masters, (), ())[0]:
            with contextlib.suppress(BlockingIOError):  # nobody reads there
                os.write(other[master], os.read(master, 4096))


if __name__ == "__main__":
    sys.exit(main())
