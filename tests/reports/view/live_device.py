"""A device of a test's own at the gateway that all tests share, and a browser that looks at it."""

from __future__ import annotations

import itertools
import json
import secrets
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reports.view.served import PATIENCE_S, ServedGateway

_numbers = itertools.count(1)


@dataclass
class Device:
    """A registered device that sends what it is told to.

    Attributes:
        gateway: where it is registered.
        id: of it.
        key: with which it sends.
    """

    gateway: ServedGateway
    id: str
    key: str
    boot: int = field(default_factory=lambda: secrets.randbelow(2**31) + 1)
    seq: int = 1

    def send(self, readings: Sequence[tuple[str, int, float]]) -> None:
        """Send readings as (signal, time_ns, value); they are committed after it."""
        rows = [{"signal": name, "time_ns": at, "value": value} for name, at, value in readings]
        body = json.dumps({"boot": self.boot, "seq": self.seq, "readings": rows}).encode()
        headers = {"x-api-key": self.key, "content-type": "application/json"}
        url = f"{self.gateway.url}/api/v1/ingest/batch"
        with urllib.request.urlopen(
            urllib.request.Request(url, body, headers), timeout=PATIENCE_S
        ) as answer:
            answer.read()
        self.seq += len(rows)

    def now(self, **values: float) -> int:
        """Send one reading of each signal, taken now; give that instant."""
        at = time.time_ns() // 1_000_000 * 1_000_000
        self.send([(name, at, value) for name, value in values.items()])
        return at

    def latest(self) -> dict[str, float]:
        """Give the newest value of each signal that is stored."""
        found = self.gateway.ask(f"/api/v1/devices/{self.id}/series")["series"]
        return {one["signal"]: one["values"][-1] for one in found}


def new_device(gateway: ServedGateway, name: str) -> Device:
    """Register a device that nobody else uses."""
    device = f"{name}-{next(_numbers)}"
    made = gateway.ask("/api/v1/devices", {"id": device})
    return Device(gateway, device, made["key"])


def text_of(page: Any, selector: str) -> str:
    """Give the text of the first element."""
    return str(page.inner_text(selector)).strip()
