"""Parts: what a script of `assets/js/parts/` draws into a page."""

from __future__ import annotations

import json
from typing import Any

from dash import html


def part(name: str, /, *, id: str | None = None, class_name: str = "", **options: Any) -> html.Div:
    """Give the place where `assets/js/parts/<name>.js` is mounted.

    Args:
        name: of the part, and of its file.
        id: of the element; default: none.
        class_name: further classes of the element.
        options: what the script's `mount(element, options, view)` gets; must be JSON. None is left
            out.
    """
    given = {key: value for key, value in options.items() if value is not None}
    attributes: dict[str, Any] = {
        "data-part": name,
        "data-options": json.dumps(given, separators=(",", ":"), sort_keys=True),
        "className": f"part part-{name} {class_name}".strip(),
    }
    if id is not None:
        attributes["id"] = id
    return html.Div(**attributes)
