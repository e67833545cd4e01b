"""Fixtures: a stranger's folder, in which pytest is run."""

from __future__ import annotations

import contextlib

import pytest

# Libraries import it, and it takes the standard library's place in finding what is installed. It
# must be there before pytester takes its picture of the import system, which finds nothing when it
# is put back later.
with contextlib.suppress(ImportError):
    import importlib_metadata  # noqa: F401

# Plugins of others have warnings of their own, and take longer to load than all that is tested.
OTHERS = (
    *("dash", "schemathesis", "hypothesispytest", "asyncio", "anyio", "benchmark"),
    *("pytest_cov", "time_machine", "platformdirs"),
)


@pytest.fixture
def stranger(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty folder with an environment of its own."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    without = [word for name in OTHERS for word in ("-p", f"no:{name}")]
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join([*without, "-rs"]))
    return pytester
