"""Path, query and body of a request as what the endpoint declares; what is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec.inspect import (
    AnyType,
    EnumType,
    FrozenSetType,
    ListType,
    LiteralType,
    SetType,
    StrType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)
from starlette.datastructures import QueryParams

from server.answers import BadParameter, Refusal
from server.requests import CHOICE, refusal_of_invalid

_LISTS = ListType | VarTupleType | SetType | FrozenSetType
FIELDS_MOST = 1_000


class QueryDecoder:
    """Makes a Struct of query parameters, or of a form.

    Args:
        kind: the Struct. A field that is a list takes each value of its name, and the parts of a
            value with commas.
    """

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._kind = kind
        fields = msgspec.structs.fields(kind)
        self._lists = frozenset(
            field.encode_name for field in fields if isinstance(type_info(field.type), _LISTS)
        )
        self._names = tuple(field.encode_name for field in fields)
        self._texts = frozenset(
            field.encode_name for field in fields if _takes_texts(type_info(field.type))
        )
        self._choices = {
            field.encode_name: words
            for field in fields
            if (words := _choices(type_info(field.type)))
        }

    def decode(self, parameters: QueryParams) -> Any:
        """Give the Struct.

        Raises:
            BadParameter: names the parameter.
        """
        found: dict[str, Any] = {}
        for name, text in parameters.multi_items():
            if name not in self._names:
                names = ", ".join(self._names)
                expected = f"one of {names}" if names else "no parameter"
                raise BadParameter("query", expected, repr(name[:80]))
            if "\0" in text:
                raise BadParameter(name, "a text without NUL", "one with it")
            if name not in self._texts and text.lower() == "null":
                # To msgspec that is None; a parameter that is not meant is left out.
                raise BadParameter(name, "a value", repr(text))
            if name in self._lists:
                found.setdefault(name, []).extend(text.split(","))
            elif name in found and found[name] != text:
                raise BadParameter(name, "one value", "several")
            else:
                found[name] = text
        try:
            return msgspec.convert(found, self._kind, strict=False)
        except msgspec.ValidationError as error:
            refusal = refusal_of_invalid(str(error))
            given = found.get(refusal.where)
            shown = refusal.found if given is None else repr(given)[:80]
            expected = _in_words(refusal.expected)
            if expected == CHOICE and refusal.where in self._choices:
                expected = f"one of {', '.join(self._choices[refusal.where])}"
            raise BadParameter(refusal.where, expected, shown) from None

    def decode_form(self, body: bytes) -> Any:
        """Give the Struct of a form's body."""
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MOST)
        except ValueError as error:
            raise BadParameter("body", "a form", str(error)[:200]) from None
        return self.decode(QueryParams(pairs))


_WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`bool`": "true or false",
    "matching regex": "that matches",
}


def _in_words(expected: str) -> str:
    """Say what msgspec expected without the names of types: a query is all text."""
    for name, words in _WORDS.items():
        expected = expected.replace(name, words)
    return expected


def _takes_texts(kind: Type) -> bool:
    if isinstance(kind, UnionType):
        return any(_takes_texts(part) for part in kind.types)
    return isinstance(kind, StrType | AnyType | _LISTS)


def _choices(kind: Type) -> list[str]:
    """Give the words that a field may be; empty where it may be others."""
    match kind:
        case UnionType():
            return [word for part in kind.types for word in _choices(part)]
        case EnumType():
            return [str(member.value) for member in kind.cls]
        case LiteralType():
            return [str(value) for value in kind.values]
        case _:
            return []


_PARAMETER = re.compile(r"{([a-zA-Z_]\w*)(?::([a-z]+))?}")


def path_parameters(path: str) -> dict[str, str]:
    """Give the parameters of a path with their convertors ("" where there is none)."""
    return dict(_PARAMETER.findall(path))


def document_path(path: str) -> str:
    """Give a path as OpenAPI writes it, without convertors."""
    return _PARAMETER.sub(r"{\1}", path)


class PathDecoder:
    """Checks the parameters of a path; what fits not is the path of nothing: 404.

    Args:
        types: of the parameters, by name.
    """

    def __init__(self, types: Mapping[str, Any]) -> None:
        self._types = types

    def decode(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Give the parameters.

        Raises:
            Refusal: 404, names the parameter.
        """
        return {name: self._value(name, value) for name, value in found.items()}

    def _value(self, name: str, value: Any) -> Any:
        try:
            made = msgspec.convert(value, self._types[name], strict=False)
        except msgspec.ValidationError as error:
            expected = _in_words(refusal_of_invalid(str(error)).expected)
            raise Refusal(404, name, expected, repr(value)[:80]) from None
        if isinstance(made, str) and any(c < " " or c == "\x7f" for c in made):
            raise Refusal(404, name, "printable characters", repr(value)[:80])
        return made
