"""The section [store] of the configuration."""

from __future__ import annotations

import pytest

from server.config import parse_config
from server.errors import ConfigError
from server.store.config import StoreConfig


def test_defaults_and_keys() -> None:
    """Readings are kept for ever by default; file and environment say otherwise."""
    assert parse_config("", "gateway.toml", {}).store == StoreConfig()
    assert StoreConfig().raw_days == StoreConfig().rollup_days == 0
    text = "[store]\ncompact_after_s = 60\nraw_days = 30\n"
    found = parse_config(text, "gateway.toml", {"TELERIG_STORE_RAW_DAYS": "90"}).store
    assert (found.compact_after_s, found.raw_days) == (60.0, 90)


@pytest.mark.parametrize("line", ["window_s = 601", "raw_days = -1", "compact_after = 5"])
def test_what_is_wrong_is_named(line: str) -> None:
    """A window that does not fit a day, a wrong number, an unknown key: with file and line."""
    with pytest.raises(ConfigError, match=r"gateway\.toml:2: expected .* found "):
        parse_config(f"[store]\n{line}\n", "gateway.toml", {})
