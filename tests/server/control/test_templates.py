"""Templates of commands: from devices, and from files that change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware_stubs import commands
from server.config import parse_config
from server.control.json_file import WatchedFile
from server.control.schema import SchemaError, check
from server.control.templates import TEMPLATES_LIMIT, load_templates, read_templates
from server.errors import ConfigError
from tests.server.told import Told


def test_templates_of_a_device() -> None:
    """Good ones are taken, each bad one is named, and an empty schema takes no parameters."""
    found, problems = read_templates(
        [
            Told("reboot"),
            Told("set_rates", "d", '{"additionalProperties": {"type": "number"}}'),
            Told("no name!"),
            Told("list", schema='{"type": "array"}'),
            Told("json", schema="{"),
            Told("long", schema=" " * 20_000),
            Told("deep", schema="[" * 10_000),
            Told("regex", schema='{"pattern": "x"}'),
        ]
    )
    assert [template.name for template in found] == ["reboot", "set_rates"]
    assert found[0].parameters == {"type": "object", "additionalProperties": False}
    assert found[1].parameters["type"] == "object"
    assert [problem.where for problem in problems] == [
        "name",
        "list.type",
        "json",
        "long",
        "deep",
        "regex.pattern",
    ]


def test_the_firmwares_templates_are_understood() -> None:
    """Everything that the logger's firmware says of its commands is taken, rule by rule."""
    told = commands.templates()
    found, problems = read_templates(told)
    assert problems == []
    assert [template.name for template in found] == [template.name for template in told]
    rates = next(template for template in found if template.name == "set_rates").parameters
    check({"RPM": 5}, rates)
    with pytest.raises(SchemaError, match='found "WARP"'):
        check({"WARP": 5}, rates)


def test_a_device_may_not_tell_too_many() -> None:
    """Templates are bounded."""
    found, problems = read_templates(Told(f"c{number}") for number in range(1000))
    assert len(found) == TEMPLATES_LIMIT
    assert str(problems[0]) == f"templates: expected at most {TEMPLATES_LIMIT}, found more"


def test_both_forms_of_the_file(tmp_path: Path) -> None:
    """command_templates.json may be an object by name, or an array."""
    path = tmp_path / "command_templates.json"
    path.write_text('{"lights": {"description": "d", "parameters": {"required": ["on"]}}}')
    (lights,) = load_templates(path)
    assert (lights.name, lights.description) == ("lights", "d")
    path.write_text('[{"command": "lights", "parameters": {"required": ["on"]}}]')
    assert load_templates(path)[0].parameters == lights.parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("1", "expected an object or an array of templates"),
        ("[1]", r"\[0\]: expected a template"),
        ('{"a b": {}}', r"\[0\]\.name: expected a name of a command"),
        ('{"a": {"parameters": {"if": {}}}}', r"a\.if: expected one of type"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    """A wrong file is refused with the place, at start in the configuration's words."""
    path = tmp_path / "command_templates.json"
    path.write_text(text)
    with pytest.raises(SchemaError, match=message):
        load_templates(path)
    with pytest.raises(ConfigError, match=r"gw\.toml:2: expected .* for control\.templates"):
        parse_config(f"[control]\ntemplates = '{path}'\n", "gw.toml", {})


def test_a_file_that_changes(tmp_path: Path) -> None:
    """A change is taken without a restart; a wrong change leaves what was."""
    path = tmp_path / "command_templates.json"
    path.write_text('{"one": {}}')
    file = WatchedFile(path, load_templates)
    assert [template.name for template in file()] == ["one"]
    path.write_text('{"two": {}, "three": {}}')
    assert [template.name for template in file()] == ["two", "three"]
    path.write_text("{")
    os.utime(path, (1, 1))
    assert [template.name for template in file()] == ["two", "three"]
    path.unlink()
    assert [template.name for template in file()] == ["two", "three"]
    with pytest.raises(SchemaError, match="a readable file"):
        WatchedFile(path, load_templates)()
