"""A session's page: what is known of it, its statistics, its files."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.live_device import new_device, text_of
from tests.reports.view.served import ServedGateway
from tests.reports.view.waiting import comes

if TYPE_CHECKING:
    from playwright.sync_api import Page

    SignIn = Callable[[Page, ServedGateway, str], None]

FILES = ("signals.csv", "signals.json", "signals.parquet", "frames.csv", "frames.json",
         "frames.parquet", "track.gpx", "track.kml")  # fmt: skip


@pytest.fixture(scope="module")
def session(gateway: ServedGateway) -> int:
    """A session of a short drive that has ended."""
    device = new_device(gateway, "told")
    body = {"device": device.id, "name": "Commute", "driver": "Ada", "notes": "wet road"}
    number: int = gateway.ask("/api/v1/telemetry/start", body)["session_id"]
    begin_ns = time.time_ns()
    readings = []
    for n in range(40):
        at = begin_ns + n * 10**7
        readings += [("SPEED", at, 36 + n), ("RPM", at, 1500.25 + n), ("LAT", at, 48 + n / 1e4)]
        readings.append(("LON", at, 11.0))
    device.send(readings)
    time.sleep(0.5)
    gateway.ask(f"/api/v1/telemetry/stop?device={device.id}", method="POST")
    return number


@pytest.mark.promise("P12")
def test_statistics_and_metadata(
    page: Page, gateway: ServedGateway, session: int, sign_in: SignIn
) -> None:
    """Names, tops and every signal's figures are those of the API; an operator changes names."""
    sign_in(page, gateway, "operator")
    page.goto(f"{gateway.url}/replay.html?session={session}")
    page.wait_for_selector(f".part-session-facts[data-session='{session}']")
    stored = gateway.ask(f"/api/v1/sessions/{session}/statistics")
    comes(lambda: text_of(page, "[data-fact='Driver'] dd"), "Ada")
    comes(lambda: text_of(page, "[data-fact='Notes'] dd"), "wet road")
    comes(lambda: text_of(page, "[data-fact='Readings'] dd"), str(stored["readings"]))
    comes(
        lambda: text_of(page, "[data-fact='Fastest'] dd"), f"{stored['drive']['max_kmh']:.1f} km/h"
    )
    for one in stored["signals"]:
        cells = page.locator(f"tr[data-signal='{one['signal']}'] td").all_inner_texts()
        assert cells[0] == one["unit"]
        assert int(cells[1]) == one["count"]
        assert float(cells[2]) == pytest.approx(one["min"], abs=1e-6)
        assert float(cells[3]) == pytest.approx(one["avg"], abs=0.06)
        assert float(cells[4]) == pytest.approx(one["max"], abs=1e-6)
    page.click(".session-edit summary")
    page.fill("#session-driver", "Grace")
    page.click(".session-edit button:text('Save')")
    page.wait_for_selector("[data-fact='Driver'] >> text=Grace")
    assert gateway.ask(f"/api/v1/sessions/{session}")["driver"] == "Grace"


@pytest.mark.promise("P04")
@pytest.mark.promise("P13")
def test_every_format_comes_as_a_file(
    page: Page, gateway: ServedGateway, session: int, sign_in: SignIn
) -> None:
    """A click brings the file that the API gives, byte for byte where it has no time of making."""
    sign_in(page, gateway, "viewer")
    page.goto(f"{gateway.url}/replay.html?session={session}")
    for name in FILES:
        with page.expect_download() as coming:
            page.click(f".exports button[data-file='{name}']")
        path = f"{gateway.url}/api/v1/export/sessions/{session}/{name}"
        answer = page.request.get(path)
        assert answer.ok
        content = coming.value.path().read_bytes()
        assert content, name
        if name.endswith((".csv", ".json")):
            assert content == answer.body(), name
        assert coming.value.suggested_filename.endswith(name.rpartition(".")[2])


def test_a_session_that_is_not_there(
    page: Page, gateway: ServedGateway, sign_in: SignIn, expected_errors: list[str]
) -> None:
    """An unknown number, and what is none: each part says so, the page stays."""
    expected_errors.append("404|400")
    sign_in(page, gateway, "viewer")
    for wrong in ("999999", "7x"):
        page.goto(f"{gateway.url}/replay.html?session={wrong}")
        page.wait_for_selector(".part-session-facts .error-box")
        assert wrong in text_of(page, ".part-session-facts .error-box")
        comes(page.locator("#brand").is_visible, True)
