"""A serial port as the machine shows it: is it there, may it be opened, who has it, what is it."""

from __future__ import annotations

import grp
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DEV = Path("/dev")
PROC = Path("/proc")
USUAL_GROUP = "dialout"
COMMAND_CHARACTERS = 80
NUMBERED = re.compile(r"tty(USB|ACM)\d+")
MEDDLERS = {
    "ModemManager": "systemctl stop ModemManager (it asks every new serial port for a modem)",
    "gpsd": "systemctl stop gpsd.socket gpsd",
    "brltty": "systemctl stop brltty (it takes some USB adapters for braille displays)",
}
"""Programs that take ports without being asked, and how they are stopped."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open.

    Attributes:
        pid: its number.
        command: its command line, cut to what fits a line.
        name: its short name.
    """

    pid: int
    command: str
    name: str

    def __str__(self) -> str:
        return f"{self.command or self.name} (process {self.pid})"

    @property
    def advice(self) -> str:
        """How the port becomes free."""
        return MEDDLERS.get(self.name, f"is that the gateway? else end it: kill {self.pid}")


def candidates() -> list[str]:
    """Return the serial ports that are plugged in, those with stable names first."""
    by_id = sorted((DEV / "serial" / "by-id").glob("*"))
    named = {path.resolve() for path in by_id}
    numbered = sorted(path for pattern in ("ttyUSB*", "ttyACM*") for path in DEV.glob(pattern))
    return [*map(str, by_id), *(str(path) for path in numbered if path.resolve() not in named)]


def stable_name(path: Path) -> Path | None:
    """Return the by-id name of a port that is called by its number; None: it has no such name."""
    if NUMBERED.fullmatch(path.name) is None:
        return None
    links = sorted((DEV / "serial" / "by-id").glob("*"))
    return next((link for link in links if link.resolve() == path.resolve()), None)


def may_open(path: Path) -> bool:
    """Tell whether this user may read and write a port."""
    return os.access(path, os.R_OK | os.W_OK)


def permission_advice(path: Path) -> str:
    """Say what gives this user the right to open a port."""
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (KeyError, OSError):
        group = USUAL_GROUP
    if group == "root":  # a port that the machine keeps for itself, or a rule that is missing
        group = USUAL_GROUP
    return f"usermod --append --groups {group} USER, then log in again (or restart the service)"


def holders(path: Path) -> list[Holder]:
    """Return who else has a port open, as far as this user may see.

    The program behind a PTY counts as its device and not as one that holds it.
    """
    target = path.resolve()
    pids = sorted(int(process.name) for process in PROC.glob("[0-9]*"))
    return [
        _holder(pid)
        for pid in pids
        if pid != os.getpid() and _has_open(pid, target) and not _is_device(pid, target)
    ]


def _descriptors(pid: int) -> Iterator[tuple[str, str]]:
    """Yield number and target of each descriptor of a process."""
    folder = PROC / str(pid) / "fd"
    with suppress(OSError):  # it ended, or belongs to another user
        for name in os.listdir(folder):
            with suppress(OSError):
                yield name, os.readlink(folder / name)


def _has_open(pid: int, target: Path) -> bool:
    return any(found == str(target) for _, found in _descriptors(pid))


def _is_device(pid: int, target: Path) -> bool:
    """True for a process that has the other end of a PTY."""
    if target.parent.name != "pts":
        return False
    for name, found in _descriptors(pid):
        if found.endswith("ptmx"):
            with suppress(OSError):
                text = (PROC / str(pid) / "fdinfo" / name).read_text(encoding="ascii")
                if re.search(rf"^tty-index:\s*{target.name}$", text, re.MULTILINE):
                    return True
    return False


def _holder(pid: int) -> Holder:
    command = name = ""
    with suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        command = b" ".join(words).decode(errors="replace")[:COMMAND_CHARACTERS]
        name = (PROC / str(pid) / "comm").read_text(encoding="utf-8").strip()
    return Holder(pid, command, name)
