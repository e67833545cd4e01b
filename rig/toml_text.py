"""Writes TOML: the standard library reads it and does not write it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(tables: Mapping[str, Any]) -> str:
    """Return tables of strings, numbers, booleans, lists and further tables as TOML."""
    lines: list[str] = []
    _write_table(lines, (), tables)
    return "\n".join(lines).lstrip("\n") + "\n"


def _write_table(lines: list[str], path: tuple[str, ...], table: Mapping[str, Any]) -> None:
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in table.items() if key not in tables}
    if path and (plain or not tables):
        lines.append(f"\n[{'.'.join(map(_key, path))}]")
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        _write_table(lines, (*path, key), value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # nan, inf, -inf: as TOML writes them
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)  # true, 1, 1.5: alike in JSON and TOML
    raise TypeError(f"expected a value that TOML has, got {value!r}")


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but JSON writes what lies beyond U+FFFF as two halves and leaves
    # the DEL character as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
