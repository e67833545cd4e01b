"""A worker process: ties its life to its starter's, then becomes `virtual`, `paced` or `nursery`.

Started as `python -m rig.worker MODE STARTER_PID`, as leader of a process group of its own.

A `kill -9` of the starter runs no code of the starter, so the worker has to notice by itself. The
end of its pipes would be noticed only by a worker that happens to read or write, and a watcher
thread would be one more thread where virtual time allows exactly one to run; both need an
interpreter that still turns. PR_SET_PDEATHSIG needs nothing: the kernel sends the signal. It is
sent when the *thread* that started the worker ends, which is right here: a thread of
`rig.runner.runner` waits for its worker.

A virtual worker is all there is of a run, so SIGKILL is enough. A paced one has a gateway process
beside it: it gets SIGTERM, and takes its whole process group along. A nursery's workers are tied to
the nursery in the same way, so SIGKILL ends them too.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from types import FrameType

MODULES = {
    "virtual": "rig.worker.virtual",
    "paced": "rig.worker.paced",
    "nursery": "rig.worker.nursery",
}
DEATH_SIGNALS = {
    "virtual": signal.SIGKILL,
    "paced": signal.SIGTERM,
    "nursery": signal.SIGKILL,
}
PR_SET_PDEATHSIG = 1


def end_with_starter(starter: int, death_signal: signal.Signals) -> None:
    """Let the kernel send `death_signal` to this process when its starter is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal)) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != starter:  # it died before the kernel knew
        os.kill(os.getpid(), death_signal)


def end_group(_number: int, _frame: FrameType | None) -> None:
    """Signal handler: end this process and all that it started, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(128 + signal.SIGTERM)  # not a leader: started by hand


def main() -> None:
    """Become the worker of the mode that the first argument names."""
    mode, starter = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGTERM, end_group)
    end_with_starter(starter, DEATH_SIGNALS[mode])
    runpy.run_module(MODULES[mode], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
