"""Devices and programs that a benchmark starts beside itself."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

END_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Device:
    """A device in a process of its own, and the path of its port."""

    pid: int
    port: str


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program with its output at hand; it is ended with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def telerig_device(kind: str, *options: str) -> Iterator[Device]:
    """Run `telerig device KIND`."""
    command = [sys.executable, "-m", "rig.cli", "device", kind, "--json", *options]
    with started(command) as process:
        assert process.stdout is not None
        yield Device(process.pid, json.loads(process.stdout.readline())["ports"]["serial"])


@contextlib.contextmanager
def trivial_adapter() -> Iterator[Device]:
    """Run the adapter without a model."""
    with started([sys.executable, "-m", "tests.benchmarks.trivial_adapter"]) as process:
        assert process.stdout is not None
        yield Device(process.pid, process.stdout.readline().strip())
