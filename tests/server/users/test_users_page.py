"""The page docs/users.md tells the truth: its configuration loads, its commands answer so."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.config import parse_config
from server.errors import ConfigError
from tests.server.page import blocks, examples, run

PAGE = (Path(__file__).parents[3] / "docs" / "users.md").read_text(encoding="utf-8")


async def test_the_commands_answer_as_shown(
    run_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    """Each curl line of the page works, in order, and answers what the page shows."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    commands = examples(PAGE)
    assert len(commands) == 7
    async with run_gateway("", {"TELERIG_USERS_LOCAL_ROLE": "none"}) as gateway:
        code = gateway.users.setup.code
        env = {"GATEWAY": gateway.url, "CODE": code, "JAR": str(tmp_path / "jar")}
        for command, shown in commands:
            answer = await run(command, env)
            pattern = ".*".join(re.escape(part) for part in shown.split("…"))
            assert re.fullmatch(pattern, answer), answer
            told = json.loads(answer)
            env["TOKEN"] = told.get("access_token", env.get("TOKEN", ""))
            env["REFRESH"] = told.get("refresh_token", env.get("REFRESH", ""))
            env["CSRF"] = told.get("csrf") or env.get("CSRF", "")


def test_the_configuration_loads() -> None:
    """Every key of the page is known, and the values shown are the defaults."""
    (text,) = blocks(PAGE, "toml")
    assert parse_config(text, "page", {}).users == parse_config("", "page", {}).users


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_production_trusts_nobody_for_being_local(role: str) -> None:
    """With APP_ENV=production a local role is refused, and an unknown one anywhere."""
    text = f'[users]\nlocal_role = "{role}"\n'
    assert parse_config(text, "f", {}).users.local_role == role
    with pytest.raises(ConfigError, match=r"none.*APP_ENV is production"):
        parse_config(text, "f", {"APP_ENV": "production"})
    with pytest.raises(ConfigError, match="one of none, viewer"):
        parse_config(text.replace(role, "root"), "f", {})
