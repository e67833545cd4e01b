"""schemathesis against the whole API: requests, right and wrong ones, and what broke.

A gateway with an embedded PostgreSQL and every older system's paths; schemathesis runs all its
phases (its coverage of each bound, random requests, sequences of requests that follow each other)
until its time is up. A failure is an answer 5xx, a status, media type, header or body that the
document does not tell of, or a wrong request that was not refused.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys

import structlog

from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.figures import Goal, Row
from tests.server.api.fuzzing import fuzz
from tests.server.running import gateway_config, running

SECRET = "the fuzzer's own secret"
CONFIG = f"""\
[http]
port = 0
[api]
secret = "{SECRET}"
[compat]
s0 = true
s2 = true
s4 = true
"""
RUN_S, QUICK_RUN_S = 600, 60
EXAMPLES = 20
OPTIONS = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES))


def measure(quick: bool) -> list[Row]:
    """Run it; what was found goes to the standard error."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with EmbeddedPostgres(durable=False) as server:
        server.start()
        url = server.create_database("fuzzing")
        output = asyncio.run(_run(url, QUICK_RUN_S if quick else RUN_S))
    requests = _number(r"([\d,]+) generated", output)
    failures = _number(r"([\d,]+) unique failure", output)
    errors = _number(r"([\d,]+) error", output)
    if failures or errors:
        sys.stderr.write(output)
    return [
        Row("operations", [_number(r"Tested: ([\d,]+)", output)], "", Goal(least=100)),
        Row("requests", [requests], "", Goal(least=1)),
        Row("failures", [failures], "", Goal(most=0)),
        Row("errors of the tool", [errors], "", Goal(most=0)),
    ]


async def _run(database_url: str, seconds: int) -> str:
    async with running(gateway_config(database_url, CONFIG)) as gateway:
        await gateway.registry.register("esp-1")
        _, output = await fuzz(gateway.url, SECRET, *OPTIONS, "--max-time", str(seconds))
    return output


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1].replace(",", "")) if found else 0
