"""What a page lists: where the rows come from, what stands in a column, what may be done.

A page declares a `Listing`; the part `table` (assets/js/parts/table.js) shows any of them:

    place(SESSIONS, id="sessions")

Texts with names in braces are filled from a row (and from the page's own `vars`), and escaped where
they are addresses: `/session/{id}`, `Delete session {id}?`. Keys are paths in a row: `body.name`.
What is declared here is compared with the gateway's OpenAPI document by a test: paths, roles,
columns, filters and fields.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec
from dash import html

from reports.view.form import Confirmation, Form, Reveal
from reports.view.part import part

PAGE_ROWS = 100


class Kind(enum.StrEnum):
    """How a value is shown."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    FLAG = "flag"
    WORDS = "words"
    """A list, or the keys of an object."""
    INSTANT_NS = "instant_ns"
    """UTC nanoseconds since 1970; the reader's own time, the exact one at the pointer."""
    INSTANT = "instant"
    """The same in ISO 8601."""
    INSTANT_S = "instant_s"
    DURATION_S = "duration_s"
    BYTES = "bytes"
    SIGN = "sign"
    """A state: a sign and a word, the colour comes third."""
    JSON = "json"


class Sign(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a state is shown: never by its colour alone."""

    sign: str
    tone: str = ""
    """good, warn, bad, stale, or none."""
    word: str = ""
    """Default: the value."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column.

    Attributes:
        key: path of the value in a row.
        label: heading.
        kind: how it is shown.
        unit: of numbers; stands in the heading.
        digits: after the decimal point.
        signs: by value, of `Kind.SIGN`; text of the value itself where it is not there.
        link: address that the value leads to.
        sorts: whether the heading sorts.
        empty: stands where there is no value.
        hint: of the heading.
    """

    key: str
    label: str
    kind: Kind = Kind.TEXT
    unit: str = ""
    digits: int | None = None
    signs: dict[str, Sign] = {}
    link: str = ""
    sorts: bool = True
    empty: str = "–"
    hint: str = ""


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which rows are wanted; asked of the API where it has that parameter.

    Attributes:
        name: parameter of the API; of a filter of what is loaded: key of a row.
        label: for people.
        kind: choice, text, flag, instant.
        choices: value and word; of `choice`.
        value: at first.
        of_rows: filters what is loaded.
    """

    name: str
    label: str
    kind: str = "choice"
    choices: tuple[tuple[str, str], ...] = ()
    value: str = ""
    of_rows: bool = False


class Placed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part with its options, inside of another."""

    part: str
    options: dict[str, Any] = {}


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that can be done: with a row, or beside the table.

    Attributes:
        name: of the action, for tests.
        label: on the button.
        role: who may; others do not see it.
        method: of the request; empty where it only leads somewhere.
        path: of the request, or the address that it leads to.
        body: of the request, without a form.
        form: asks for the body first.
        confirm: asks before.
        when: keys of the row with the values that they must have; "" stands for none or null.
        done: said afterwards; may name what is in the row and in the answer.
        reveal: what of the answer is shown, once.
        tone: "danger", or "primary".
        download: what `path` gives is a file.
        menu: more of them behind this one.
        leads_to: page to go to afterwards.
        shows: parts in a dialog, instead of a request; their `vars` are those of the row.
    """

    name: str
    label: str
    role: str = "viewer"
    method: str = ""
    path: str = ""
    body: dict[str, Any] | None = None
    form: Form | None = None
    confirm: Confirmation | None = None
    when: dict[str, tuple[str, ...]] = {}
    done: str = ""
    reveal: tuple[Reveal, ...] = ()
    tone: str = ""
    download: bool = False
    menu: tuple[Action, ...] = ()
    leads_to: str = ""
    shows: tuple[Placed, ...] = ()


class Select(msgspec.Struct, frozen=True, kw_only=True):
    """Rows are marked; so many together lead to an address, with `{a}` and `{b}` their keys."""

    count: int
    label: str
    link: str


class Listing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A table.

    Attributes:
        name: of the table; of exported files too.
        title: heading; empty: none.
        api: where the rows come from.
        rows: path of the rows in the answer.
        key: what tells a row from others.
        columns: in their order; the first is the heading of a card on a phone.
        query: parameters that are always sent.
        filters: above the table.
        actions: beside the table.
        row_actions: of a row.
        row_link: where a row leads.
        paging: offset, before, or none: the API gives all.
        before_key: key of the last row that `before` takes.
        page_rows: asked for at a time.
        total: path of the number of all rows in the answer.
        sort: key to sort by at first; with "-" in front downwards; empty: as the API has them.
        first: keys with values: rows that have them stand on top, however it is sorted.
        refresh_s: asks again; 0: on demand.
        empty: said where there is no row.
        role: who may see it; others are told.
        select: rows can be marked.
        problem: key of a row with a text that says what is wrong with it.
        in_url: the address keeps filters.
        csv: address of the API that gives all as CSV; none: what is shown is written.
        note: below the title.
        missing: said where the API knows nothing of it (404); empty: that is an error.
    """

    name: str
    title: str = ""
    api: str
    rows: str
    key: str = "id"
    columns: tuple[Column, ...]
    query: dict[str, str] = {}
    filters: tuple[Filter, ...] = ()
    actions: tuple[Action, ...] = ()
    row_actions: tuple[Action, ...] = ()
    row_link: str = ""
    paging: str = ""
    before_key: str = ""
    page_rows: int = PAGE_ROWS
    total: str = ""
    sort: str = ""
    first: dict[str, tuple[str, ...]] = {}
    refresh_s: float = 0
    empty: str = "There is nothing here yet."
    role: str = "viewer"
    select: Select | None = None
    problem: str = ""
    in_url: bool = False
    csv: str = ""
    note: str = ""
    missing: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object, as names and values.

    Attributes:
        name: for tests.
        title: heading.
        api: where it comes from.
        of: path of the object in the answer; empty: the answer.
        columns: what is shown.
        actions: what may be done with it.
        refresh_s: asks again; 0: on demand.
        missing: said where the API knows nothing of it (404); empty: that is an error.
    """

    name: str
    title: str = ""
    api: str
    of: str = ""
    columns: tuple[Column, ...]
    actions: tuple[Action, ...] = ()
    refresh_s: float = 0
    missing: str = ""


class Tab(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Parts behind a tab."""

    name: str
    label: str
    parts: tuple[Placed, ...]
    role: str = "viewer"


def declared(what: msgspec.Struct) -> dict[str, Any]:
    """Give a declaration as the options of a part."""
    made: dict[str, Any] = msgspec.to_builtins(what)
    return made


def placed(what: Listing | Facts, **values: str) -> Placed:
    """Give the part that shows a listing or facts; `values` are for the names in its addresses."""
    name = "table" if isinstance(what, Listing) else "facts"
    options: dict[str, Any] = {("listing" if name == "table" else "facts"): declared(what)}
    return Placed(name, options | ({"vars": values} if values else {}))


def place(what: Listing | Facts, *, id: str, **values: str) -> html.Div:
    """Give the place in a page where a listing or facts are shown."""
    made = placed(what, **values)
    return part(made.part, id=id, **made.options)


def tabs(label: str, *every: Tab, id: str) -> html.Div:
    """Give tabs; `label` says what they are parts of."""
    return part("tabs", id=id, label=label, tabs=[declared(one) for one in every])
