"""The line of each key in a TOML text, which `tomllib` does not give.

The text must have passed `tomllib` before: this scanner relies on it being valid, and only
follows structure (tables, keys, strings, arrays, inline tables), never values.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]
"""Keys and array indexes from the top: ("links", "obd", "plan", 0, "signal")."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR_END = re.compile(r"[,\]}#\n]")
_STRING_END = {
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    '"': re.compile(r'(?:[^"\\]|\\.)*"'),
    "'": re.compile(r"[^']*'"),
}


def key_lines(text: str) -> dict[KeyPath, int]:
    """Give the 1-based line of every key and array item of a valid TOML text.

    A table that is named more than once ([a.b], then [a]) has the line of its own header where
    there is one, else of its first mention.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._line = 1
        self._counted_to = 0
        self._array_tables: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(newlines=True):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        line = self._here()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self._key()
        self.at += 2 if is_array else 1
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._inside((*path, key))
            self.lines.setdefault(path, line)
        path = (*path, keys[-1])
        if is_array:
            self.lines.setdefault(path, line)
            self._array_tables[path] = self._array_tables.get(path, -1) + 1
            path = self._inside(path)
        self.lines[path] = line
        return path

    def _inside(self, path: KeyPath) -> KeyPath:
        """Give the path of the newest item where the path names an array of tables."""
        index = self._array_tables.get(path)
        return path if index is None else (*path, index)

    def _pair(self, table: KeyPath) -> None:
        line = self._here()
        path = table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._skip()
        self.at += 1  # the equals sign
        self._skip()
        self._value(path)

    def _key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip()
            quote = self.text[self.at]
            if quote in "\"'":
                start = self.at
                self._string()
                keys.append(tomllib.loads(f"k = {self.text[start : self.at]}")["k"])
            else:
                match = _BARE_KEY.match(self.text, self.at)
                assert match is not None, "the text was checked by tomllib"
                keys.append(match.group())
                self.at = match.end()
            self._skip()
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        first = self.text[self.at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            match = _SCALAR_END.search(self.text, self.at)
            self.at = match.start() if match else len(self.text)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(newlines=True)
            if self.text[self.at] == "]":
                break
            if self.text[self.at] == ",":
                self.at += 1
                continue
            item = (*path, index)
            self.lines[item] = self._here()
            self._value(item)
            index += 1
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self._skip(newlines=True)
            if self.text[self.at] == "}":
                break
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)
        self.at += 1

    def _string(self) -> None:
        triple = self.text[self.at : self.at + 3]
        quote = triple if triple in _STRING_END else self.text[self.at]
        match = _STRING_END[quote].match(self.text, self.at + len(quote))
        assert match is not None, "the text was checked by tomllib"
        self.at = match.end()

    def _skip(self, *, newlines: bool = False) -> bool:
        """Pass blanks, and with `newlines` also line ends and comments; False at the end."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#" and newlines:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif char in " \t" or (char == "\n" and newlines):
                self.at += 1
            else:
                return True
        return False

    def _here(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line
