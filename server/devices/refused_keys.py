"""Keys that were refused leave a trace: in the log, and in the counts of their device.

Whoever has a wrong key can send as often as they like: the log gets a line at most once a minute
for each key or address, and few lines in all; each says how many requests it stands for. No key,
nor any part of one, is written anywhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec
import structlog

from server.clock import Clock
from server.devices.rate import Rate

log = structlog.get_logger("telerig.devices")

PERIOD_S = 60.0
NAMES_LIMIT = 1000
"""Keys and addresses that are remembered; the one that was silent longest is forgotten."""
LINES_PER_S = 0.5
LINES_BURST = 30.0
REASON = "key "
"""What the reasons begin with under which a device's refused requests are counted."""


class KeyRefusal(msgspec.Struct, frozen=True):
    """Why a key is refused.

    Attributes:
        why: one of a short list of texts.
        device: whose key it is; empty where no registered device is meant.
        key: id of the key; None where it is none that was ever given out.
    """

    why: str
    device: str = ""
    key: int | None = None


class _Seen(msgspec.Struct):
    due_s: float
    requests: int = 0


class RefusedKeys:
    """Logs refused keys, and counts those of known devices.

    Args:
        clock: monotonic time.
        count: takes device, reason and example of a refused request.
    """

    def __init__(self, clock: Clock, count: Callable[[str, str, str], None]) -> None:
        self._clock = clock
        self._count = count
        self._seen: OrderedDict[tuple[str, int | str], _Seen] = OrderedDict()
        self._lines = Rate(LINES_PER_S, LINES_BURST, clock)

    def note(self, refusal: KeyRefusal, address: str) -> None:
        """Count one refused request, and log it where it is due."""
        if refusal.device:
            self._count(refusal.device, f"{REASON}{refusal.why}", f"from {address}")
        # A key that was given out proves whose it is; all else is only where it came from.
        name = (refusal.why, address if refusal.key is None else refusal.key)
        now_s = self._clock.monotonic_s()
        seen = self._seen.setdefault(name, _Seen(now_s))
        self._seen.move_to_end(name)
        if len(self._seen) > NAMES_LIMIT:
            self._seen.popitem(last=False)
        seen.requests += 1
        if now_s < seen.due_s or self._lines.take(""):
            return
        who = {"device": refusal.device, "key": refusal.key}
        log.warning(
            "key refused",
            reason=refusal.why,
            **{name: value for name, value in who.items() if value},
            address=address,
            requests=seen.requests,
        )
        seen.due_s, seen.requests = now_s + PERIOD_S, 0
