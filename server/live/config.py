"""[live]: bounds of the live stream.

[live]
clients = 500                   # WebSockets at a time, dialects and replays included
clients_per_user = 250          # of one user, key or device
queue_messages = 4096           # that wait for one client; then the oldest are left out
queue_kb = 512
resume_kb = 4096                # newest events, kept for clients that come back; 0: none
replays = 4                     # recorded drives that are played at a time
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from server.config_section import Section

INTEGER_KEYS = (
    "clients",
    "clients_per_user",
    "queue_messages",
    "queue_kb",
    "resume_kb",
    "replays",
)


class LiveConfig(msgspec.Struct, frozen=True):
    """Bounds of the live stream."""

    clients: int = 500
    clients_per_user: int = 250
    queue_messages: int = 4096
    queue_kb: int = 512
    resume_kb: int = 4096
    replays: int = 4


def read_live(section: Section) -> LiveConfig:
    """Read the table."""
    live = LiveConfig(
        clients=section.integer("clients", 500, minimum=1, maximum=100_000),
        clients_per_user=section.integer("clients_per_user", 250, minimum=1, maximum=100_000),
        queue_messages=section.integer("queue_messages", 4096, minimum=16, maximum=1_000_000),
        queue_kb=section.integer("queue_kb", 512, minimum=16, maximum=65_536),
        resume_kb=section.integer("resume_kb", 4096, minimum=0, maximum=1_048_576),
        replays=section.integer("replays", 4, minimum=0, maximum=100),
    )
    section.done()
    return live
