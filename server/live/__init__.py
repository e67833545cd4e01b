"""The live stream: what is read and what happens, to WebSocket clients. See docs/live.md.

Frames are JSON texts (`time_ns` UTC nanoseconds since 1970; `n`: number in the stream):

    {"type": "hello", "boot", "device", "server_now_ns", "stream", "n", …, "signals": {id: name}}
    {"type": "readings", "n", "device", "boot",
     "readings": [[seq, signal_id, time_ns, value, received_ns, state], …]}     form rows
    {"type": "reading", "n", "device", "boot", "signal", "name", "unit", "seq", "time_ns", "value",
     "received_ns", "state"}                                                    form points
    {"type": "stored", "device", "boot", "upto", "time_ns"}     everything up to this is committed
    {"type": "stored", "device", "boot", "first", "upto", "time_ns"}     of a remote device: these
    {"type": "link", "name", "state", "reason", "time_ns"}
    {"type": "stale", "link", "signals": [id, …], "time_ns"}    the complete list; empty: all fresh
    {"type": "store", "state": "ok" | "failing", "reason", "time_ns"}
    {"type": "command", "device", "id", "name", "state", "detail", "late", "time_ns"}
    {"type": "log", "source", "level", "text", "time_ns"}       of a process that the gateway runs
    {"type": "heartbeat", "n", "time_ns"}
    {"type": "dropped", "count"}       this client was too slow for that many messages
    {"type": "gap", "after", "resumes_at", "start_ns", "end_ns", "fetch"}   not kept any more
    {"type": "gap", …, "device", "boot"}    of one device: committed by another gateway, compacted

Of the links of another gateway, "link" and "stale" have its name as "device".

Readings of the gateway's own links are published in parallel with their commit: a client that must
not show what could still be lost waits for "stored". Those of remote devices are published after
it, and "stored" follows at once. A value that is not finite (state LOST) is null.
"""

from server.live.client import Bounds, LiveClient, Policy
from server.live.hub import Hub

__all__ = ["Bounds", "Hub", "LiveClient", "Policy"]
