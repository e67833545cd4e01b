"""A bench whose interface the back end opens."""

from __future__ import annotations

import pytest

from server.can.port import CanPort
from server.obd.can import backend
from tests.server.obd.can.can_bench import CanBench, ScriptedEcu


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> CanBench:
    """A bus without a car; to sleep is to let it go on."""
    bench = CanBench()
    monkeypatch.setattr(CanPort, "_connect", lambda _port: bench.plug())
    monkeypatch.setattr(backend.time, "sleep", bench.sleep)
    return bench


@pytest.fixture
def ecu(bench: CanBench) -> ScriptedEcu:
    """One ECU that says what the test wants."""
    return ScriptedEcu(bench)
