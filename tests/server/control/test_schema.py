"""The part of JSON Schema that commands use."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.control.schema import _RULES, SchemaError, check, check_schema

RATES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 50},
    "minProperties": 1,
    "maxProperties": 3,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("schema", "right", "wrong", "message"),
    [
        ({"type": "integer"}, 3, 3.5, "expected integer, found 3.5"),
        ({"type": "integer"}, 3.0, True, "expected integer, found true"),
        ({"type": "number"}, 3, "3", 'expected number, found "3"'),
        ({"type": ["string", "null"]}, None, 1, "expected string or null, found 1"),
        ({"enum": ["a", 1]}, "a", True, 'expected one of "a", 1, found true'),
        ({"const": 0}, 0, False, "expected 0, found false"),
        ({"minimum": 1}, 1, 0, "expected at least 1, found 0"),
        ({"maximum": 1}, 1, 1.5, "expected at most 1, found 1.5"),
        ({"exclusiveMinimum": 0}, 0.1, 0, "expected more than 0, found 0"),
        ({"exclusiveMaximum": 1}, 0.9, 1, "expected less than 1, found 1"),
        ({"minLength": 2}, "ab", "a", "expected at least 2 characters, found 1"),
        ({"maxLength": 1}, "a", "ab", "expected at most 1 characters, found 2"),
        ({"minItems": 1}, [0], [], "expected at least 1 items, found 0"),
        ({"maxItems": 1}, [0], [0, 0], "expected at most 1 items, found 2"),
        ({"items": {"type": "string"}}, ["a"], ["a", 1], r"p\[1\]: expected string, found 1"),
        (RATES, {"RPM": 10}, {"RPM": 99}, r"p\.RPM: expected at most 50, found 99"),
        (RATES, {"RPM": 10}, {}, "at least 1 entries"),
        ({"required": ["a"]}, {"a": 1}, {"b": 1}, r"p\.a: expected this parameter, found none"),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1},
            {"b": 1},
            r"p\.b: expected a, found unknown 'b'",
        ),
        (
            {"propertyNames": {"enum": ["RPM"]}},
            {"RPM": 1},
            {"RPN": 1},
            'p: name: expected one of "RPM", found "RPN"',
        ),
        ({"properties": {"a": {"type": "null"}}}, {"b": 1}, {"a": 1}, r"p\.a: expected null"),
    ],
)
def test_each_rule(schema: dict[str, Any], right: Any, wrong: Any, message: str) -> None:
    """Each keyword lets the right value pass and names what is wrong with the other."""
    check_schema(schema)
    check(right, schema, "p")
    with pytest.raises(SchemaError, match=message):
        check(wrong, schema, "p")


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ([], "schema"),
        ({"pattern": "(a+)+$"}, "schema.pattern"),
        ({"$ref": "http://10.0.0.1/"}, "schema.$ref"),
        ({"type": "float"}, "schema.type"),
        ({"type": []}, "schema.type"),
        ({"enum": []}, "schema.enum"),
        ({"minimum": "1"}, "schema.minimum"),
        ({"minimum": True}, "schema.minimum"),
        ({"minLength": -1}, "schema.minLength"),
        ({"items": [{}]}, "schema.items"),
        ({"propertyNames": {"pattern": "x"}}, "schema.propertyNames.pattern"),
        ({"properties": {"a": {"allOf": []}}}, "schema.properties.a.allOf"),
        ({"required": [1]}, "schema.required"),
        ({"additionalProperties": {"x": 1}}, "schema.additionalProperties.x"),
        ({"additionalProperties": 1}, "schema.additionalProperties"),
    ],
)
def test_what_is_no_schema_here(schema: object, where: str) -> None:
    """A keyword that would not be checked refuses the whole schema, with its place."""
    with pytest.raises(SchemaError) as caught:
        check_schema(schema)
    assert caught.value.where == where


def test_deep_schemas_are_refused() -> None:
    """A schema cannot be nested without end."""
    schema: dict[str, Any] = {}
    for _ in range(20):
        schema = {"items": schema}
    with pytest.raises(SchemaError, match="at most 8 levels"):
        check_schema(schema)


@pytest.mark.parametrize("kind", ["[", '{"a":'])
def test_deep_values(kind: str) -> None:
    """Values as deep as the JSON decoder lets them be are checked, and shown in an error."""
    end = {"[": "]", '{"a":': "}"}[kind]
    value = None
    for depth in (100, 500, 900, 990):
        try:
            value = msgspec.json.decode(kind * depth + "1" + end * depth)
        except RecursionError:
            break
    assert value is not None
    check({"deep": value}, {"type": "object"})
    with pytest.raises(SchemaError, match="expected number, found"):
        check({"deep": value}, {"properties": {"deep": {"type": "number"}}})


@given(st.dictionaries(st.sampled_from(sorted(_RULES)) | st.text(), json_values), json_values)
def test_nothing_but_schema_errors(schema: dict[str, Any], value: Any) -> None:
    """Whatever a device sends as schema, and an operator as value: accepted, or refused by name."""
    try:
        check_schema(schema)
        check(value, schema)
    except SchemaError as error:
        caught = error
    else:
        return
    assert caught.expected
    assert len(str(caught)) < 5000
