"""Runs a program of PostgreSQL as whom it accepts: `as_postgres.py KEEPER FOLDER PROGRAM …`.

It refuses root. As root this enters a user namespace, as `server.store.keeper` does for the
embedded server, or becomes the user nobody, to whom it gives FOLDER.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become somebody else, and then the program."""
    spec = importlib.util.spec_from_file_location("keeper", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    keeper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(keeper)
    if os.geteuid() == 0 and not keeper.enter_namespace():
        uid = keeper.unprivileged_uid()
        folder = Path(sys.argv[2])
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    # Changing who one is clears it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
    os.execv(sys.argv[3], sys.argv[3:])


main()
