"""Every public method of the meshtastic library, and what a radio answers to it.

`python -m tests.sim.meshtastic.library_table` prints the table of docs/radios.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sim.meshtastic.test_library_methods import Scene

ANSWERED = "answered"
REFUSED = "refused as the firmware would"
Call = Callable[["Scene"], None]
CLASSES = ("MeshInterface", "SerialInterface", "TCPInterface", "Node")


@dataclass(frozen=True)
class Case:
    """One method.

    Attributes:
        owner, name: class and method.
        outcome: ANSWERED or REFUSED.
        comes: what comes back, for the table.
        call: calls the method and checks what came.
    """

    owner: str
    name: str
    outcome: str
    comes: str
    call: Call

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


CASES: list[Case] = []


def case(owner: str, name: str, comes: str, *, outcome: str = ANSWERED) -> Callable[[Call], Call]:
    """Add a method to the table."""

    def add(call: Call) -> Call:
        CASES.append(Case(owner, name, outcome, comes, call))
        return call

    return add


def public_methods() -> set[tuple[str, str]]:
    """Return (class, method) of everything public in the installed library.

    A method that a class inherits counts for the class that defines it.
    """
    from meshtastic.mesh_interface import MeshInterface
    from meshtastic.node import Node
    from meshtastic.serial_interface import SerialInterface
    from meshtastic.tcp_interface import TCPInterface

    found = set()
    for owner in (MeshInterface, SerialInterface, TCPInterface, Node):
        for name, member in inspect.getmembers(owner):
            if name.startswith("_") or inspect.isclass(member) or not callable(member):
                continue
            inherited = owner is not MeshInterface and member is getattr(MeshInterface, name, None)
            if not inherited:
                found.add((owner.__name__, name))
    return found


def table() -> str:
    """Return the table in Markdown."""
    rows = ["| method | radio | what comes |", "|---|---|---|"]
    order = {name: number for number, name in enumerate(CLASSES)}
    for each in sorted(CASES, key=lambda c: (order[c.owner], c.name.lower())):
        rows.append(f"| `{each}` | {each.outcome} | {each.comes} |")
    return "\n".join(rows)


if __name__ == "__main__":
    import tests.sim.meshtastic.test_library_methods

    assert tests.sim.meshtastic.test_library_methods
    from tests.sim.meshtastic import library_table

    print(library_table.table())
