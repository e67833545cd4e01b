"""What the pages list and ask for is what the gateway's API has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest

from reports.view.form import Form
from reports.view.listing import Action, Facts, Listing, declared
from reports.view.lists import alerts, devices, exports, sessions, users
from reports.view.lists.provisioning import PROVISIONING
from reports.view.lists.runs import RUNS
from server.api.reference import whole_document
from server.provisioning.routes import NewProvisioning

LISTINGS: list[Listing | Facts] = [
    found
    for module in (alerts, devices, sessions, users)
    for found in vars(module).values()
    if isinstance(found, Listing | Facts)
]
RANK = ["public", "viewer", "operator", "admin"]


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of a gateway."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole_document()))
    return made


def operation(method: str, path: str) -> dict[str, Any]:
    """The operation of a method and path, whatever its parameters are called."""
    shape = re.sub(r"{[^}]*}", "{}", path.partition("?")[0])
    for known, methods in document()["paths"].items():
        if re.sub(r"{[^}]*}", "{}", known) == shape and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"the gateway has no {method} {path}")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references and without null."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    some = [resolved(part) for part in schema.get("anyOf", []) if part.get("type") != "null"]
    return some[0] if some else schema


def answer_of(found: dict[str, Any]) -> dict[str, Any]:
    """The schema of the good answer."""
    status = next(code for code in found["responses"] if code.startswith("2"))
    content = found["responses"][status].get("content", {})
    return resolved(content.get("application/json", {}).get("schema", {}))


def at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema of what stands at a path."""
    for key in filter(None, path.split(".")):
        assert key in schema.get("properties", {}), (
            f"{path}: {sorted(schema.get('properties', {}))}"
        )
        schema = resolved(schema["properties"][key])
    return schema


def row_of(one: Listing | Facts) -> dict[str, Any]:
    """The schema of a row."""
    answer = answer_of(operation("GET", one.api))
    if isinstance(one, Facts):
        return at(answer, one.of)
    return resolved(at(answer, one.rows)["items"])


def actions_of(one: Listing | Facts) -> Iterator[Action]:
    """Every action of a listing, those of menus and dialogs included."""
    waiting = [*one.actions, *(one.row_actions if isinstance(one, Listing) else ())]
    while waiting:
        action = waiting.pop()
        waiting += action.menu
        yield action


EVERY = [(one, action) for one in LISTINGS for action in actions_of(one)]


@pytest.mark.parametrize("one", LISTINGS, ids=lambda one: one.name)
def test_columns_are_those_of_the_api(one: Listing | Facts) -> None:
    """Each column, key, sign and total is a field of the API's answer."""
    row = row_of(one)
    for column in one.columns:
        kind = at(row, column.key)
        if column.signs and kind.get("enum"):
            assert set(kind["enum"]) <= set(column.signs), f"{column.key}: {kind['enum']}"
    if isinstance(one, Listing):
        for key in filter(None, (one.key, one.problem, one.before_key, *one.first)):
            at(row, key)


@pytest.mark.parametrize(
    "one", [one for one in LISTINGS if isinstance(one, Listing)], ids=lambda one: one.name
)
def test_what_is_asked_are_parameters_of_the_api(one: Listing) -> None:
    """Filters, paging and fixed parameters; and who may see it is who may ask."""
    found = operation("GET", one.api)
    known = {part["name"]: part for part in found.get("parameters", []) if part["in"] == "query"}
    wanted = {part.name for part in one.filters if not part.of_rows} | set(one.query)
    wanted |= {"limit"} if one.paging else set()
    wanted |= {one.paging} if one.paging else set()
    assert wanted <= set(known)
    assert one.role == found["x-role"]
    for part in one.filters:
        choices = {value for value, _ in part.choices}
        kind = resolved(known[part.name]["schema"]) if part.name in known else {}
        if choices and "enum" in kind:
            assert choices == set(kind["enum"])
        elif choices and "pattern" in kind:
            assert all(re.fullmatch(kind["pattern"], value) for value in choices)


@pytest.mark.parametrize(
    ("one", "action"), EVERY, ids=[f"{one.name}-{action.name}" for one, action in EVERY]
)
def test_actions_are_operations_of_the_api(one: Listing | Facts, action: Action) -> None:
    """Path, role, fields and names in braces of each; a role above needs no other button."""
    assert RANK.index(action.role) >= 1
    if action.form is not None and not action.download:
        check_form(action.form, action.method, action.path)
    if action.method or action.download:
        path = action.path.replace("{file}", "signals.csv")
        found = operation(action.method or "GET", path)
        assert action.role == found["x-role"]
        for part in action.reveal:
            at(answer_of(found), part.key)
    if action.when:
        row = row_of(one)
        for key in action.when:
            at(row, key)
    texts = " ".join((action.path, action.done, action.confirm.text if action.confirm else ""))
    row = row_of(one)
    answer = answer_of(operation(action.method, action.path)) if action.method else {}
    for name in re.findall(r"{([\w.]+)}", texts):
        known = name.split(".")[0]
        assert (
            known in row.get("properties", {})
            or known in answer.get("properties", {})
            or (known, name) in (("device", "device"), ("file", "file"))
        ), f"{name} in {texts}"


def check_form(form: Form, method: str, path: str) -> None:
    """Every field is one of the request, and every needed one is asked for."""
    found = operation(method, path)
    if form.query:
        own = [part for part in found["parameters"] if part["in"] == "query"]
        known = {part["name"]: part["schema"] for part in own}
        needed = {part["name"] for part in own if part["required"]}
    else:
        schema = resolved(found["requestBody"]["content"]["application/json"]["schema"])
        known, needed = schema["properties"], set(schema.get("required", ()))
    names = {field.name for field in form.fields} | set(form.body)
    assert names <= set(known)
    assert needed <= names
    for field in form.fields:
        values = resolved(known[field.name]).get("enum")
        if values and field.choices:
            assert {value for value, _ in field.choices} == set(values)
        for other in field.when:
            assert other in names
        if field.options is not None:
            asked = operation("GET", field.options.api)
            assert field.options.role == asked["x-role"]
            at(resolved(at(answer_of(asked), field.options.rows)["items"]), field.options.value)


@pytest.mark.promise("P04")
def test_every_file_of_the_gateway_is_offered() -> None:
    """Each format of docs/export.md, of a session and of a device."""
    known = {
        path.rpartition("/")[2]
        for path in document()["paths"]
        if path.startswith("/api/v1/export/sessions/")
    }
    assert {name for name, _ in exports.FILES} == known
    for base in ("/api/v1/export/sessions/{id}", "/api/v1/export/devices/{device}"):
        menu = exports.exports(base).menu
        assert {one.path.rpartition("/")[2] for one in menu} == known | {"{file}"}
        chosen = menu[-1].form
        assert chosen is not None
        parameters = operation("GET", chosen.schema)["parameters"]
        names = {field.name for field in chosen.fields} - {"file"}
        assert names <= {part["name"] for part in parameters}


def test_all_six_operators_of_rules_can_be_chosen() -> None:
    """As docs/alerts.md has them."""
    form = next(one.form for one in alerts.RULES.actions if one.form is not None)
    (field,) = (one for one in form.fields if one.name == "condition")
    assert [value for value, _ in field.choices] == ["gt", "ge", "lt", "le", "eq", "ne"]


def test_provisioning_asks_what_the_gateway_takes() -> None:
    """Two fields stand for the address of other ways; all others are the request's."""
    known = {field.name for field in msgspec.structs.fields(NewProvisioning)}
    assert {field.name for field in PROVISIONING.fields} - {"port", "ble_name"} <= known


def test_a_declaration_is_json() -> None:
    """What a part gets can be written into the page, and leaves out what nobody has said."""
    for one in [*LISTINGS, RUNS]:
        made = msgspec.json.decode(msgspec.json.encode(declared(one)))
        assert made["name"] == one.name
        assert None not in made.values()
