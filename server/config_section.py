"""A table of the configuration, read key by key with errors that name the line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from server.errors import ConfigError
from server.toml_lines import KeyPath


class Where:
    """Where a table stands: file, key path, and the lines of its keys.

    Environment variables that set a key count as its place.
    """

    def __init__(
        self,
        file: str,
        path: KeyPath = (),
        lines: Mapping[KeyPath, int] | None = None,
        variables: Mapping[KeyPath, str] | None = None,
    ) -> None:
        self.file = file
        self.path = path
        self._lines = lines if lines is not None else {}
        self._variables = variables if variables is not None else {}

    def at(self, *keys: str | int) -> Where:
        """Give the place of a table or item inside this one."""
        return Where(self.file, (*self.path, *keys), self._lines, self._variables)

    def line(self, *keys: str | int) -> int | None:
        """Give the 1-based line of a key, or of the nearest table around it."""
        path: KeyPath = (*self.path, *keys)
        while path not in self._lines:
            if not path:
                return None
            path = path[:-1]
        return self._lines[path]

    def dotted(self, *keys: str | int) -> str:
        """Give the full name of a key, for messages: `links.obd.plan[0].signal`."""
        text = ""
        for key in (*self.path, *keys):
            text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
        return text

    def error(
        self, keys: str | int | Sequence[str | int], expected: str, found: str
    ) -> ConfigError:
        """Make the error for a key (or a path of keys) inside this table."""
        path = (keys,) if isinstance(keys, str | int) else tuple(keys)
        variable = self._variables.get((*self.path, *path))
        if variable is not None:
            return ConfigError(variable, None, expected, found)
        return ConfigError(
            self.file, self.line(*path), f"{expected} for {self.dotted(*path)}", found
        )


class Section:
    """One table: typed getters, then `done()` refuses what was not asked for.

    Getters raise ConfigError when the value has another type or is out of range, or when a key
    without a default is absent.
    """

    def __init__(self, table: Mapping[str, Any], where: Where) -> None:
        self.table = table
        self.where = where
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        """Tell whether the key is there, and count it as known."""
        self._known.append(key)
        return key in self.table

    def _get(self, key: str, expected: str, default: Any) -> Any:
        if self.has(key):
            return self.table[key]
        if default is _REQUIRED:
            raise ConfigError(
                self.where.file,
                self.where.line(),
                f"{expected} for {self.where.dotted(key)}",
                "no such key",
            )
        return default

    def text(self, key: str, default: Any = ...) -> Any:
        """Give a string; the default may be None."""
        value = self._get(key, "a string", default)
        if key in self.table and (not isinstance(value, str) or not value or "\0" in value):
            raise self.where.error(key, "a string that is not empty", describe(value))
        return value

    def choice(self, key: str, allowed: Sequence[str], default: Any = ...) -> Any:
        """Give one of the allowed strings."""
        expected = "one of " + ", ".join(allowed)
        value = self._get(key, expected, default)
        if key in self.table and value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise self.where.error(key, expected + hint, describe(value))
        return value

    def integer(self, key: str, default: Any = ..., *, minimum: int, maximum: int) -> Any:
        """Give a whole number within the bounds, both included."""
        expected = f"a whole number from {minimum} to {maximum}"
        value = self._get(key, expected, default)
        if key in self.table and (
            not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum
        ):
            raise self.where.error(key, expected, describe(value))
        return value

    def number(self, key: str, default: Any = ..., *, minimum: float, maximum: float) -> Any:
        """Give a number as float within the bounds, both included."""
        expected = f"a number from {minimum:g} to {maximum:g}"
        value = self._get(key, expected, default)
        if key not in self.table:
            return value
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
            or not minimum <= value <= maximum
        ):
            raise self.where.error(key, expected, describe(value))
        return float(value)

    def flag(self, key: str, default: Any = ...) -> Any:
        """Give true or false."""
        value = self._get(key, "true or false", default)
        if key in self.table and not isinstance(value, bool):
            raise self.where.error(key, "true or false", describe(value))
        return value

    def tables(self, key: str) -> list[Section]:
        """Give the sections of an array of tables; empty when the key is absent."""
        value = self._get(key, "an array of tables", [])
        if not isinstance(value, list):
            raise self.where.error(key, "an array of tables", describe(value))
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.where.error((key, index), "a table like {key = value}", describe(item))
        return [Section(item, self.where.at(key, index)) for index, item in enumerate(value)]

    def texts(self, key: str, default: Any = ...) -> Any:
        """Give an array of strings as a tuple."""
        value = self._get(key, "an array of strings", default)
        if key not in self.table:
            return value
        if not isinstance(value, list):
            raise self.where.error(key, "an array of strings", describe(value))
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item:
                raise self.where.error((key, index), "a string", describe(item))
        return tuple(value)

    def section(self, key: str) -> Section:
        """Give the table of that name; an empty one when absent."""
        value = self._get(key, "a table", {})
        if not isinstance(value, dict):
            raise self.where.error(key, f"a table [{self.where.dotted(key)}]", describe(value))
        return Section(value, self.where.at(key))

    def done(self) -> None:
        """Refuse keys that nothing asked for, with the nearest known key."""
        for key in self.table:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = (
                    f"did you mean {near[0]!r}?"
                    if near
                    else "known: " + ", ".join(sorted(set(self._known)))
                )
                place = self.where.dotted() or "the file"
                raise ConfigError(
                    self.where.file,
                    self.where.line(key),
                    f"a key that {place} has ({hint})",
                    f"unknown key {key!r}",
                )


_REQUIRED = ...


def describe(value: object) -> str:
    """Say what a value is, short enough for one line."""
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    if isinstance(value, bool):
        return f"boolean {text.lower()}"
    return f"{_KINDS.get(type(value), type(value).__name__)} {text}"


_KINDS: dict[type, str] = {
    str: "string",
    int: "whole number",
    float: "number",
    dict: "table",
    list: "array",
}
