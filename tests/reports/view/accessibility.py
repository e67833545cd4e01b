"""What every page must be: readable in light and dark, without horizontal scroll, named for screen
readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

DRAWN_MS = 100
"""In which what is drawn follows the size of the window."""
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def check_axe(page: Page) -> None:
    """Fail with axe-core's words on contrast, labels, roles and names of what is shown now."""
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="no browser on this machine with axe-core (axe-playwright-python is missing)",
    )
    found = module.Axe().run(page, None, RULES).response["violations"]
    assert not found, f"{page.url}: " + "; ".join(_words(one) for one in found)


def _words(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    first = nodes[0]
    why = " ".join(first.get("failureSummary", "").split())
    return f"{violation['id']} at {len(nodes)} places, first {first['target']} ({why})"


def check_width(page: Page) -> None:
    """Fail where a page is wider than its window, and say what sticks out."""
    found = page.evaluate(
        """() => {
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            return [...document.querySelectorAll("#shell *")]
                .filter((one) => one.getBoundingClientRect().right > width + 1)
                .slice(0, 5)
                .map((one) => `${one.tagName}.${one.className}`);
        }"""
    )
    assert not found, f"{page.url} is wider than its window: {found}"
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, f"{page.url} is {width} px wider than its window"


def check_looks(page: Page, sizes: tuple[tuple[int, int], ...] = ((1280, 800), (360, 740))) -> None:
    """Check a page that is shown: the first size in light, the second in dark colours."""
    for size, theme in zip(sizes, ("light", "dark"), strict=True):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.wait_for_timeout(DRAWN_MS)
        check_width(page)
        check_axe(page)
