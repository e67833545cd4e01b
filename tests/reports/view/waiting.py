"""Waiting for what a page shows: it answers when it can, and a loaded machine is late.

An assertion right after an action is a race wherever the page asks, draws or waits before it shows
something. Waiting longer costs nothing where a test passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PATIENCE_S = 60.0
LOOK_S = 0.03
T = TypeVar("T")


def until(page: Page, expression: str, *, patience_s: float = PATIENCE_S) -> Any:
    """Wait until an expression is true, and give it; the pages' policy forbids Playwright's way."""
    return found_by(
        lambda: page.evaluate(expression), bool, f"{expression} to be true", patience_s=patience_s
    )


def comes(look: Callable[[], T], expected: T) -> None:
    """Wait until a look finds what is expected."""
    found_by(look, lambda found: bool(found == expected), repr(expected))


def says(place: Locator, *words: str) -> str:
    """Wait until the text that is shown in a place holds all of the words, and give it."""
    return found_by(
        place.inner_text, lambda text: all(word in text for word in words), f"a text with {words}"
    )


def found_by(
    look: Callable[[], T],
    is_right: Callable[[T], bool],
    words: str,
    *,
    patience_s: float = PATIENCE_S,
) -> T:
    """Wait until a look finds something right, and give it; else say what it found last."""
    ends_s = time.monotonic() + patience_s
    while not is_right(found := look()):
        assert time.monotonic() < ends_s, f"expected {words} within {patience_s:g} s, found {found}"
        time.sleep(LOOK_S)
    return found
