"""Lines of keys in TOML text."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from server.toml_lines import KeyPath, key_lines

TEXT = '''\
top = 1  # a comment with [brackets] and = signs
"quoted.key" = "a # no comment"

[a.b]
multi = """
not.a.key = 1
[not.a.table]
"""
after = [1, 2, # comment ]
  [3, 4],
]
inline = { x = 1, y = { z = '}' } }
dotted.key . here = 2

[[items]]
name = "one"
[[items]]
name = "two"
plan = [
  {signal = "RPM"},
  {signal = \'\'\']
   \'\'\', rate = 5},
]
[items.sub]
deep = true
'''


def test_lines_of_every_kind_of_key() -> None:
    """Tables, arrays of tables, inline tables, dotted keys and items have their own lines."""
    tomllib.loads(TEXT)
    lines = key_lines(TEXT)
    expected: dict[KeyPath, int] = {
        ("top",): 1,
        ("quoted.key",): 2,
        ("a",): 4,
        ("a", "b"): 4,
        ("a", "b", "multi"): 5,
        ("a", "b", "after"): 9,
        ("a", "b", "after", 1): 9,
        ("a", "b", "after", 2): 10,
        ("a", "b", "after", 2, 1): 10,
        ("a", "b", "inline", "y", "z"): 12,
        ("a", "b", "dotted", "key", "here"): 13,
        ("items",): 15,
        ("items", 0): 15,
        ("items", 0, "name"): 16,
        ("items", 1): 17,
        ("items", 1, "name"): 18,
        ("items", 1, "plan", 0, "signal"): 20,
        ("items", 1, "plan", 1, "signal"): 21,
        ("items", 1, "plan", 1, "rate"): 22,
        ("items", 1, "sub"): 24,
        ("items", 1, "sub", "deep"): 25,
    }
    assert {path: lines.get(path) for path in expected} == expected


def test_windows_line_ends() -> None:
    """A file with CRLF has the same lines."""
    assert key_lines(TEXT.replace("\n", "\r\n")) == key_lines(TEXT)


def _paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= _paths(inner, (*path, index))
    return found


@given(
    st.lists(
        st.sampled_from(
            [
                *TEXT.splitlines(),
                "[",
                "]",
                "{",
                "}",
                ",",
                "x=1",
                "x.y='''",
                '"""',
                "[[z]]",
                "\t",
                "",
            ]
        ),
        max_size=12,
    )
)
def test_every_valid_text_is_understood(parts: list[str]) -> None:
    """Whatever tomllib accepts, the scanner finds exactly its keys."""
    text = "\n".join(parts)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(key_lines(text)) == _paths(table)


_keys = st.text("abc-_1 .é\"'#[]=", min_size=1, max_size=5)
_values = st.recursive(
    st.one_of(
        st.integers(-9, 9).map(str),
        st.sampled_from(["true", "1979-05-27T07:32:00Z", "1.5", "'#]'", '"\\"}"', "'''a'\n'b'''"]),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n" + " ,\n".join(items) + " ]"),
    max_leaves=6,
)


@given(st.dictionaries(_keys, _values, max_size=6))
def test_quoted_keys_and_nested_arrays(pairs: dict[str, str]) -> None:
    """Generated tables are understood, keys with any characters included."""
    quoted = {key.replace("\\", "\\\\").replace('"', '\\"'): value for key, value in pairs.items()}
    text = "\n".join(f'"{key}" = {value}' for key, value in quoted.items())
    table = tomllib.loads(text)
    lines = key_lines(text)
    assert set(lines) == _paths(table)
    for key in table:
        line = text.splitlines()[lines[key,] - 1]
        assert line.startswith('"')
