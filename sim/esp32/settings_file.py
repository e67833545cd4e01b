"""A board's settings and flash in a file, so that it remembers from one run to the next."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from sim.esp32.board import Board

FORMAT = "telerig-esp32-1"


class SettingsFileError(ValueError):
    """The file is none of ours."""


def load_board(board: Board, path: Path) -> None:
    """Give `board` what the file keeps; a file that is not there yet is a factory state.

    Raises:
        SettingsFileError: the file holds something else.
    """
    if not path.exists():
        return
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["format"] != FORMAT:
            raise ValueError(f"format {kept['format']!r}")
        settings = {str(key): base64.b64decode(value) for key, value in kept["nvs"].items()}
        contents = base64.b64decode(kept["flash"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsFileError(
            f"{path}: expected a board's memory of format {FORMAT}, found: {error}"
        ) from error
    board.nvs.load(settings)
    board.flash.load(contents)


def save_board(board: Board, path: Path) -> None:
    """Keep what a power cut now would leave; the old file stays until the new one is whole."""
    kept = {
        "format": FORMAT,
        "nvs": {key: base64.b64encode(v).decode() for key, v in board.nvs.committed.items()},
        "flash": base64.b64encode(board.flash.read(0, board.flash.size_bytes)).decode(),
    }
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(kept), encoding="utf-8")
    os.replace(new, path)
