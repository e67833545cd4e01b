"""The gateway as a process of its own, started by the command of production."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from rig.errors import RigError

STOP_TIMEOUT_S = 15.0
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class GatewayProcess:
    """`telerig serve` as in production: started, listened to, measured, stopped by SIGTERM."""

    def __init__(self, config_file: Path, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._listening = threading.Event()
        self.url = ""
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TELERIG_")
        }
        self.process = subprocess.Popen(
            [*serve_command(), "--config", str(config_file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stderr is not None
        self._reader = threading.Thread(
            target=self._read, args=(self.process.stderr,), name="gateway log", daemon=True
        )
        self._reader.start()

    @property
    def port(self) -> int | None:
        """The port of its API; None until it listens.

        Raises:
            RigError: it has ended already.
        """
        if self._listening.is_set():
            return urlsplit(self.url).port
        if self.process.poll() is not None:
            raise RigError(
                f"expected the gateway to listen; it ended with code {self.process.poll()}; "
                "see gateway.log in the record"
            )
        return None

    def usage(self) -> tuple[float, int]:
        """CPU seconds so far, and resident bytes now."""
        folder = Path("/proc", str(self.process.pid))
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S
        return cpu_s, int((folder / "statm").read_text().split()[1]) * PAGE_BYTES

    def stop(self) -> int:
        """SIGTERM, and the exit code; a gateway that does not end is killed and counts as -9."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(STOP_TIMEOUT_S)
        if not self._reader.is_alive() and self.process.stderr is not None:
            self.process.stderr.close()
        return self.process.returncode

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._on_line(line.rstrip("\n"))
            if not self._listening.is_set():
                with contextlib.suppress(ValueError, AttributeError):
                    event = json.loads(line)
                    if event.get("event") == "listening":
                        self.url = event["url"]
                        self._listening.set()


def serve_command() -> list[str]:
    """The command of production: the installed script, or the same module where there is none."""
    script = Path(sys.executable).with_name("telerig")
    return [str(script), "serve"] if script.exists() else [sys.executable, "-m", "rig.cli", "serve"]
