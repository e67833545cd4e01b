"""Meshtastic: telemetry by radio, from the vehicle to the base station.

    uplink/   the link `mesh_uplink` of a vehicle's gateway: rows, packets, what goes first
    base/     the link `mesh` of a base station: vehicles, streams, acknowledgements, ordinary nodes
    radio/    the radio that both have: bytes, frames, the meshtastic library's interface class
    air/      what the air costs and allows: airtime, regions, the budget

The messages between the two are `server/wire/air.py`. The meshtastic library (GPL, extra `mesh`) is
loaded when a radio is opened, by `radio/interface.py` and `base/nodes.py`.
"""
