"""The gateway as a process of its own, started by the command of production."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TypeGuard
from urllib.parse import urlsplit

from rig.errors import RigError
from rig.walltime.pty import PtyPort
from sim.mesh_setup import BASE_LINE

STOP_TIMEOUT_S = 15.0
RESTART_S = 2.0  # RestartSec of deploy/telerig.service: one that cannot start is tried again
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class GatewayProcess:
    """`telerig serve` as in production: started, listened to, measured, stopped by SIGTERM.

    It can be stopped for a while, or killed and started again; whoever looks after it then, as
    systemd does, tries until it runs.

    Args:
        config_file: read at each start.
        on_line: takes each line of its log, in a thread.
    """

    def __init__(self, config_file: Path, on_line: Callable[[str], None]) -> None:
        self._config_file = config_file
        self._on_line = on_line
        self._listening = threading.Event()
        self._ending = threading.Event()  # it is to stay ended: stopped or killed
        self._looked_after = False
        self._past_cpu_s = 0.0
        self.url = ""
        self._start()

    def _start(self) -> None:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TELERIG_")
        }
        self.process = subprocess.Popen(
            [*serve_command(), "--config", str(self._config_file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stderr is not None
        self._reader = threading.Thread(
            target=self._read, args=(self.process, self._ending), name="gateway log", daemon=True
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
        if self.process.poll() is not None and not self._looked_after:
            raise RigError(
                f"expected the gateway to listen; it ended with code {self.process.poll()}; "
                "see gateway.log in the record"
            )
        return None

    def usage(self) -> tuple[float, int]:
        """CPU seconds so far, of every process that it was, and resident bytes now."""
        folder = Path("/proc", str(self.process.pid))
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pages = int((folder / "statm").read_text().split()[1])
        except OSError:  # it is down
            return self._past_cpu_s, 0
        cpu_s = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S
        return self._past_cpu_s + cpu_s, pages * PAGE_BYTES

    # -- faults ------------------------------------------------------------------------------------
    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._ending.set()
        self._listening.clear()
        self._past_cpu_s = self.usage()[0]
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it anew."""
        self._looked_after = True
        self._reader.join(STOP_TIMEOUT_S)
        self._ending = threading.Event()
        self._start()

    @property
    def place(self) -> int | None:
        """Where a client finds it: its port, or None while it is down."""
        return urlsplit(self.url).port if self._listening.is_set() else None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    # -- the end -----------------------------------------------------------------------------------
    def stop(self) -> int:
        """SIGTERM, and the exit code; a gateway that does not end is killed and counts as -9."""
        self._ending.set()
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a run that was cut off may have left it stopped
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(STOP_TIMEOUT_S)
        return self.process.returncode

    def _read(self, process: subprocess.Popen[str], ending: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as stream:
            self._hear(stream)
        if self._looked_after and not ending.is_set():
            self._listening.clear()
            process.wait()
            if not ending.wait(RESTART_S):
                self._start()

    def _hear(self, stream: IO[str]) -> None:
        for line in stream:
            self._on_line(line.rstrip("\n"))
            if not self._listening.is_set():
                with contextlib.suppress(ValueError, AttributeError):
                    event = json.loads(line)
                    if event.get("event") == "listening":
                        self.url = event["url"]
                        self._listening.set()


class StruckProcess:
    """The gateway of a paced run, as faults strike it (`rig.faults.gateway`).

    Args:
        gateway: gives it; it comes later than the faults.
        ports: of the world; those that a client can leave are let go when it is killed.
    """

    def __init__(self, gateway: Callable[[], GatewayProcess], ports: Iterable[object]) -> None:
        self._gateway = gateway
        self._ports = [port for port in ports if _is_of_car(port)]

    def pause(self) -> None:
        """SIGSTOP."""
        self._gateway().pause()

    def go_on(self) -> None:
        """SIGCONT."""
        self._gateway().go_on()

    def kill(self) -> None:
        """SIGKILL."""
        self._gateway().kill()
        for port in self._ports:
            port.let_go()

    def start_again(self) -> None:
        """Start it anew."""
        self._gateway().start_again()


def _is_of_car(port: object) -> TypeGuard[PtyPort]:
    return isinstance(port, PtyPort) and port.path is not None and port.path.name != BASE_LINE


def serve_command() -> list[str]:
    """The command of production: the installed script, or the same module where there is none."""
    script = Path(sys.executable).with_name("telerig")
    return [str(script), "serve"] if script.exists() else [sys.executable, "-m", "rig.cli", "serve"]
