"""What a client has not been given yet: bounded, as a socket of the kernel is."""

from __future__ import annotations

import simpy

from sim.socketcand.pipe import ClientPipe

# The kernel's default receive buffer (net.core.rmem_default, 212,992 bytes) holds so many frames,
# each counted with 768 bytes of overhead.
MOST_FRAMES = 277
AFTER_ALL_OTHERS = 2  # SimPy's priorities are 0 and 1: behind all else that happens at an instant


class OutgoingQueue:
    """Gathers the frames of one instant, and hands them to the pipe in one piece.

    While the client does not read, or is not to be spoken to yet, frames wait here; what is more
    than `MOST_FRAMES` is dropped, the newest first, and counted. Words that answer a command are
    never dropped: who does not read them is not listened to either, see `is_full`.

    Attributes:
        dropped_frames: for which there was no room.
        sent_frames: handed to the pipe.
    """

    def __init__(self, env: simpy.Environment, pipe: ClientPipe) -> None:
        self._env = env
        self._pipe = pipe
        self._parts: list[str] = []
        self._frames = 0
        self._flush_due = False
        self._held = False
        self.dropped_frames = 0
        self.sent_frames = 0

    @property
    def is_full(self) -> bool:
        """True while the client has not read what it was given."""
        return self._pipe.unread_bytes > 0

    def frame(self, text: str) -> bool:
        """Add a frame; False where it is dropped."""
        env, waits = self._env, self._held or self._pipe.unread_bytes
        if not waits and not self._parts and env.peek() > env.now:
            self.sent_frames += 1
            self._pipe.write(text.encode())  # nothing else happens at this instant
            return True
        if self._frames >= MOST_FRAMES:
            if waits:
                self.dropped_frames += 1
                return False
            self.flush()
        self._parts.append(text)
        self._frames += 1
        if not self._flush_due:
            self._flush_later()
        return True

    def _flush_later(self) -> None:
        self._flush_due = True
        event = self._env.event()
        event.callbacks.append(self._instant_over)
        event._ok, event._value = True, None
        self._env.schedule(event, AFTER_ALL_OTHERS)  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        """Answer a command: at once, behind the frames that came before."""
        if self._held or self._pipe.unread_bytes:
            self._parts.append(text)
        else:
            self.flush()
            self._pipe.write(text.encode())

    def hold(self) -> None:
        """Let everything wait."""
        self._held = True

    def release(self) -> None:
        """Let it go."""
        self._held = False
        self.flush()

    def flush(self) -> None:
        """Hand over what waits, if the client reads."""
        if self._parts and not self._held and not self._pipe.unread_bytes:
            data = "".join(self._parts).encode()
            self.sent_frames += self._frames
            self._parts.clear()
            self._frames = 0
            self._pipe.write(data)

    def _instant_over(self, _event: simpy.Event) -> None:
        self._flush_due = False
        self.flush()
