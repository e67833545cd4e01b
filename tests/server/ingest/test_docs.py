"""The examples of docs/ingest.md are sent as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from server.ingest import limits
from tests.server.ingest.conftest import Sender, stored

DOCS = (Path(__file__).parents[3] / "docs" / "ingest.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


async def test_the_examples_work(sender: Sender, database_url: str) -> None:
    """Each curl command and the protobuf message are taken whole; the answer is as shown."""
    for command in blocks("sh"):
        words = shlex.split(command.replace("$KEY", sender.key).replace("$GATEWAY", ""))
        assert words[0] == "curl"
        header = dict(words[n + 1].split(": ") for n, word in enumerate(words) if word == "-H")
        body = words[words.index("-d") + 1].encode()
        answer = await sender.http.post(words[1], content=body, headers=header)
        assert answer.status_code == 200, answer.text
        assert answer.json()["rejected"] == 0
    (shown,) = blocks("json")
    assert answer.json() == json.loads(shown)
    namespace: dict[str, bytes] = {}
    exec(blocks("python")[0], namespace)
    answer = await sender.post("/ingest/batch", namespace["body"])
    assert answer.json()["accepted"] == 3
    found = await stored(database_url)
    assert [reading.seq for reading in found] == list(range(1, 15))


def test_the_limits_are_those_of_the_code() -> None:
    """The table of limits names the numbers that the gateway uses."""
    for bound in (
        f"{limits.SINGLE_BYTES // 1024} KiB",
        f"{limits.BATCH_BYTES // 1024**2} MiB protobuf, {limits.JSON_BATCH_BYTES // 1024} KiB JSON",
        f"| {limits.BATCH_READINGS:,} |",
        f"{limits.BATCH_FIELDS} (uplink: {limits.UPLINK_FIELDS:,})",
        f"{limits.PACKET_BYTES // 1024} KiB each; those beyond {limits.UPLINK_READINGS:,}",
    ):
        assert bound in DOCS, bound
