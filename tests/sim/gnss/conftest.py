"""A receiver on a bench: a line whose bytes are kept with their times."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import simpy

from sim.gnss import Fix, GnssReceiver, Motion
from sim.serial_line import SerialLine

EPOCH_NS = 1_760_000_000 * 10**9  # 2025-10-09 08:53:20 UTC


def eifel(t_s: float) -> Motion:
    """A car that drives north at 20 m/s."""
    return Motion(50.35 + t_s * 20.0 / 111_200.0, 6.95, 500.0, 20.0, 0.0)


class Bench:
    """One receiver, what it wrote and what it measured."""

    def __init__(
        self,
        profile: Any,
        *,
        baud: int = 115_200,
        motion: Callable[[float], Motion] = eifel,
        seed: int = 1,
        epoch_ns: int = EPOCH_NS,
        paced: bool = True,
        **options: Any,
    ) -> None:
        self.env = simpy.Environment()
        self.line = SerialLine(self.env, "gps", baud, paced=paced)
        self.arrivals: list[tuple[float, bytes]] = []
        self.line.attach_host(lambda data: self.arrivals.append((self.env.now, data)))
        self.epochs: list[tuple[float, Motion, Fix | None]] = []
        self.receiver = GnssReceiver(
            self.env,
            self.line,
            motion,
            profile,
            random.Random(seed),
            epoch_ns,
            on_epoch=lambda t_s, truth, fix: self.epochs.append((t_s, truth, fix)),
            **options,
        )

    def run(self, until_s: float) -> Bench:
        """Let virtual time pass up to `until_s`."""
        self.env.run(until_s)
        return self

    @property
    def raw(self) -> bytes:
        """Everything that arrived."""
        return b"".join(data for _, data in self.arrivals)

    @property
    def lines(self) -> list[str]:
        """Everything that arrived, as lines without CR LF."""
        return self.raw.decode("ascii").split("\r\n")[:-1]

    def named(self, name: str) -> list[str]:
        """The lines whose sentence name is `name`, whatever the talker."""
        return [line for line in self.lines if line[3:6] == name]


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    """The class; a test builds as many as it wants."""
    return Bench


@pytest.fixture
def recordings() -> Path:
    """The folder of recorded receiver logs; skips visibly where it is absent."""
    root = os.environ.get("TELERIG_DATA") or Path(__file__).parents[4] / "shared" / "data"
    folder = Path(root) / "nmea"
    if not folder.is_dir():
        pytest.skip(f"no recorded logs in {folder} (set TELERIG_DATA)")
    return folder
