"""How a piece of the real gateway is replaced for the rest of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.obd.link import ObdLink
from server.readings import Reading


def around(owner: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace `owner.name` by the decorated function, whose first argument is the original."""

    def install(changed: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            return changed(original, *args, **kwargs)

        setattr(owner, name, replacement)

    return install


def change_obd_readings(change: Callable[[Reading], Reading | None]) -> None:
    """Let `change` have each reading of the OBD link; None leaves it out."""

    @around(ObdLink, "_readings")
    def readings(original: Any, *args: Any) -> list[Reading]:
        return [changed for r in original(*args) if (changed := change(r)) is not None]
