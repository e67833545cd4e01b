"""What ran: versions of Python and libraries, the commit, and the hash of the gateway's sources."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import server

LIBRARIES = (
    "telerig",
    "simpy",
    "obd",
    "meshtastic",
    "pyserial",
    "pynmea2",
    "asyncpg",
    "starlette",
    "uvicorn",
)
GIT_TIMEOUT_S = 5.0


def versions() -> dict[str, str]:
    """Versions by name, for the record; `server` is the sha256 of the gateway's sources."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["server"] = server_hash()
    commit = commit_id()
    if commit:
        found["commit"] = commit
    return found


@functools.cache
def server_hash() -> str:
    """sha256 over path and content of every source file of the gateway, in order of path."""
    root = Path(server.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".sql", ".proto") and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def commit_id() -> str:
    """The commit of the checkout that telerig runs from, with "+" if it has changes; "" if none."""
    return commit_of(Path(server.__file__).parent.parent)


def commit_of(root: Path) -> str:
    """The commit of the checkout at `root`, with "+" if it has changes; "" where there is none."""
    if not (root / ".git").exists():
        return ""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    # Without optional locks a look at the status never gets in the way of a commit.
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=GIT_TIMEOUT_S,
        check=True,
    )
    return done.stdout.strip()
