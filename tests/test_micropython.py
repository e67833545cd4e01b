"""The harness that runs shared modules under the real MicroPython."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import micropython

# What MicroPython has on a board, as far as we use it.
ALLOWED_IMPORTS = {"array", "binascii", "gc", "hashlib", "json", "micropython", "struct", "sys"}


class WithoutTyping(ast.NodeTransformer):
    """Takes out what only a type checker reads: a board never does."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop `if TYPE_CHECKING:`."""
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def modules() -> list[str]:
    """Name the Python files that boards get."""
    return [name for name in micropython.shared_files() if name.endswith(".py")]


def test_code_runs_under_micropython_and_its_prints_come_back() -> None:
    """What the code prints is what the harness gives, from the right interpreter."""
    lines = micropython.run("import sys\nprint(sys.implementation[0])")
    assert lines == ["micropython"]


def test_steps_are_separate_calls_until_one_says_that_it_was_the_last() -> None:
    """A step runs once for each call, ends early by `finished`, and rubbish does not add up."""
    job = {
        "setup": "count = 0",
        "step": "count += 1\nfinished = count == 3",
        "finish": "print(count)",
    }
    assert micropython.run(**job, steps=10) == ["3"]  # type: ignore[arg-type]
    assert micropython.run_here(**job, steps=10) == ["3"]  # type: ignore[arg-type]
    used = micropython.run(
        "import gc\nfirst = None",
        step="first = first or gc.mem_alloc()\nx = bytes(50_000); x = None\ngc.collect()",
        steps=50,
        finish="print(gc.mem_alloc() - first)",
    )
    assert int(used[0]) < 60_000


def test_an_error_under_micropython_fails_the_test_with_its_text() -> None:
    """An exception is a failure that shows the traceback."""
    with pytest.raises(pytest.fail.Exception, match="ValueError: so"):
        micropython.run("raise ValueError('so')")


def test_without_the_package_the_test_skips_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine without MicroPython skips, in words."""
    monkeypatch.setenv(micropython.VARIABLE, str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"MicroPython is not here: .*npm install|node"):
        micropython.folder()


@pytest.mark.parametrize("name", modules())
def test_a_shared_module_imports_only_what_a_board_has(name: str) -> None:
    """Firmware and wire modules import ours and a short list of MicroPython's."""
    tree = ast.parse((micropython.ROOT / name).read_text(encoding="utf-8"))
    for node in ast.walk(WithoutTyping().visit(tree)):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or ""]
        for module in found:
            ours = module.startswith(("server.wire", "firmware_stubs"))
            assert ours or module in ALLOWED_IMPORTS, f"{name}: {module}"


def test_every_shared_module_can_be_imported_under_micropython() -> None:
    """MicroPython's compiler takes every module as it stands, and finds what each imports."""
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules()
    ]
    code = f"""
for name in {names!r}:
    try:
        __import__(name)
    except Exception as error:
        print(name, repr(error))
"""
    assert micropython.run(code) == []
