"""The gateway's log as part of the record."""

from __future__ import annotations

import io
import json

from rig.record.writer import RecordWriter


class LogCapture(io.TextIOBase):
    """A text stream that keeps whole lines in the record and counts errors and warnings.

    The gateway's JSON log is written to it, in both clocks: the counts come from the lines, not
    from the gateway's own counters.
    """

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._rest = ""
        self.error_count = 0
        self.warning_count = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self.line(line)
        return len(text)

    def line(self, line: str) -> None:
        """Take one line."""
        self._writer.log(line)
        try:
            level = json.loads(line).get("level")
        except (ValueError, AttributeError):
            # Whatever is no event is a traceback or a library's cry: worth an error.
            self.error_count += bool(line.strip())
            return
        self.error_count += level in ("error", "critical")
        self.warning_count += level == "warning"

    def finish(self) -> None:
        """Keep a last line without an end."""
        if self._rest:
            self.line(self._rest)
            self._rest = ""
