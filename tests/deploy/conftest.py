"""The database and the link of these tests are those of the gateway's."""

from __future__ import annotations

import pytest

from server.links.registry import BUILT_IN
from tests.server.conftest import FakeLink, database_url, postgres, quiet_logs, template

__all__ = ["database_url", "fake_link", "postgres", "quiet_logs", "template"]


@pytest.fixture
def fake_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the kind "fake" known."""
    monkeypatch.setitem(BUILT_IN, "fake", f"{FakeLink.__module__}:FakeLink")
