"""schemathesis finds nothing: no 500, and every answer is one that the document tells of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.server.api.fuzzing import fuzz

SECRET = "correct horse battery"
CONFIG = f"[api]\nsecret = '{SECRET}'\n[compat]\ns0 = true\ns2 = true\ns4 = true\n"


@pytest.mark.promise("E07")
@pytest.mark.timeout(240)
async def test_no_request_breaks_the_gateway(run_gateway: Callable[..., Any]) -> None:
    """A few requests to each operation, right and wrong ones; the long run is a benchmark's."""
    async with run_gateway(CONFIG) as gateway:
        await gateway.registry.register("esp-1")
        options = ("--phases", "fuzzing", "--max-examples", "2", "--seed", "1", "--no-shrink")
        status, output = await fuzz(gateway.url, SECRET, *options)
    assert status == 0, output
    assert "Operations:" in output
