"""Registration of pages: an address, a title, a layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dash
from dash import html
from dash.development.base_component import Component

from reports.view.addresses import PAGES
from reports.view.config import current_config

MISSING = "/404"
Layout = Callable[..., Component]


def register(module: str, path: str, title: str, layout: Layout) -> None:
    """Add a page; `<name>` in the path is handed to the layout, as are the query's parameters.

    Args:
        module: `__name__` of the page's module, with a suffix where it has several addresses.
        path: `/runs`, or `/run/<run>`.
        title: of the tab.
        layout: called with the path's and the query's parameters; takes `**_` what it does not use.
    """
    if path not in (*PAGES, MISSING):
        raise ValueError(f"expected an address of reports.view.addresses.PAGES, found {path!r}")
    where: dict[str, Any] = {"path_template": path} if "<" in path else {"path": path}
    dash.register_page(  # type: ignore[no-untyped-call]
        module, title=f"{title} · telerig", name=title, layout=_answering(layout), **where
    )


def _answering(layout: Layout) -> Layout:
    def answer(**parameters: Any) -> Component:
        # Whatever stands in an address comes here; a parameter that comes twice is a list.
        words = {
            key: value[0] if isinstance(value, list) else value for key, value in parameters.items()
        }
        return layout(**words)

    return answer


def page(
    title: str,
    *children: Any,
    wide: bool = False,
    name: str = "",
    needs: str = "",
    role: str = "",
) -> html.Div:
    """Give a page's outermost element with its heading.

    Args:
        title: the heading; read by screen readers, and what the tab is named after.
        children: what follows.
        wide: it uses the whole width of the window (stage), and its heading is not shown.
        name: class `page-<name>` for style sheets.
        needs: what it shows, "runs" or "gateway"; without that it says how to get it.
        role: who may use it; others are told, or asked to sign in (assets/js/mount.js).
    """
    config = current_config()
    there = {"": True, "runs": config.runs, "gateway": config.gateway}[needs]
    shown = children if there else (_absent(needs),)
    heading = html.H1(title, id="page-title", className="visually-hidden" if wide and there else "")
    classes = ["page", "page-wide" if wide and there else "", f"page-{name}" if name else ""]
    attributes: dict[str, Any] = {"data-needs-role": role} if role and there else {}
    return html.Div([heading, *shown], className=" ".join(filter(None, classes)), **attributes)


def _absent(needs: str) -> Component:
    if needs == "runs":
        return html.P(
            [
                "These pages show a gateway. Recorded runs are shown by ",
                html.Code("telerig view DIR"),
                ", where they are.",
            ]
        )
    return html.P(
        [
            "These pages show recorded runs. A gateway is shown by ",
            html.Code("telerig view --gateway URL"),
            ", and at its own address.",
        ]
    )
