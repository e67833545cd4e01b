"""Fixtures: a real browser, a real gateway with its pages, `telerig view` over a real run.

A test that uses `page` fails on console errors, on errors of scripts, and on any request that
leaves 127.0.0.1. What a test expects to be complained about it adds to `expected_errors`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.kept_page import NOWHERE, KeptPage
from tests.reports.view.once import made_once
from tests.reports.view.recorded_runs import RecordedRuns
from tests.reports.view.served import (
    PASSWORD,
    ServedGateway,
    ServedView,
    serving_gateway,
    serving_view,
)
from tests.reports.view.watched import Watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCENARIO = Path(__file__).parent / "short_look.yaml"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(autouse=True)
def no_loop_of_the_browser(request: pytest.FixtureRequest) -> Iterator[None]:
    """Playwright leaves its event loop marked as running: hide it from tests with loops of their
    own."""
    running = asyncio._get_running_loop()
    if running is None or "browser" in request.fixturenames:
        yield
        return
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)


# Package, not session: see above; tests of other packages run when it is gone.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    pytest.importorskip("playwright", reason="no browser on this machine (Playwright is missing)")
    from playwright.sync_api import Error, sync_playwright

    found_here = next(filter(None, map(shutil.which, BROWSERS)), None)
    program = os.environ.get("TELERIG_BROWSER") or found_here
    if program is None:
        pytest.skip("no browser on this machine (chromium, or TELERIG_BROWSER)")
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"no browser on this machine that starts: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture
def expected_errors() -> list[str]:
    """Patterns of what the console may complain about in this test."""
    return []


@pytest.fixture(scope="package")
def kept_page(browser: Browser) -> Iterator[KeptPage]:
    """The page of all tests that need no other."""
    kept = KeptPage()
    yield kept
    kept.close()


@pytest.fixture
def new_page(
    browser: Browser, kept_page: KeptPage, expected_errors: list[str]
) -> Iterator[Callable[..., Page]]:
    """Open pages, each with cookies and storage of its own.

    `new_page(size=PHONE, theme="dark", **context_options)`.
    """
    watched = Watched(browser, kept_page)
    yield watched.new_page
    watched.close()
    watched.check(expected_errors)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of desk size in light colours."""
    return new_page()


@pytest.fixture(scope="session")
def view_port() -> int:
    """A port for `view_of_gateway`, which the gateway has to know before that is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, child_coverage: Mapping[str, str], view_port: int
) -> Iterator[ServedGateway]:
    """A real `telerig serve`, its pages included; pages of `view_of_gateway` may use its API."""
    folder = tmp_path_factory.mktemp("gateway")
    origins = (f"http://127.0.0.1:{view_port}",)
    with serving_gateway(folder, child_coverage, origins=origins) as found:
        yield found


@pytest.fixture(scope="session")
def gateway_pages(gateway: ServedGateway) -> ServedGateway:
    """The same: where Dash is installed, a gateway has its pages."""
    return gateway


@pytest.fixture
def sign_in() -> Callable[[Page, ServedGateway | ServedView, str], None]:
    """Sign the browser of a page in: `sign_in(page, gateway, "viewer")`; then go to a page.

    A page that is shown is left meanwhile and shown again: what it asked with the session that ends
    now would be refused, and it would lead to the form.
    """

    def do(page: Page, served: ServedGateway | ServedView, role: str) -> None:
        shown = page.url
        if shown != NOWHERE:
            page.goto(NOWHERE)
        credentials = {"name": role, "password": PASSWORD}
        answer = page.request.post(f"{served.url}/api/v1/auth/login", data=credentials)
        assert answer.ok, answer.text()
        if shown != NOWHERE:
            page.goto(shown)

    return do


@pytest.fixture(scope="session")
def runs_folder(
    tmp_path_factory: pytest.TempPathFactory, child_coverage: Mapping[str, str]
) -> Path:
    """A folder with one real run: `short_look.yaml`, 50 s, one fault, one broken limit."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "rig.cli", "run", str(SCENARIO), "--runs", str(folder)]
        env = {**os.environ, **child_coverage}
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 1, done.stdout + done.stderr

    return made_once(tmp_path_factory, "runs", make)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RecordedRuns:
    """Runs of one scenario: the same seed twice, another one, a damaged one."""
    return RecordedRuns(made_once(tmp_path_factory, "recorded", RecordedRuns.record))


@pytest.fixture(scope="session")
def run_id(runs_folder: Path) -> str:
    """The id of that run."""
    (found,) = (path.name for path in runs_folder.iterdir() if path.is_dir())
    return found


@pytest.fixture(scope="session")
def view(runs_folder: Path, child_coverage: Mapping[str, str]) -> Iterator[ServedView]:
    """A real `telerig view` over that folder."""
    with serving_view(runs_folder, child_coverage) as found:
        yield found


@pytest.fixture(scope="session")
def view_of_gateway(
    gateway: ServedGateway, child_coverage: Mapping[str, str], view_port: int
) -> Iterator[ServedView]:
    """A real `telerig view --gateway`."""
    words = ("--gateway", gateway.url, "--port", str(view_port))
    with serving_view(None, child_coverage, *words) as found:
        yield found
