"""What tests of the CAN link share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.can.fakes import Adapter, SocketcandServer
from tests.server.links.conftest import Collector, Report


@pytest.fixture
def server() -> Iterator[SocketcandServer]:
    """A server that does what it should."""
    made = SocketcandServer()
    yield made
    made.die()


@pytest.fixture
def report() -> Report:
    """What a link reports."""
    return Report()


@pytest.fixture
def sink() -> Collector:
    """What a link delivers."""
    return Collector()


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Adapter]:
    """An slcan adapter at `adapter.path`."""
    made = Adapter(tmp_path / "ttyACM0")
    yield made
    if Path(made.path).is_symlink():
        made.unplug()
