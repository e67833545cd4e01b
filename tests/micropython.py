"""Runs the modules that firmware shares under the real MicroPython, in Node.

MicroPython's WebAssembly build comes from the npm registry:

    npm install --no-save --no-package-lock @micropython/micropython-webassembly-pyscript@1.27.0

in the project's folder, or anywhere else with TELERIG_MICROPYTHON naming the folder that holds
`micropython.mjs`. Without it, or without Node, the tests that need it skip and say so.

A job is a piece of code for `setup`, one for `step` that is called `steps` times (each a top-level
call of its own: only between those does this build collect rubbish, and only there is
`gc.mem_alloc()` true), and one for `finish`. A step that sets the global `finished` is the last.
`server/wire` and `firmware_stubs` can be imported; nothing else of the project is there.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VARIABLE = "TELERIG_MICROPYTHON"
PACKAGE = "@micropython/micropython-webassembly-pyscript"
SHARED = ("server/wire", "firmware_stubs")
NOT_FOR_BOARDS = ("telemetry_pb2.py", "telemetry_pb2.pyi", "training.py", "planning.py")

_DRIVER = Path(__file__).with_name("micropython_driver.mjs")


def folder() -> Path:
    """Give the folder of MicroPython's build; skip the test when it or Node is missing."""
    if shutil.which("node") is None:
        pytest.skip("MicroPython is not here: node is not installed")
    named = os.environ.get(VARIABLE)
    found = Path(named) if named else ROOT / "node_modules" / PACKAGE
    if not (found / "micropython.mjs").is_file():
        pytest.skip(
            f"MicroPython is not here: no micropython.mjs in {found}; "
            f"npm install --no-save --no-package-lock {PACKAGE}, or set {VARIABLE}"
        )
    return found


def shared_files() -> dict[str, Path]:
    """Give the files that a board gets: path inside -> path here."""
    files = {"server/__init__.py": ROOT / "server/__init__.py"}
    for top in SHARED:
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(ROOT).as_posix()] = path
    return {name: path for name, path in files.items() if path.name not in NOT_FOR_BOARDS}


def run(
    setup: str,
    *,
    step: str = "",
    steps: int = 0,
    finish: str = "",
    files: Mapping[str, Path] | None = None,
    heap_bytes: int = 1 << 20,
    timeout_s: float = 240.0,
) -> list[str]:
    """Run code under MicroPython and give the lines that it printed; its errors fail the test.

    Args:
        setup: run first.
        step: run `steps` times, or until it sets the global `finished`.
        steps: most calls of `step`.
        finish: run last.
        files: more files, path inside -> path here.
        heap_bytes: first size of the heap; it grows when it must.
        timeout_s: wall time that it may take.
    """
    job = {
        "package": str(folder()),
        "heap_bytes": heap_bytes,
        "files": [[name, str(path)] for name, path in (shared_files() | dict(files or {})).items()],
        "setup": setup,
        "step": step,
        "steps": steps,
        "finish": finish,
    }
    done = subprocess.run(
        ["node", str(_DRIVER)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"MicroPython: {done.stderr.strip()}\nprinted: {done.stdout[-2000:]}")
    return done.stdout.splitlines()


def run_here(setup: str, *, step: str = "", steps: int = 0, finish: str = "") -> list[str]:
    """Run the same job under this Python and give the lines that it printed."""
    names: dict[str, object] = {"__name__": "__main__", "finished": False}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(setup, names)
        each = compile(step, "step", "exec")
        for _ in range(steps):
            if names["finished"]:
                break
            exec(each, names)
        exec(finish, names)
    return printed.getvalue().splitlines()
