"""The first admin of a new gateway is made in the browser, with the code of its log."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.reports.view.served import PASSWORD, running

if TYPE_CHECKING:
    from playwright.sync_api import Page

CONFIG = """\
[http]
port = 0
[database]
data_dir = "{folder}"
[log]
format = "json"
"""


def test_the_first_admin(
    page: Page, tmp_path: Path, child_coverage: Mapping[str, str], expected_errors: list[str]
) -> None:
    """The form of signing in leads to it; a wrong code is told; the right one makes an admin, who
    is signed in; after that the page says that there are users."""
    expected_errors.append("403.*setup")
    config = tmp_path / "telerig.toml"
    config.write_text(CONFIG.format(folder=tmp_path / "data"), encoding="utf-8")
    command = [sys.executable, "-m", "rig.cli", "serve", "-c", str(config)]
    with running(command, child_coverage, r'("code": .*/api/v1/setup)', "stderr") as (_, line):
        found = re.search(r'"code": ?"([^"]+)".*POST (http.*)/api/v1/setup', line)
        assert found is not None
        code, url = found.groups()
        page.goto(f"{url}/login")
        page.get_by_role("link", name="Make the first admin").click()
        page.get_by_label("Code").fill("AAAA-AAAA-AAAA-AAAA")
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill("something else")
        make = page.get_by_role("button", name="Make the admin")
        make.click()
        page.get_by_text("the two passwords differ").wait_for()
        page.get_by_label("Password again").fill(PASSWORD)
        make.click()
        page.get_by_text("the code in the gateway's log").wait_for()
        page.get_by_label("Code").fill(code)
        make.click()
        page.locator(".user-name", has_text="anna").wait_for()
        page.goto(f"{url}/setup")
        page.get_by_text("has users already").wait_for()
