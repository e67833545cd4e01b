"""Switching a device's power: commands of the bench file, run without a shell."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

from rig.bench.model import PowerSwitch
from rig.errors import RigError

COMMAND_TIMEOUT_S = 15.0
OUTPUT_CHARACTERS = 300


class PowerError(RigError):
    """A command of a bench file did not do what it should."""


def switch_off(power: PowerSwitch) -> None:
    """Switch a device off.

    Raises:
        PowerError: the command failed.
    """
    run_command(power.off, power.place)


def switch_on(power: PowerSwitch, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Switch a device on, and wait until it has started.

    Raises:
        PowerError: the command failed.
    """
    run_command(power.on, power.place)
    sleep(power.settle_s)


def cycle(power: PowerSwitch, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Switch a device off, and on again; return when it has started.

    Raises:
        PowerError: a command failed.
    """
    switch_off(power)
    sleep(power.off_s)
    switch_on(power, sleep=sleep)


def is_there(words: Sequence[str]) -> bool:
    """Tell whether a command's program is installed."""
    return shutil.which(words[0]) is not None


def run_command(words: Sequence[str], place: str) -> None:
    """Run a command of a bench file.

    Raises:
        PowerError: it is not installed, ended with an error, or did not end.
    """
    shown = " ".join(words)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PowerError(
            f"{place}: expected `{shown}` to end within {COMMAND_TIMEOUT_S:.0f} s, it did not; "
            "try it by hand"
        ) from None
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise PowerError(
            f"{place}: expected to run `{shown}`, found: {found}; install {words[0]}, or correct "
            "the command"
        ) from error
    if done.returncode:
        said = " ".join(done.stdout.decode(errors="replace").split())[-OUTPUT_CHARACTERS:]
        raise PowerError(
            f"{place}: expected `{shown}` to succeed, found exit code {done.returncode}"
            + (f": {said}" if said else "")
            + "; try it by hand"
        )
