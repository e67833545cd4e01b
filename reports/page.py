"""The frame of a page that is one file: style sheet and script are inside, nothing is fetched."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from reports.svg.element import Markup, element
from rig.record.errors import RecordError


def render_page(title: str, *body: Markup, script: str = "") -> str:
    """Return the page's text.

    Args:
        title: of the window.
        body: what stands in it.
        script: the name of an asset; without it the page has none.
    """
    scripts = [element("script", asset(script))] if script else []
    return "<!doctype html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"{title} · telerig"),
            element("style", asset("report.css")),
        ),
        element("body", element("main", *body), *scripts),
        lang="en",
    )


def write_page(path: Path, text: str) -> None:
    """Write a page to `path`, whose folder is made.

    Raises:
        RecordError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(
            f"{path}: expected to write the report, found: {error.strerror or error}"
        ) from error


def section(title: str, *parts: Markup) -> Markup:
    """Return a part of the page under its heading."""
    return element("section", element("h2", title), *parts)


def eyebrow(text: str) -> Markup:
    """Return the small line above a heading."""
    return element("p", text, class_="eyebrow")


def asset(name: str) -> Markup:
    """Return a file of `reports/assets` as it is."""
    return Markup(files("reports").joinpath("assets", name).read_text("utf-8"))
