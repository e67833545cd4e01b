"""What the car's control units say on the CAN bus unasked: a DBC, its encoder, its senders.

    sender = BroadcastSender(env, bus, vehicle, stream, vin=spec.vin, heading_deg=heading_at)
    filler = Filler(env, bus, load_pct=100.0)

For the record there are two hooks, plain attributes of `BroadcastSender`, None by default:

`on_sample(t_s, message_name, {signal: (true, wire)})`
    At the instant at which a control unit has read the vehicle and given its node a frame; called
    in order of time. `true` is the model's value before it was quantised, `wire` exactly the number
    that cantools decodes from the frame (raw * factor + offset; the number of an entry of a value
    table). Signals are those in `sampled_signals` (None: all but counters and checksums). A value
    that there is none of has true None, and wire is the number that says so. A multiplexed message
    has the signals that were sent this time.
`on_sent(t_s, message_name, sampled_s)`
    When that frame's last bit has passed: `t_s` is the bus time that a gateway sees, `sampled_s`
    the instant of its on_sample. At most one frame of a message is on its way.

`DBC_PATH` is the file for gateways and tools.
"""

from __future__ import annotations

from sim.broadcast.database import DBC_PATH, load_database
from sim.broadcast.filler import Filler
from sim.broadcast.sender import BroadcastSender, OnSample, OnSent

__all__ = ["DBC_PATH", "BroadcastSender", "Filler", "OnSample", "OnSent", "load_database"]
