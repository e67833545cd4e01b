"""The section `gateway: {store: …}`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig import assembly
from rig.scenario import Scenario, ScenarioError
from rig.scenario.model import StoreSpec
from rig.toml_text import toml_text
from server.config import GatewayConfig, parse_config

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]


def config_of(scenario: Scenario) -> GatewayConfig:
    """The gateway's configuration, read by the gateway."""
    config = assembly.gateway_config(scenario, {}, "postgresql://x@h/d", 0)
    return parse_config(toml_text(config), "car.toml", {})


def test_every_key_is_read(load: Load) -> None:
    """In the units of the fields' names, and understood by the gateway."""
    scenario = load(
        "gateway: {store: {compact_after: 20 s, compact_size: 64 kB, window: 10 min}}\n"
    )
    assert scenario.gateway.store == StoreSpec(20.0, 64_000, 600.0)
    found = config_of(scenario).store
    assert (found.compact_after_s, found.compact_bytes, found.window_s) == (20.0, 64_000, 600.0)


def test_what_is_left_out(load: Load) -> None:
    """Without the section nothing is compacted; in it the gateway's own defaults hold."""
    assert config_of(load()).store.compact_after_s == 86_400
    default = parse_config("", "x", {}).store
    assert config_of(load("gateway: {store: {}}\n")).store == default


@pytest.mark.parametrize(
    ("store", "expected", "found"),
    [
        ("{compact_after: 20}", "a duration such as", "'20' without a unit"),
        ("{compact_after: 1 ms}", "at least 0.05 s", "'1 ms'"),
        ("{compact_size: 5 s}", "a size such as", "unit 's'"),
        ("{window: 7 min}", "a duration that a day has a whole number of", "'7 min'"),
        ("{window: 10 s}", "at least 60 s", "'10 s'"),
        ("{windows: 1 h}", "a key of 'store'", "'windows'"),
        ("20 s", "'store'", "'20 s'"),
    ],
)
def test_what_is_wrong_is_named(refuse: Refuse, store: str, expected: str, found: str) -> None:
    """With its line, what was expected, and what stands there."""
    text = str(refuse(f"gateway:\n  store: {store}\n"))
    assert ".scenario.yaml:6: expected " in text
    assert expected in text
    assert found in text
