"""Reading a table key by key."""

from __future__ import annotations

from typing import Any

import pytest

from server.config_section import Section, Where, describe
from server.errors import ConfigError
from server.toml_lines import key_lines

TEXT = """
[links.x]
plan = [
  {signal = "RPM"},
  {signal = 5},
]
names = ["a", 3]
flag = 1
"""


def section() -> Section:
    """The table [links.x] of TEXT."""
    import tomllib

    table: dict[str, Any] = tomllib.loads(TEXT)["links"]["x"]
    return Section(table, Where("f", ("links", "x"), key_lines(TEXT)))


def test_items_of_an_array_have_their_own_line() -> None:
    """A wrong key inside an item is reported with the item's line and index."""
    first, second = section().tables("plan")
    assert first.text("signal") == "RPM"
    with pytest.raises(ConfigError, match=r"^f:5: .* for links\.x\.plan\[1\]\.signal, found whole"):
        second.text("signal")


def test_other_kinds() -> None:
    """Arrays of strings and flags are checked item by item."""
    with pytest.raises(ConfigError, match=r"^f:7: expected a string for links\.x\.names\[1\]"):
        section().texts("names")
    with pytest.raises(ConfigError, match=r"^f:8: expected true or false"):
        section().flag("flag")
    with pytest.raises(ConfigError, match=r"^f:8: expected an array of tables"):
        section().tables("flag")
    with pytest.raises(ConfigError, match=r"^f:8: expected an array of strings"):
        section().texts("flag")
    with pytest.raises(ConfigError, match=r"expected a table like \{key = value\}"):
        section().tables("names")


def test_required_and_default() -> None:
    """An absent key gives its default, or an error at the table's line."""
    assert section().number("rate", None, minimum=0, maximum=1) is None
    assert section().texts("more", ()) == ()
    with pytest.raises(ConfigError, match=r"^f:2: .* for links\.x\.rate, found no such key"):
        section().integer("rate", minimum=0, maximum=1)


def test_numbers_must_be_finite() -> None:
    """Neither NaN nor infinity is a number within bounds."""
    for value in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="expected a number from 0 to 1"):
            Section({"x": value}, Where("f")).number("x", minimum=0, maximum=1)


def test_descriptions_are_short() -> None:
    """A value in a message is cut to one short line."""
    assert describe(True) == "boolean true"
    assert describe({"a": 1}) == "table {'a': 1}"
    assert len(describe("x" * 1000)) < 80
