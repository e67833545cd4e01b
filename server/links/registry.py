"""Kinds of links: those built in, and those of installed packages (entry points).

A class is loaded only when a configured link names its kind: the libraries of the others stay
out of the process.
"""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import EntryPoint, entry_points

from server.config_section import Where, describe
from server.links.base import Link

GROUP = "telerig.links"
"""Entry point group: name = kind, value = "module:LinkClass"."""

BUILT_IN: dict[str, str] = {
    "obd": "server.obd.link:ObdLink",
    "gps": "server.links.gps:GpsLink",
    "can": "server.can.link:CanLink",
    "esp32": "server.links.esp32:Esp32Link",
    "mesh": "server.mesh.base.link:BaseLink",
    "mesh_uplink": "server.mesh.uplink.link:UplinkLink",
}

EXTRAS: dict[str, str] = {"mesh_uplink": "mesh"}
"""Extra that a kind needs, where it has another name."""


def link_class(kind: str, where: Where) -> type[Link]:
    """Load the class of a kind.

    Raises:
        ConfigError: unknown kind, or its library is not installed; `where` is the link's table.
    """
    target = BUILT_IN.get(kind)
    try:
        if target is not None:
            module, _, name = target.partition(":")
            found = getattr(importlib.import_module(module), name)
        else:
            found = _entry_point(kind, where).load()
    except (ImportError, AttributeError) as error:
        extra = EXTRAS.get(kind, kind)
        expected = (
            f"a kind that can be loaded (is its extra installed? pip install 'telerig[{extra}]')"
        )
        raise where.error("kind", expected, f"{kind}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Link)):
        raise where.error("kind", "a subclass of server.links.base.Link", repr(found))
    return found


def _entry_point(kind: str, where: Where) -> EntryPoint:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind in found:
        return found[kind]
    known = sorted({*BUILT_IN, *found})
    near = difflib.get_close_matches(kind, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise where.error("kind", "one of " + ", ".join(known) + hint, describe(kind))
