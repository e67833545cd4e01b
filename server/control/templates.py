"""Templates: which commands a device takes, and what their parameters must be.

A device tells its own with its hello; a file may give some for all devices. Of the same name, the
device's own counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from server.control.schema import SchemaError, check_schema, shown

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
TEMPLATES_LIMIT = 64
"""Of one device."""
SCHEMA_LIMIT_BYTES = 16_384
DESCRIPTION_LIMIT = 500
NO_PARAMETERS: dict[str, Any] = {"type": "object", "additionalProperties": False}


class TemplateText(Protocol):
    """A template as a device tells it; `telemetry_pb2.CommandTemplate` is one."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def schema(self) -> str: ...


class Template(msgspec.Struct, frozen=True):
    """One command that a device takes; `parameters` is the schema of the parameters."""

    name: str
    description: str
    parameters: dict[str, Any]


def read_template(told: TemplateText) -> Template:
    """Give the template that a device has told.

    Raises:
        SchemaError: name or schema are not such.
    """
    if not NAME.fullmatch(told.name):
        raise SchemaError(
            "name", "a letter, then up to 63 letters, digits, '_', '.', '-'", shown(told.name)
        )
    if len(told.schema) > SCHEMA_LIMIT_BYTES:
        raise SchemaError(
            told.name, f"a schema of {SCHEMA_LIMIT_BYTES} bytes", f"{len(told.schema)} bytes"
        )
    return make_template(told.name, told.description, _json(told.name, told.schema))


def make_template(name: str, description: str, schema: object) -> Template:
    """Give the template of a schema; None stands for no parameters.

    Raises:
        SchemaError: it is no schema of an object.
    """
    if schema is None:
        return Template(name, description[:DESCRIPTION_LIMIT], NO_PARAMETERS)
    check_schema(schema, name)
    assert isinstance(schema, dict)
    if schema.get("type", "object") != "object":
        raise SchemaError(f"{name}.type", "object: parameters have names", shown(schema["type"]))
    schema = {**schema, "type": "object"}
    return Template(name, description[:DESCRIPTION_LIMIT], schema)


def read_templates(told: Iterable[TemplateText]) -> tuple[list[Template], list[SchemaError]]:
    """Give the templates that can be used, and what is wrong with the others."""
    found: dict[str, Template] = {}
    problems: list[SchemaError] = []
    for number, text in enumerate(told):
        if number >= TEMPLATES_LIMIT:
            problems.append(SchemaError("templates", f"at most {TEMPLATES_LIMIT}", "more"))
            break
        try:
            template = read_template(text)
        except SchemaError as error:
            problems.append(error)
        else:
            found[template.name] = template
    return list(found.values()), problems


def load_templates(path: Path) -> list[Template]:
    """Read a file command_templates.json.

    Two forms: {NAME: {"description", "parameters": SCHEMA}} and
    [{"name" (or "command"), "description", "parameters"}].

    Raises:
        SchemaError: it cannot be read, or is neither; names the part.
    """
    content = read_json_file(path)
    if isinstance(content, dict):
        content = [{"name": name, **_entry(name, entry)} for name, entry in content.items()]
    if not isinstance(content, list):
        raise SchemaError(str(path), "an object or an array of templates", shown(content))
    templates = []
    for index, item in enumerate(content):
        entry = _entry(f"[{index}]", item)
        name = entry.get("name", entry.get("command"))
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise SchemaError(f"[{index}].name", "a name of a command", shown(name))
        description = entry.get("description", "")
        schema = entry.get("parameters", entry.get("schema"))
        templates.append(make_template(name, str(description), schema))
    return templates


def _entry(where: str, item: object) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise SchemaError(where, "a template (an object)", shown(item))
    return item


def read_json_file(path: Path) -> Any:
    """Give the content of a JSON file.

    Raises:
        SchemaError: names the file.
    """
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise SchemaError(str(path), "a readable file", error.strerror or str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise SchemaError(str(path), "JSON", str(error)) from error


def _json(name: str, text: str) -> Any:
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SchemaError(name, "a schema in JSON", str(error)) from None
