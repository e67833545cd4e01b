"""A YAML file as nodes that know where they stand, what they hold, and how to complain.

PyYAML's `compose()` keeps the position of every key and value and builds no objects, so `on:`,
`off:` and `1:30` stay the texts that the author wrote. Duplicate keys are refused here: YAML's own
rule (the last one wins) hides mistakes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rig.quantity import Dimension, QuantityError, show
from rig.scenario.errors import ScenarioError

MAXIMUM_BYTES = 1_000_000  # the largest hand-written scenario is about 4 kB
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def suggestion(word: str, known: Collection[str]) -> str:
    """Return "did you mean 'x'?" for a near miss, else the list of what is known."""
    by_lower = {name.lower(): name for name in known}
    lower = word.lower()
    near = difflib.get_close_matches(lower, by_lower, n=1, cutoff=0.6)
    if not near and len(lower) >= 3:
        near = [name for name in by_lower if name.startswith(lower)]
    if near:
        return f"did you mean {by_lower[near[0]]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else ""


@dataclass(slots=True)
class Variables:
    """The values that `$name` stands for, and which of them were used."""

    values: Mapping[str, str]
    used: set[str]


class Node:
    """One value of the file, with its place.

    Every `as_…` method returns the value or raises a `ScenarioError` that names this place.
    """

    def __init__(self, path: Path, raw: yaml.Node, variables: Variables) -> None:
        self.path = path
        self._raw = raw
        self._variables = variables

    @property
    def line(self) -> int:
        """Counted from 1."""
        return int(self._raw.start_mark.line) + 1

    @property
    def column(self) -> int:
        """Counted from 1."""
        return int(self._raw.start_mark.column) + 1

    @property
    def is_mapping(self) -> bool:
        """True for `{key: value}`."""
        return isinstance(self._raw, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """True for `[a, b]`."""
        return isinstance(self._raw, yaml.SequenceNode)

    @property
    def is_null(self) -> bool:
        """True where nothing, or `null`, was written."""
        return isinstance(self._raw, yaml.ScalarNode) and self._raw.tag.endswith(":null")

    @property
    def is_quoted(self) -> bool:
        """True for a text in quotes, which is never a number or a truth value."""
        return isinstance(self._raw, yaml.ScalarNode) and self._raw.style in ("'", '"')

    def describe(self) -> str:
        """What stands here, in a few words, for a message."""
        if self.is_mapping:
            return "a mapping {…}"
        if self.is_list:
            return "a list […]"
        if self.is_null:
            return "nothing"
        text = str(self._raw.value)
        return repr(text if len(text) <= 60 else text[:57] + "…")

    def error(self, expected: str, found: str | None = None, hint: str = "") -> ScenarioError:
        """Return the error for this place; `found` defaults to what stands here."""
        return ScenarioError(
            self.path, self.line, expected, found or self.describe(), hint, column=self.column
        )

    def as_text(self, what: str = "a text") -> str:
        """Return the text, `$name` replaced by the value from `matrix:`."""
        if not isinstance(self._raw, yaml.ScalarNode) or self.is_null:
            raise self.error(what)
        return _VARIABLE.sub(self._substitute, str(self._raw.value))

    def _substitute(self, match: re.Match[str]) -> str:
        name = match[1] or match[2]
        values = self._variables.values
        if name not in values:
            hint = suggestion(name, values) or f"declare it: matrix: {{{name}: […]}}"
            raise self.error("a variable that `matrix:` declares", f"'${name}'", hint)
        self._variables.used.add(name)
        return values[name]

    def as_word(self, choices: Collection[str], what: str) -> str:
        """Return one of `choices`."""
        text = self.as_text(what)
        if text not in choices:
            raise self.error(what, repr(text), suggestion(text, choices))
        return text

    def as_name(self, what: str) -> str:
        """Return a name: a letter, then letters, digits, `_` and `-`."""
        text = self.as_text(what)
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", text) is None:
            raise self.error(f"{what}: a letter, then letters, digits, '_' or '-'", repr(text))
        return text

    def as_quantity(
        self,
        dimension: Dimension,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
    ) -> float:
        """Return a number in `dimension.unit`, checked against the (inclusive) bounds.

        Args:
            dimension: says which units are accepted.
            minimum: smallest value that is right.
            maximum: largest value that is right.
            above: the value must be larger than this.
        """
        text = self.as_text(dimension.expectation)
        try:
            value = dimension.parse(text)
        except QuantityError as error:
            raise self.error(error.expected, error.found) from error
        if minimum is not None and value < minimum:
            raise self.error(f"at least {show(minimum, dimension.unit)}", repr(text))
        if above is not None and value <= above:
            raise self.error(f"more than {show(above, dimension.unit)}", repr(text))
        if maximum is not None and value > maximum:
            raise self.error(f"at most {show(maximum, dimension.unit)}", repr(text))
        return value

    def as_integer(self, what: str, minimum: int, maximum: int) -> int:
        """Return a whole number from `minimum` to `maximum`."""
        expected = f"{what}: a whole number from {minimum} to {maximum}"
        text = self.as_text(expected)
        if re.fullmatch(r"[-+]?\d{1,19}", text) is None or not minimum <= int(text) <= maximum:
            raise self.error(expected, repr(text))
        return int(text)

    def as_boolean(self, what: str) -> bool:
        """Return True for true, yes, on; False for false, no, off."""
        text = self.as_text(f"{what}: true or false").lower()
        if text not in _TRUE + _FALSE:
            raise self.error(f"{what}: true or false")
        return text in _TRUE

    def as_list(self, what: str) -> list[Node]:
        """Return the items of a list."""
        if not isinstance(self._raw, yaml.SequenceNode):
            raise self.error(what)
        return [Node(self.path, item, self._variables) for item in self._raw.value]

    def as_list_or_one(self) -> list[Node]:
        """Return the items of a list, or this node alone where it is no list."""
        return self.as_list("a list") if self.is_list else [self]

    def as_table(self, what: str, known: Collection[str] | None = None) -> Table:
        """Return a mapping; duplicate keys, and keys not in `known`, are refused."""
        if not isinstance(self._raw, yaml.MappingNode):
            raise self.error(what)
        entries: dict[str, Entry] = {}
        for raw_key, raw_value in self._raw.value:
            key = Node(self.path, raw_key, self._variables)
            if not isinstance(raw_key, yaml.ScalarNode) or "$" in raw_key.value:
                raise key.error("a key that is a plain word")
            word = str(raw_key.value)
            if word in entries:
                first = entries[word].key.line
                raise key.error(
                    f"each key once in {what}", f"{word!r} again", f"first on line {first}"
                )
            if known is not None and word not in known:
                raise key.error(f"a key of {what}", repr(word), suggestion(word, known))
            entries[word] = Entry(word, key, Node(self.path, raw_value, self._variables))
        return Table(self, what, entries)

    def as_plain(self) -> Plain:
        """Return the value as plain Python: texts, numbers, truth values, lists, mappings."""
        return self._plain(0)

    def _plain(self, depth: int) -> Plain:
        if depth > 8:
            raise self.error("at most 8 levels of nesting")
        if self.is_list:
            return [item._plain(depth + 1) for item in self.as_list("a list")]
        if self.is_mapping:
            table = self.as_table("the mapping")
            return {entry.word: entry.value._plain(depth + 1) for entry in table}
        if self.is_null:
            return None
        text = self.as_text()
        if self.is_quoted:
            return text
        if re.fullmatch(r"[-+]?\d{1,19}", text):
            return int(text)
        if re.fullmatch(r"[-+]?\d{1,19}\.\d{1,19}", text):
            return float(text)
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        return text


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a mapping."""

    word: str
    key: Node
    value: Node


class Table:
    """The entries of one mapping, in the file's order."""

    def __init__(self, node: Node, what: str, entries: dict[str, Entry]) -> None:
        self.node = node
        self.what = what
        self._entries = entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, word: str) -> bool:
        return word in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, word: str) -> Node | None:
        """Return the value of `word`, or None where it is absent."""
        entry = self._entries.get(word)
        return None if entry is None else entry.value

    def entry(self, word: str) -> Entry | None:
        """Return key and value of `word`, or None where it is absent."""
        return self._entries.get(word)

    def require(self, word: str, example: str) -> Node:
        """Return the value of `word`; its absence is an error that shows `example`."""
        entry = self._entries.get(word)
        if entry is None:
            there = ", ".join(self._entries) or "nothing"
            raise self.node.error(f"{word!r} in {self.what}", there, f"add, say, `{example}`")
        return entry.value

    def quantity(
        self,
        word: str,
        dimension: Dimension,
        default: float,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
    ) -> float:
        """Return the number at `word` in `dimension.unit`, or `default` where it is absent."""
        node = self.get(word)
        if node is None:
            return default
        return node.as_quantity(dimension, minimum=minimum, maximum=maximum, above=above)


def read_document(path: Path, what: str = "scenario", beginning: str = "rig: 1") -> yaml.Node:
    """Return the root node of the one YAML document in `path`.

    Args:
        path: the file.
        what: it is, for messages.
        beginning: how such a file begins.

    Raises:
        ScenarioError: no such file, not UTF-8, not YAML, empty, or more than one document.
    """
    text = _read_text(path, what)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        found = f"the character {chr(error.character)!r}"
        raise ScenarioError(path, line, "printable text", found) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        expected, found = _yaml_problem(error.problem or "")
        context = f" {error.context}" if error.context else ""
        raise ScenarioError(path, line, f"{expected}{context}", found, column=column) from error
    except RecursionError:
        raise ScenarioError(path, 0, "YAML", "brackets nested too deep") from None
    if root is None:
        raise ScenarioError(path, 1, f"a {what}", "an empty file", f"start with `{beginning}`")
    return root


def _yaml_problem(problem: str) -> tuple[str, str]:
    """Split PyYAML's sentence into what it expected and what it found."""
    if match := re.fullmatch(r"expected (.+), but (?:got|found) (.+)", problem):
        return f"YAML with {match[1]}", match[2]
    if match := re.fullmatch(r"could not find expected (.+)", problem):
        return f"YAML with {match[1]}", "none"
    return "YAML", problem.removeprefix("found ") or "something else"


def _read_text(path: Path, what: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "an unreadable file"
        raise ScenarioError(path, 0, f"a readable {what} file", reason.lower()) from error
    if len(data) > MAXIMUM_BYTES:
        raise ScenarioError(path, 0, f"at most {MAXIMUM_BYTES} bytes", f"{len(data)} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}"
        raise ScenarioError(path, line, "UTF-8 text", found, "save it as UTF-8") from error
