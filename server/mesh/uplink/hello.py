"""What the base must know of a stream: HELLO, and a profile that no release carries."""

from __future__ import annotations

from server.wire import air
from server.wire.codec.profile import Profile

AGAIN_S = (30.0, 120.0, 600.0)
"""After the first, second and each further HELLO, while the base has not answered."""
REFRESH_S = 1800.0
"""The same while it answers: a base may be replaced by another one."""
ASKED_AGAIN_S = 20.0
"""A question that comes sooner was asked before the HELLO, or the last part, arrived."""
MOST_PARTS = 8
"""Of a profile; a trained one has more than a hundred and must be on both sides already."""


class Greeting:
    """HELLO and PROFILE of one stream.

    Attributes:
        is_too_large: whether the profile cannot go by radio.
    """

    def __init__(self, profile: Profile, boot: int, *, is_trained: bool) -> None:
        self._profile = profile
        self._boot = boot
        self._start_ms = 0
        self._source = 0
        self._bytes = profile.to_bytes()
        self.is_too_large = is_trained or len(self._bytes) > MOST_PARTS * (air.DIRECT_BYTES - 4)
        self._is_heard = False
        self._is_asked = False
        self._sent_s: float | None = None
        self._sent = 0
        self._parts: list[air.ProfilePart] = []
        self._wants_parts = False
        self._parts_s: float | None = None

    def set_start(self, utc_ms: int, source: int) -> None:
        """Say when row 0 is."""
        self._start_ms = utc_ms
        self._source = source

    def heard(self, wants: int, now_s: float) -> None:
        """Take what the base says of the stream."""
        self._is_heard = True
        if wants & air.WANT_HELLO:
            self._is_asked = True
        is_early = self._parts_s is not None and now_s - self._parts_s < ASKED_AGAIN_S
        if wants & air.WANT_PROFILE and not (self.is_too_large or self._parts or is_early):
            self._wants_parts = True

    def ask_hello(self) -> None:
        """Send it soon."""
        self._is_asked = True

    def hello(self, now_s: float, vin: str) -> bytes | None:
        """Give the message if it is due."""
        if self._sent_s is not None:
            waited_s = now_s - self._sent_s
            pause_s = REFRESH_S if self._is_heard else AGAIN_S[min(self._sent, len(AGAIN_S)) - 1]
            if waited_s < (ASKED_AGAIN_S if self._is_asked else pause_s):
                return None
        profile_hash = self._profile.hash
        hello = air.Hello(self._boot, self._start_ms, self._source, profile_hash, vin)
        return hello.to_bytes()

    def hello_sent(self, now_s: float) -> None:
        """Note that the radio has it."""
        self._sent_s = now_s
        self._sent += 1
        self._is_asked = False

    def part(self, limit_bytes: int) -> bytes | None:
        """Give the next part of the profile, if the base wants it."""
        if self._wants_parts:
            self._wants_parts = False
            self._parts = air.parts(self._boot, self._bytes, limit_bytes)
        return self._parts[0].to_bytes() if self._parts else None

    def part_sent(self, now_s: float) -> None:
        """Note that the radio has it."""
        self._parts.pop(0)
        self._parts_s = now_s
