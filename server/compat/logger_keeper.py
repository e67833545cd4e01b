"""Runs one command and ends it, with all that it has started, when whoever asked for it is gone.

A program of its own, started by `server.compat.logger` as `keeper.py STOP_TIMEOUT_S COMMAND…`;
imports nothing but the standard library. It says {"pid": …}, or {"error": …} and ends; at the end
of its stdin (the gateway stopped it, or died by whatever means) it sends SIGTERM to the command's
process group, and after the time-out SIGKILL; then it says {"exit": …} and ends.

It is the reaper of what the command leaves behind (Linux' "child subreaper"), so that a process
that made itself a daemon does not escape either.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LOOK_S = 0.2

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Run the command to its end, or to the end of stdin."""
    stop_timeout_s, command = float(sys.argv[1]), sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the gateway decides, by closing stdin
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_at_death()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
            preexec_fn=_before_exec,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        say({"error": f"{command[0]}: {reason.lower()}"})
        return 1
    say({"pid": process.pid})
    stopped = wait(process, wake)
    if stopped:
        stop(process, stop_timeout_s)
    clear(process.pid)
    say({"exit": process.returncode, "stopped": stopped})
    return 0


def say(content: dict[str, Any]) -> None:
    """Tell the gateway, if it is still there."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(content).encode() + b"\n")


def wait(process: subprocess.Popen[bytes], wake: int) -> bool:
    """Return when the command has ended (False), or stdin (True)."""
    parent = os.getppid()
    while process.poll() is None:
        ready, _, _ = select.select([0, wake], [], [], LOOK_S)
        # A fork of the gateway may hold the pipe open although the gateway is dead.
        if (0 in ready and not os.read(0, 64)) or os.getppid() != parent:
            return process.poll() is None
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 64)
    return False


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """End the group, politely, then at once."""
    kill_group(process.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    kill_group(process.pid, signal.SIGKILL)
    process.wait()


def clear(group: int) -> None:
    """End what the command has left behind, until there is nothing."""
    kill_group(group, signal.SIGKILL)
    while True:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
            for child in children.split():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(child), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def kill_group(group: int, number: int) -> None:
    """Send a signal to a process group that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wake_at_death() -> int:
    """Give a descriptor that can be read when a child has ended."""
    wake, wake_in = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def _before_exec() -> None:
    # Should this process be killed itself, the kernel ends the command.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
