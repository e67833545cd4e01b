"""A gateway process that is stopped, killed and started again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.worker.gateway_process import GatewayProcess

LIMIT_S = 60.0


class Gateway:
    """The process, and what it logged."""

    def __init__(self, config_file: Path) -> None:
        self.lines: list[str] = []
        self.process = GatewayProcess(config_file, self.lines.append)

    @property
    def state(self) -> str:
        """The process' state as the kernel tells it: R, S, T, Z."""
        stat = Path(f"/proc/{self.process.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]

    def boots(self) -> list[int]:
        """The boot of each start that came to listen."""
        events: list[dict[str, Any]] = [json.loads(x) for x in self.lines if x.startswith("{")]
        return [event["boot"] for event in events if event.get("event") == "listening"]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it is so."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that listens, without a database."""
    config = tmp_path / "car.toml"
    config.write_text(
        '[http]\nport = 0\n[database]\nenabled = false\n[log]\nformat = "json"\n', encoding="utf-8"
    )
    gateway = Gateway(config)
    wait_for(lambda: gateway.process.place)
    yield gateway
    gateway.process.stop()


def test_paused_and_going_on(gateway: Gateway) -> None:
    """The kernel has stopped it (T), and it is the same process that goes on."""
    number = gateway.process.process.pid
    gateway.process.pause()
    wait_for(lambda: gateway.state == "T")
    gateway.process.go_on()
    wait_for(lambda: gateway.state != "T")
    assert gateway.process.process.pid == number
    assert gateway.process.stop() == 0


def test_killed_and_started_again(gateway: Gateway) -> None:
    """No line of a clean end; another process, with another boot; its CPU time counts on."""
    first, cpu_s = gateway.process.process.pid, gateway.process.usage()[0]
    gateway.process.kill()
    assert gateway.process.place is None
    assert not any("stopped" in line for line in gateway.lines)
    assert gateway.process.usage() >= (cpu_s, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    gateway.process.start_again()
    wait_for(lambda: gateway.process.place)
    assert gateway.process.process.pid != first
    before, after = gateway.boots()
    assert before != after
    assert gateway.process.usage()[0] > cpu_s
    assert gateway.process.stop() == 0


def test_one_that_cannot_start_is_tried_again(gateway: Gateway, tmp_path: Path) -> None:
    """As whoever looks after services does: it comes once what hindered it is gone."""
    config = tmp_path / "car.toml"
    right = config.read_text(encoding="utf-8")
    gateway.process.kill()
    config.write_text("[nonsense]\n", encoding="utf-8")
    gateway.process.start_again()
    wait_for(lambda: any("nonsense" in line for line in gateway.lines))
    assert gateway.process.port is None
    config.write_text(right, encoding="utf-8")
    wait_for(lambda: gateway.process.place)
    assert gateway.process.stop() == 0


def test_a_stop_ends_one_that_is_paused(gateway: Gateway) -> None:
    """A run that was cut off in a pause leaves nothing behind."""
    gateway.process.pause()
    wait_for(lambda: gateway.state == "T")
    assert gateway.process.stop() == 0
