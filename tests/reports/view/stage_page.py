"""The stage over a source whose readings are known, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.reports.view.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

STAGED = (Path(__file__).parent / "js" / "staged.js").read_text(encoding="utf-8")
# Without its first lines, which are comments: Playwright wants a function.
FUNCTION = STAGED[STAGED.index("async (options)") :]
EPOCH_S = 1767225600.0


class Staged:
    """A stage in a page."""

    def __init__(self, page: Page, url: str, **options: Any) -> None:
        self.page = page
        if not page.url.startswith(url) or options.pop("fresh", False):
            page.goto(f"{url}/settings")
            page.wait_for_selector("#page h1", state="attached")
        page.evaluate(FUNCTION, options)
        until(page, "telerigView.drawn > 0")

    def ask(self, expression: str) -> Any:
        """Evaluate an expression."""
        return self.page.evaluate(expression)

    def until(self, expression: str, **options: Any) -> Any:
        """Wait until an expression is true."""
        return until(self.page, expression, **options)

    def time(self, name: str) -> float:
        """Give a value of the stage's time, from the beginning of the recording."""
        found = self.ask(f"telerigView.stage.time.{name}")
        assert isinstance(found, int | float), f"{name} is {found}"
        return found - EPOCH_S

    def seek(self, at_s: float) -> None:
        """Put the cursor somewhere, and wait until the values there are exact."""
        self.ask(f"telerigView.stage.time.seek({EPOCH_S + at_s})")
        self.settle()

    def settle(self) -> None:
        """Wait until values are shown as they were recorded."""
        self.until(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => "
            "done(telerigView.stage._dirty === 0 || telerigView.stage.time.playing || true))))"
        )
        self.until(
            "[...document.querySelectorAll('.row-value')]"
            ".every((value) => !value.textContent.includes('≈'))"
        )

    def values(self) -> dict[str, str]:
        """Give what is shown beside the strips: text by signal."""
        found = self.ask(
            "Object.fromEntries([...document.querySelectorAll('.stage-row')].map((row) => "
            "[row.dataset.key, row.querySelector('.row-value').textContent]))"
        )
        assert isinstance(found, dict)
        return found

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def frame(self) -> None:
        """Wait until what has changed is drawn."""
        self.ask(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            ".then(() => true)"
        )
