"""The three streams that a process is born with, where somebody closed them."""

from __future__ import annotations

import contextlib
import os
import sys


def open_standard_streams() -> None:
    """Give every standard stream that is closed (`>&-`) a place where nobody listens.

    Python sets such a stream to None, and the next file to be opened gets its number: a line
    for the terminal would then end up in a record.
    """
    # In this order, as each open takes the lowest number that is free.
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def discard_output() -> None:
    """Send what standard output still holds, and all that follows, to nobody.

    After a reader has gone, the interpreter would otherwise fail on it again at its end.
    """
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
