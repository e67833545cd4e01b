"""What tests of the CAN link share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server import catalogue
from tests.server.can.fakes import Adapter, SocketcandServer
from tests.server.links.conftest import Collector, Report


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Take out of the catalogue what a test has registered."""
    yield
    for signal in list(catalogue._own.values()):
        del catalogue._own[signal.id], catalogue._BY_ID[signal.id]
        del catalogue._BY_NAME[signal.name], catalogue.SHORT_NAMES[signal.id]
        catalogue._BY_PATH.pop(signal.path, None)


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
