"""The page docs/devices.md tells the truth: its configurations load, its commands answer so."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.config import parse_config
from tests.server.page import blocks, examples, run

PAGE = (Path(__file__).parents[3] / "docs" / "devices.md").read_text(encoding="utf-8")
SECRET = "correct-horse-battery"


class Told(msgspec.Struct):
    """A template as a device tells it."""

    name: str
    description: str = ""
    schema: str = '{"additionalProperties": {"type": "number"}}'


async def test_the_commands_answer_as_shown(run_gateway: Callable[..., Any]) -> None:
    """Each curl line of the page works, in order, and answers what the page shows."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    commands = examples(PAGE)
    assert len(commands) == 5
    async with run_gateway(f"[api]\nsecret = '{SECRET}'\n") as gateway:
        env = {"GATEWAY": gateway.url, "TELERIG_API_SECRET": SECRET}
        for number, (command, shown) in enumerate(commands):
            answer = await run(command, env)
            pattern = ".*".join(re.escape(part) for part in shown.split("…"))
            assert re.fullmatch(pattern + ("" if shown.endswith("}") else ".*"), answer), answer
            if number == 0:
                env["DEVICE_KEY"] = json.loads(answer)["key"]
                await gateway.control.hello("esp-1", [Told("set_rates")])


def test_the_configurations_load() -> None:
    """Every key of the page's tables is known."""
    for text in blocks(PAGE, "toml"):
        filled = text.replace('"…"', '"0123456789abcdef"').replace(
            "bench:…", "bench:0123456789abcdef"
        )
        filled = re.sub(r"^telemetry_types = .*$", "", filled, flags=re.MULTILINE)
        parse_config(filled, "page", {})


@pytest.mark.promise("D12")
def test_the_firmware_example_keeps_what_is_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page's loop drops a reading only when it is stored, or can never be."""
    statuses = [503, 200, 400, 401]
    sent: list[int] = []

    class Answer:
        """What the gateway answers."""

        def __init__(self) -> None:
            self.status_code = statuses.pop(0)

        def close(self) -> None:
            """Free the socket."""

    class Requests:
        """Stands for MicroPython's urequests."""

        @staticmethod
        def post(url: str, data: str, headers: dict[str, str]) -> Answer:
            sent.append(json.loads(data)["seq"])
            return Answer()

    monkeypatch.setitem(sys.modules, "urequests", Requests())  # type: ignore[arg-type]
    (code,) = blocks(PAGE, "python")
    scope: dict[str, Any] = {}
    exec(code, scope)
    scope["queue"] += [(1, {"value": 1}), (2, {"value": 2}), (3, {"value": 3})]
    assert scope["send"]("http://gateway", "key", 7) is False
    assert scope["send"]("http://gateway", "key", 7) is False
    assert sent == [1, 1, 2, 3]
    assert [seq for seq, _ in scope["queue"]] == [3]


def test_each_promise_is_on_the_page() -> None:
    """The table names every promise that these rooms keep."""
    listed = set(re.findall(r"\b[A-Z]\d\d\b", PAGE))
    for first, last in re.findall(r"\b([A-Z]\d\d)-([A-Z]\d\d)\b", PAGE):
        listed |= {f"{first[0]}{n:02}" for n in range(int(first[1:]), int(last[1:]) + 1)}
    wanted = {f"E{n}" for n in range(22, 39)} | {f"W{n:02}" for n in range(3, 13)}
    wanted |= {"D14", "D15", "D16", "D17", "A06", "A08", "F16", "O07", "O08"}
    wanted |= {"X05", "X06", "X07", "X08"}
    assert wanted - listed == set()
