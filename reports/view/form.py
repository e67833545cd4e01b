"""What a page asks for: fields of the body of a request.

The part `form` (assets/js/parts/form.js) takes type, limits, choices and defaults of a field from
the gateway's OpenAPI document, by the method and path of the request; here stand its words, and
what a schema cannot say.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values of a field that the API knows.

    Attributes:
        api: where they come from.
        rows: path of the list in the answer.
        value: key of the value.
        label: text for people, with names in braces; empty: the value.
        role: who may ask; others type.
    """

    api: str
    rows: str
    value: str
    label: str = ""
    role: str = "viewer"


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field.

    Attributes:
        name: in the body.
        label: for people.
        hint: below it.
        kind: where the schema does not say it: password, lines, code.
        choices: value and word, where the schema knows none or none for people.
        options: values that are offered.
        needed: also where the schema does not want it.
        value: at first, where it is not the schema's default.
        when: name of another field with the values at which this one counts.
        wide: takes the whole width.
    """

    name: str
    label: str
    hint: str = ""
    kind: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    options: Options | None = None
    needed: bool = False
    value: str | float | bool | None = None
    when: dict[str, tuple[str, ...]] = {}
    wide: bool = False


class Confirmation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question before something is done, and the word on its button."""

    text: str
    button: str = "Yes"
    tone: str = "danger"


class Reveal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value of the answer that is shown once, to be copied.

    Attributes:
        key: path in the answer.
        label: what it is.
        note: what to know of it.
    """

    key: str
    label: str
    note: str = ""


class Form(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A form; the request is that of its action.

    Attributes:
        title: heading.
        submit: on the button.
        fields: in their order.
        fill: key of the row with the values at first; "." is the row itself; empty: none.
        changes_only: sends what was changed (PATCH).
        query: the fields are parameters, not a body.
        body: always sent too.
        under: the fields stand in this object of the body.
        schema: path of the request whose schema counts, where it is not that of the action.
    """

    title: str
    submit: str
    fields: tuple[Field, ...]
    fill: str = ""
    changes_only: bool = False
    query: bool = False
    body: dict[str, Any] = {}
    under: str = ""
    schema: str = ""
