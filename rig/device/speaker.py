"""What a device alone says on standard output: text for people, JSON lines for scripts."""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rig.standard_streams import discard_output


class Speaker:
    """Says what happens, and never waits for whoever should listen.

    A listener that does not read must not stop the device, and one that has gone takes nothing with
    it. Where the output is full, lines are left out; the next one that fits says how many.

    Args:
        as_json: JSON lines instead of text.
        clock: seconds since the start.
    """

    def __init__(self, as_json: bool, clock: Callable[[], float]) -> None:
        self._as_json = as_json
        self._clock = clock
        self._left_out = 0
        self._deaf = False
        self._poll = select.poll()
        try:
            self._poll.register(sys.stdout.fileno(), select.POLLOUT)
        except (OSError, ValueError):  # not a file: a test's
            self._poll = select.poll()

    def ready(self, kind: str, ports: Mapping[str, Any], text: str) -> None:
        """The first line."""
        self._print(json.dumps({"device": kind, "ports": dict(ports)}) if self._as_json else text)

    def event(self, kind: str, /, **detail: Any) -> None:
        """Everything after it."""
        if self._deaf:
            return
        if not self._has_room():
            self._left_out += 1
            return
        if self._left_out:
            detail["left_out"] = self._left_out
            self._left_out = 0
        time_s = round(self._clock(), 6)
        if self._as_json:
            self._print(json.dumps({"event": kind, "time_s": time_s, **detail}, default=str))
        else:
            words = "  ".join(f"{key}={value}" for key, value in detail.items())
            self._print(f"{time_s:10.3f} s  {kind}  {words}".rstrip())

    def _has_room(self) -> bool:
        """True if a line fits: poll() promises 4096 bytes of room in a pipe, more than any line."""
        events = self._poll.poll(0)
        return not events or bool(events[0][1] & select.POLLOUT)

    def _print(self, text: str) -> None:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            self._deaf = True
            discard_output()
