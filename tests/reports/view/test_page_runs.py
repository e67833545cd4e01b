"""`/runs`: the runs of a folder, with their verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reports.view.accessibility import check_axe, check_width
from tests.reports.view.served import ServedView
from tests.reports.view.waiting import comes, says
from tests.reports.view.watched import PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_run_stands_there_with_its_verdict(page: Page, view: ServedView, run_id: str) -> None:
    """As the API has it; a click opens it; what is damaged says why."""
    page.goto(f"{view.url}/runs")
    page.wait_for_selector(f"tr[data-key='{run_id}']")
    (run,) = view.ask("/api/runs")["runs"]
    row = page.locator(f"tr[data-key='{run_id}']")
    comes(row.locator("[data-column=scenario]").inner_text, run["scenario"])
    says(row.locator("[data-column=outcome]"), run["outcome"])
    comes(row.locator("[data-column='worst.name']").inner_text, run["worst"]["name"])
    margin = row.locator("[data-column='worst.margin_pct'] span").first.inner_text()
    assert float(margin.replace("−", "-")) == pytest.approx(run["worst"]["margin_pct"], abs=0.06)
    comes(lambda: row.locator("th a").get_attribute("href"), f"/run/{run_id}")
    check_axe(page)


def test_filters_and_compare(page: Page, view: ServedView, run_id: str) -> None:
    """A filter that nothing passes says so; to compare takes two."""
    page.goto(f"{view.url}/runs")
    page.wait_for_selector(f"tr[data-key='{run_id}']")
    page.check("td.mark input")
    comes(lambda: page.inner_text("[data-action=select]"), "Compare (mark 1 more)")
    page.select_option("[data-filter=outcome]", "pass")
    page.wait_for_selector("text=Nothing passes these filters.")
    page.wait_for_url("**outcome=pass**")


def test_on_a_phone(new_page: Callable[..., Page], view: ServedView, run_id: str) -> None:
    """Cards at 360 px, in the dark."""
    page = new_page(size=PHONE, theme="dark")
    page.goto(f"{view.url}/runs")
    page.wait_for_selector(f"tr[data-key='{run_id}']")
    check_width(page)
    check_axe(page)


def test_running_ones_stand_on_top_and_damaged_ones_say_why(page: Page, view: ServedView) -> None:
    """However the list is sorted; two that are marked lead to their comparison."""
    plain = {
        "variant": "",
        "seed": 1,
        "mode": "virtual",
        "commit": "abc",
        "started": "2026-01-02T03:04:05Z",
        "duration_s": 60.0,
        "worst": None,
        "limits": {},
    }
    runs = [
        {**plain, "id": "a", "scenario": "zebra", "outcome": "pass", "running": False},
        {**plain, "id": "b", "scenario": "yak", "outcome": "", "running": False}
        | {"damaged": "manifest.json: expected JSON, found 3 bytes; run it again"},
        {**plain, "id": "c", "scenario": "aardvark", "outcome": "running", "running": True},
    ]
    page.route("**/api/runs?*", lambda route: route.fulfill(json={"runs": runs, "total": 3}))
    page.goto(f"{view.url}/runs")
    page.wait_for_selector("tr[data-key=a]")
    keys = "all => all.map(one => one.dataset.key)"
    comes(lambda: page.locator("tbody tr").evaluate_all(keys), ["c", "a", "b"])
    page.click("[data-sort=scenario]")
    page.click("[data-sort=scenario]")
    comes(lambda: page.locator("tbody tr").evaluate_all(keys), ["c", "a", "b"])
    says(page.locator("tr[data-key=b] .row-problem").first, "expected JSON, found 3 bytes")
    says(page.locator("tr[data-key=c] [data-column=outcome]").first, "running")
    for key in ("a", "c", "b"):  # a third one takes the place of the first
        page.check(f"tr[data-key={key}] td.mark input")
    page.click("[data-action=select]")
    page.wait_for_url("**/compare?a=run:c&b=run:b")
