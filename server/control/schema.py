"""Values against a schema: the part of JSON Schema (2020-12) that commands of devices need.

Written here rather than taken from a library: schemas come from devices, and what a full
implementation offers beside this (references to other documents, regular expressions, recursion)
is what a device must not be able to make the gateway do. A schema with any other keyword is
refused as a whole, so that no rule is ever ignored silently.

    type, enum, const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength, maxLength,
    items, minItems, maxItems, properties, required, additionalProperties, propertyNames,
    minProperties, maxProperties; and, without effect: title, description, default, examples, unit,
    $comment, $schema
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

DEPTH_LIMIT = 8
_SHOWN = 80

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOTES = frozenset({"title", "description", "default", "examples", "unit", "$comment", "$schema"})


class SchemaError(ValueError):
    """A schema, or a value under it, is not as it must be.

    Attributes:
        where: path of the part at fault.
        expected: what should have been there.
        found: what is there.
    """

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found


def check_schema(schema: object, where: str = "schema", depth: int = 0) -> None:
    """Refuse what is not a schema of this part of the standard.

    Raises:
        SchemaError: names the keyword.
    """
    if not isinstance(schema, dict):
        raise SchemaError(where, "a schema (an object)", shown(schema))
    if depth > DEPTH_LIMIT:
        raise SchemaError(where, f"at most {DEPTH_LIMIT} levels", "more")
    for keyword, rule in schema.items():
        if keyword in _NOTES:
            continue
        place = f"{where}.{keyword}"
        if keyword not in _RULES:
            raise SchemaError(place, f"one of {', '.join(_RULES)}", shown(keyword))
        expected, is_right = _RULES[keyword]
        if not is_right(rule):
            raise SchemaError(place, expected, shown(rule))
        if keyword == "properties":
            for name, inner in rule.items():
                check_schema(inner, f"{place}.{name}", depth + 1)
        elif keyword in ("items", "propertyNames") or (
            keyword == "additionalProperties" and rule not in _FLAGS
        ):
            check_schema(rule, place, depth + 1)


def check(value: object, schema: Mapping[str, Any], where: str = "parameters") -> None:
    """Refuse a value that a checked schema does not allow.

    Raises:
        SchemaError: names the part of the value.
    """
    if not schema:
        return  # so that the depth is that of the schema, whatever comes
    _check_kind(value, schema, where)
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        _check_number(value, schema, where)
    elif isinstance(value, str):
        _check_size(len(value), schema, "Length", "characters", where)
    elif isinstance(value, list):
        _check_size(len(value), schema, "Items", "items", where)
        for index, item in enumerate(value):
            check(item, schema.get("items", {}), f"{where}[{index}]")
    elif isinstance(value, dict):
        _check_object(value, schema, where)


def _check_kind(value: object, schema: Mapping[str, Any], where: str) -> None:
    kinds = schema.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(_is_a(value, kind) for kind in kinds):
            raise SchemaError(where, " or ".join(kinds), shown(value))
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        allowed = ", ".join(shown(item) for item in schema["enum"][:20])
        raise SchemaError(where, f"one of {allowed}", shown(value))
    if "const" in schema and not _same(value, schema["const"]):
        raise SchemaError(where, shown(schema["const"]), shown(value))


def _check_number(value: float, schema: Mapping[str, Any], where: str) -> None:
    rules: tuple[tuple[str, Callable[[float, float], bool], str], ...] = (
        ("minimum", lambda number, limit: number >= limit, "at least"),
        ("maximum", lambda number, limit: number <= limit, "at most"),
        ("exclusiveMinimum", lambda number, limit: number > limit, "more than"),
        ("exclusiveMaximum", lambda number, limit: number < limit, "less than"),
    )
    for keyword, holds, words in rules:
        if keyword in schema and not holds(value, schema[keyword]):
            raise SchemaError(where, f"{words} {schema[keyword]:g}", shown(value))


def _check_size(size: int, schema: Mapping[str, Any], noun: str, words: str, where: str) -> None:
    if size < schema.get(f"min{noun}", 0):
        raise SchemaError(where, f"at least {schema[f'min{noun}']} {words}", str(size))
    if size > schema.get(f"max{noun}", size):
        raise SchemaError(where, f"at most {schema[f'max{noun}']} {words}", str(size))


def _check_object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> None:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            raise SchemaError(f"{where}.{name}", "this parameter", "none")
    _check_size(len(value), schema, "Properties", "entries", where)
    for name in value:
        check(name, schema.get("propertyNames", {}), f"{where}: name")
    for name, inner in value.items():
        place = f"{where}.{name[:_SHOWN]}"
        if name in properties:
            check(inner, properties[name], place)
        elif others is False:
            allowed = ", ".join(properties) or "no parameters"
            raise SchemaError(place, allowed, f"unknown {name[:_SHOWN]!r}")
        elif others is not True:
            check(inner, others, place)


def _is_a(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _same(one: object, other: object) -> bool:
    """Tell whether two JSON values are equal; true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def shown(value: object) -> str:
    """Give a JSON value, short enough for a message."""
    try:
        text = json.dumps(value, default=repr)
    except RecursionError:
        text = "something nested too deeply"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _is_size(rule: object) -> bool:
    return isinstance(rule, int) and not isinstance(rule, bool) and rule >= 0


def _is_number(rule: object) -> bool:
    return isinstance(rule, int | float) and not isinstance(rule, bool)


def _is_kind(rule: object) -> bool:
    kinds = [rule] if isinstance(rule, str) else rule
    return (
        isinstance(kinds, list)
        and bool(kinds)
        and all(isinstance(kind, str) and kind in _TYPES for kind in kinds)
    )


def _is_names(rule: object) -> bool:
    return isinstance(rule, list) and all(isinstance(name, str) for name in rule)


def _is_schema(rule: object) -> bool:
    return isinstance(rule, dict)


_FLAGS = (True, False)
_SIZE = ("a whole number from 0", _is_size)
_NUMBER = ("a number", _is_number)
_RULES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "type": (f"one or more of {', '.join(_TYPES)}", _is_kind),
    "enum": ("an array that is not empty", lambda rule: isinstance(rule, list) and bool(rule)),
    "const": ("a value", lambda rule: True),
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "exclusiveMinimum": _NUMBER,
    "exclusiveMaximum": _NUMBER,
    "minLength": _SIZE,
    "maxLength": _SIZE,
    "items": ("a schema", _is_schema),
    "minItems": _SIZE,
    "maxItems": _SIZE,
    "properties": ("schemas by name", _is_schema),
    "required": ("names", _is_names),
    "additionalProperties": (
        "true, false or a schema",
        lambda rule: isinstance(rule, bool | dict),
    ),
    "propertyNames": ("a schema", _is_schema),
    "minProperties": _SIZE,
    "maxProperties": _SIZE,
}
