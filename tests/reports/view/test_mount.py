"""Parts live as long as their elements: mounted once, again with other options, ended when gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reports.view.served import ServedView
from tests.reports.view.waiting import comes

if TYPE_CHECKING:
    from playwright.sync_api import Page

LISTENERS = "telerig.state._heard.get('connection').size"
ADD = """(options) => {
    const made = document.createElement('div');
    made.id = 'added';
    made.dataset.part = 'link-state';
    made.dataset.options = options;
    document.getElementById('page').append(made);
}"""


def test_a_part_lives_as_long_as_its_element(page: Page, view: ServedView) -> None:
    """Other options begin it anew, and its listeners end with it: also when it is moved or the
    whole page goes."""
    page.goto(f"{view.url}/settings")
    page.wait_for_selector(".link-state")
    page.wait_for_selector("#page form")
    before = page.evaluate(LISTENERS)
    page.evaluate(ADD, "{}")
    page.wait_for_selector("#added .link-state")
    comes(lambda: page.evaluate(LISTENERS), before + 1)
    page.evaluate("document.querySelector('#added .link-state').dataset.first = 'yes'")
    page.evaluate("document.getElementById('added').dataset.options = '{\"a\":1}'")
    page.wait_for_selector("#added .link-state:not([data-first])")
    comes(lambda: page.evaluate("document.querySelectorAll('#added .link-state').length"), 1)
    comes(lambda: page.evaluate(LISTENERS), before + 1)
    page.evaluate("document.getElementById('added').remove()")
    page.wait_for_function(f"{LISTENERS} === {before}")
    page.evaluate(ADD, "{}")
    page.wait_for_selector("#added .link-state")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    page.wait_for_function(f"{LISTENERS} < {before + 1}")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    page.wait_for_function(f"{LISTENERS} === {before + 1}")


def test_a_part_that_is_none_becomes_words(
    page: Page, view: ServedView, expected_errors: list[str]
) -> None:
    """A name without a script, or with a path in it, is told in its place; the rest goes on."""
    expected_errors.append("parts/none.js")
    page.goto(f"{view.url}/settings")
    page.wait_for_selector("#page form")
    for name in ("none", "../main"):
        page.evaluate(ADD.replace("link-state", name), "{}")
        page.wait_for_selector("#added .error-box")
        page.evaluate("document.getElementById('added').remove()")
    comes(page.locator("#page form").is_visible, True)


def test_an_error_outside_of_parts_becomes_a_line(page: Page, view: ServedView) -> None:
    """What fails in the background is told above the page, and can be closed."""
    page.goto(f"{view.url}/settings")
    page.wait_for_selector("#page form")
    page.evaluate(
        "void dispatchEvent(new PromiseRejectionEvent('unhandledrejection', "
        "{promise: Promise.resolve(), reason: new Error('it rained')}))"
    )
    page.get_by_text("it rained").wait_for()
    page.get_by_role("button", name="Close this notice").click()
    page.get_by_text("it rained").wait_for(state="detached")
