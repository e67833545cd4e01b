"""The files that pages are made of, and one name for their present state.

Files are asked for under `/assets/<version>/…`, where the version changes with any of them: so a
browser may keep each for ever, modules that import one another included.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
LOOK_S = 1.0
"""So often it is looked whether a file has changed; while pages are written, that happens."""


class _Version:
    def __init__(self) -> None:
        self.looked_s = -LOOK_S
        self.text = ""


_version = _Version()


def version_of_assets() -> str:
    """Give a text that changes when a file of the folder does."""
    now_s = time.monotonic()
    if now_s - _version.looked_s >= LOOK_S:
        _version.text = _digest(ASSETS)
        _version.looked_s = now_s
    return _version.text


def _digest(folder: Path) -> str:
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state = path.stat()
            seen.update(
                f"{path.relative_to(folder)} {state.st_size} {state.st_mtime_ns}\n".encode()
            )
    return seen.hexdigest()[:12]
