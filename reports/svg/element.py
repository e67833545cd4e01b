"""Elements of HTML and SVG as text, escaped."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"br", "col", "link", "meta"})


class Markup(str):
    """Text that is markup already; plain text is escaped, this is not."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """Return `<name attributes>children</name>`.

    Args:
        name: of the element.
        children: `Markup` goes in as it is, other text is escaped.
        attributes: a trailing underscore is cut (`class_`), others become hyphens (`data_t0`);
            numbers are shortened to two decimals, None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*parts: str, between: str = "") -> Markup:
    """Return the parts one after the other, plain text escaped."""
    return Markup(
        between.join(part if isinstance(part, Markup) else escape(part) for part in parts)
    )


def number(value: float) -> str:
    """Return a coordinate with at most one decimal: a tenth of a pixel is finer than any screen."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)
