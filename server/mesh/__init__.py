"""Meshtastic radios: the car's uplink and the base station.

    transport.py    bytes to and from a radio: serial port, pyserial URL, TCP
    framing.py      frames of the radio's serial protocol
    interface.py    the meshtastic library's interface class, with its traps taken out
    radio.py        a radio as an object: open, send, what comes
    packets.py      what comes from a radio and what it says, as plain objects
    radio_link.py   a link that has a radio
    airtime.py      how long a frame is on the air; regions.py: how much of it is allowed
    base*.py        the base station: link, vehicles and acknowledgements, streams, ordinary nodes
    uplink*.py      the uplink of a vehicle

The meshtastic library (GPL, extra `mesh`) is loaded when a radio is opened: its interface class by
`interface.py`, its messages there and by `base_nodes.py`.
"""
