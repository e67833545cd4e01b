"""Runs schemathesis, which nobody here wrote, against a gateway and its document.

As a hook module of schemathesis (environment variable SCHEMATHESIS_HOOKS) this file also teaches
it what a protobuf body is: bytes that may be anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
"""Left out: `positive_data_acceptance`, because a document cannot say which device exists;
`ignored_auth`, because the tests of roles ask more."""


async def fuzz(url: str, secret: str, *options: str) -> tuple[int, str]:
    """Give the exit code and the output of a run."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--header", f"X-API-Key: {secret}"),
        *("--checks", ",".join(CHECKS)),
        *("--exclude-by", "/x-websocket == true"),
        *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
        *("--continue-on-failure", "--generation-database", "none", "--request-timeout", "30"),
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.server.api.fuzzing"},
        cwd=ROOT,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


def _teach() -> None:
    """Teach schemathesis to send what is no JSON."""
    import schemathesis

    def some_bytes(context: Any, value: Any) -> Any:
        text = value if isinstance(value, str | bytes) else json.dumps(value, default=str)
        return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")

    for media in ("application/x-protobuf", "application/octet-stream"):
        schemathesis.serializer(media)(some_bytes)


if os.environ.get("SCHEMATHESIS_HOOKS") == "tests.server.api.fuzzing" and (
    "schemathesis" in sys.modules
):
    _teach()
