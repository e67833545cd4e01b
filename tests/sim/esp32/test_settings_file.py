"""A board's memory in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim.esp32.settings_file import SettingsFileError, load_board, save_board


def test_a_board_remembers_from_one_run_to_the_next(make_bench: Any, tmp_path: Path) -> None:
    """Committed settings and the flash; not what was only set."""
    path = tmp_path / "board.json"
    first = make_bench()
    first.hal.nvs_set("gw.key", b"\x00\xff")
    first.hal.nvs_commit()
    first.hal.nvs_set("draft", b"x")
    first.hal.flash_write(4096, b"packet")
    save_board(first.board, path)
    second = make_bench()
    load_board(second.board, path)
    assert second.hal.nvs_get("gw.key") == b"\x00\xff"
    assert second.hal.nvs_get("draft") is None
    assert second.hal.flash_read(4096, 6) == b"packet"


def test_no_file_is_a_factory_state(bench: Any, tmp_path: Path) -> None:
    """It comes with the first save."""
    load_board(bench.board, tmp_path / "absent.json")
    assert bench.hal.nvs_get("gw.key") is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "other"}', '{"format": 1}'])
def test_a_file_of_another_kind_is_refused(bench: Any, tmp_path: Path, text: str) -> None:
    """In one line."""
    path = tmp_path / "board.json"
    path.write_text(text)
    with pytest.raises(SettingsFileError, match="expected a board's memory"):
        load_board(bench.board, path)
